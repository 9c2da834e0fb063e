//! Free text and what is asked of it, split into the same words.
//!
//! Words are those of Unicode (UAX #29) in lower case, so that `CASE-12` is the two words `case`
//! and `12` and a search for either finds it.

use unicode_segmentation::UnicodeSegmentation;

/// LIMIT: bytes of a word or of another value that are kept. Longer ones are cut when they are
/// taken and when they are asked for, so that they still find each other.
pub(super) const VALUE_BYTES_MAX: usize = 100;

/// The words of a text.
pub(super) fn split(text: &str) -> impl Iterator<Item = String> {
    text.unicode_words().map(fold)
}

/// A word as the index knows it.
pub(super) fn fold(word: &str) -> String {
    let mut word = word.to_lowercase();
    word.truncate(word.floor_char_boundary(VALUE_BYTES_MAX));
    word
}

/// The start of a value, at most so many bytes.
pub(super) fn cut(value: &str, bytes_max: usize) -> &str {
    value.get(..value.floor_char_boundary(bytes_max)).unwrap_or(value)
}

/// What a search asks of the words of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// This word.
    Word(String),
    /// A word that begins so.
    Prefix(String),
}

/// Reads a search: words that must all be there, where a `*` at the end means any ending.
pub(super) fn wanted(search: &str) -> Vec<Wanted> {
    let mut all = Vec::new();
    for part in search.split_whitespace() {
        let mut words: Vec<String> = split(part).collect();
        let prefix = if part.ends_with('*') { words.pop() } else { None };
        all.extend(words.into_iter().map(Wanted::Word));
        all.extend(prefix.map(Wanted::Prefix));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_search_are_split_alike() {
        let text: Vec<String> = split("Ticket CASE-12, ÄRGER über 3,5 % (can't)").collect();
        assert_eq!(text, ["ticket", "case", "12", "ärger", "über", "3,5", "can't"]);
        let search = wanted("CASE-1* Über");
        let expected = [
            Wanted::Word("case".to_owned()),
            Wanted::Prefix("1".to_owned()),
            Wanted::Word("über".to_owned()),
        ];
        assert_eq!(search, expected);
        assert_eq!(wanted(" * -- "), []);
    }

    #[test]
    fn a_long_word_is_cut_between_characters() {
        let word = "\u{e9}".repeat(300);
        let kept = fold(&word);
        assert_eq!(kept, "\u{e9}".repeat(50));
        let word = format!("a{word}");
        assert_eq!(fold(&word).len(), 99);
        assert_eq!(split(&word).next(), Some(fold(&word)));
    }
}
