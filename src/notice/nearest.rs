//! The passage of a notice that comes nearest to a quote that is not in it, and what differs.

use similar::{ChangeTag, TextDiff};

use super::text::{NoticeText, fold};

/// The sentence, or pair of sentences, that is most like the quote; `None` if nothing is.
#[must_use]
pub fn nearest<'a>(text: &'a NoticeText, quote: &str) -> Option<(usize, &'a str)> {
    let quote = fold(quote);
    let quoted: Vec<&str> = quote.split(' ').collect();
    let sentences = text.sentences();
    let alone = sentences.iter().map(|s| s.range.clone());
    let pairs = sentences.windows(2).filter_map(|pair| match pair {
        [a, b] => Some(a.range.start..b.range.end),
        _ => None,
    });
    let ratio = |passage: &str| {
        let words: Vec<&str> = passage.split(' ').collect();
        TextDiff::configure().timeout(DIFF_TIME_MAX).diff_slices(&words, &quoted).ratio()
    };
    let mut best: Option<(f32, std::ops::Range<usize>)> = None;
    for range in alone.chain(pairs) {
        let score = ratio(text.get(range.clone()));
        if best.as_ref().is_none_or(|(before, _)| score > *before) {
            best = Some((score, range));
        }
    }
    let (score, range) = best?;
    (score > 0.3).then(|| (text.line(range.start), text.get(range)))
}

/// LIMIT: how long one comparison may take, so that two very long texts end in a coarse answer
/// and not in none.
const DIFF_TIME_MAX: std::time::Duration = std::time::Duration::from_millis(100);

/// What differs between two texts, word by word: `[-gone-]` and `{+come+}`.
#[must_use]
pub fn word_diff(from: &str, to: &str) -> String {
    let diff = TextDiff::configure().timeout(DIFF_TIME_MAX).diff_words(from, to);
    let mut out = String::new();
    let mut open: Option<ChangeTag> = None;
    let close = |out: &mut String, open: Option<ChangeTag>| match open {
        Some(ChangeTag::Delete) => out.push_str("-]"),
        Some(ChangeTag::Insert) => out.push_str("+}"),
        Some(ChangeTag::Equal) | None => {}
    };
    for change in diff.iter_all_changes() {
        let tag = change.tag();
        if open != Some(tag) {
            close(&mut out, open);
            match tag {
                ChangeTag::Delete => out.push_str("[-"),
                ChangeTag::Insert => out.push_str("{+"),
                ChangeTag::Equal => {}
            }
            open = Some(tag);
        }
        out.push_str(change.value());
    }
    close(&mut out, open);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::Markup;

    #[test]
    fn a_wrong_quote_finds_the_sentence_that_was_meant() {
        let page = "We record calls.\n\nWe use recordings to check the quality of our service.\n\n\
                    We delete them after 12 months.\n";
        let text = NoticeText::new(page, Markup::Plain);
        let quote = "We use recordings to check the quality of our services.";
        let (line, found) = nearest(&text, quote).unwrap();
        assert_eq!(line, 3);
        assert_eq!(
            word_diff(found, quote),
            "We use recordings to check the quality of our [-service.-]{+services.+}"
        );
        assert_eq!(nearest(&text, "Lorem ipsum dolor sit amet consectetur"), None);
    }
}
