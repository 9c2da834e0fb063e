//! The words of a notice: what a reader of the published page sees, sentence by sentence, and
//! where a quote stands in it.
//!
//! A quote must stand in the text word for word. Only white space is folded (a run of it counts as
//! one blank), because where a published page breaks its lines is layout, not wording. Nothing
//! else is forgiven: not letter case, not quotation marks, not a comma. Markup is not wording: of
//! Markdown and HTML the visible text counts.

use std::ops::Range;

use html5gum::Tokenizer;
use html5gum::emitters::default::{DefaultEmitter, Token};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use unicode_segmentation::UnicodeSegmentation;

/// LIMIT: the shortest quote. Anything shorter ("we", "calls") stands in every notice and would
/// prove nothing.
pub const QUOTE_BYTES_MIN: usize = 16;

/// How a notice was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markup {
    /// `.md`
    Markdown,
    /// `.html`, `.htm`
    Html,
    /// `.txt`
    Plain,
}

impl Markup {
    /// Reads it off a file's name.
    #[must_use]
    pub fn of(file: &str) -> Option<Self> {
        match file.rsplit_once('.')?.1 {
            "md" => Some(Self::Markdown),
            "html" | "htm" => Some(Self::Html),
            "txt" => Some(Self::Plain),
            _ => None,
        }
    }
}

/// The visible text of a notice with its white space folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoticeText {
    folded: String,
    /// Where in `folded` a line of the published file begins, in order.
    lines: Vec<(usize, usize)>,
    sentences: Vec<Sentence>,
    blocks: Vec<Range<usize>>,
}

/// One sentence of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Where it stands in the folded text.
    pub range: Range<usize>,
    /// The line of the published file on which it starts; the first is 1.
    pub line: usize,
}

/// Why a quote proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// It is so short that it would stand in any text.
    #[error("the quote is shorter than 16 bytes; quote the whole sentence")]
    TooShort,
    /// It is not in the text.
    #[error("the quote does not stand in the notice word for word")]
    NotInText,
    /// It is in the text only as a part of longer words.
    #[error("the quote starts or ends within a word of the notice")]
    CutsAWord,
}

impl NoticeText {
    /// Takes the published text.
    #[must_use]
    pub fn new(published: &str, markup: Markup) -> Self {
        let mut page = Page::new(published);
        match markup {
            Markup::Markdown => page.markdown(published),
            Markup::Html => page.html(published, 0),
            Markup::Plain => page.plain(published),
        }
        page.finish()
    }

    /// The folded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.folded
    }

    /// Part of the folded text.
    #[must_use]
    pub fn get(&self, range: Range<usize>) -> &str {
        self.folded.get(range).unwrap_or_default()
    }

    /// Its sentences, in order. Titles, which end without a stop, are not among them.
    #[must_use]
    pub fn sentences(&self) -> &[Sentence] {
        &self.sentences
    }

    /// Its paragraphs, list items and titles, in order: where each stands in the folded text. A
    /// block in which no sentence stands is a title.
    #[must_use]
    pub fn blocks(&self) -> &[Range<usize>] {
        &self.blocks
    }

    /// The line of the published file at a place of the folded text.
    #[must_use]
    pub fn line(&self, at: usize) -> usize {
        let after = self.lines.partition_point(|(start, _)| *start <= at);
        self.lines.get(after.saturating_sub(1)).map_or(1, |(_, line)| *line)
    }

    /// Checks that a quote stands in the text verbatim, from a word's start to a word's end, and
    /// says where first.
    ///
    /// # Errors
    /// [`QuoteError`], which says what to change.
    pub fn find(&self, quote: &str) -> Result<Range<usize>, QuoteError> {
        self.find_all(quote)?.into_iter().next().ok_or(QuoteError::CutsAWord)
    }

    /// Everywhere that a quote stands.
    ///
    /// # Errors
    /// [`QuoteError`] if it stands nowhere.
    pub fn find_all(&self, quote: &str) -> Result<Vec<Range<usize>>, QuoteError> {
        let quote = fold(quote);
        if quote.len() < QUOTE_BYTES_MIN {
            return Err(QuoteError::TooShort);
        }
        let mut found = self.folded.match_indices(&quote).peekable();
        if found.peek().is_none() {
            return Err(QuoteError::NotInText);
        }
        let whole = |(at, _): &(usize, &str)| {
            let before = self.folded.get(..*at).and_then(|t| t.chars().next_back());
            let after = self.folded.get(at + quote.len()..).and_then(|t| t.chars().next());
            let joins = |outer: Option<char>, inner: Option<char>| {
                outer.is_some_and(char::is_alphanumeric) && inner.is_some_and(char::is_alphanumeric)
            };
            !joins(before, quote.chars().next()) && !joins(after, quote.chars().next_back())
        };
        let found: Vec<Range<usize>> =
            found.filter(whole).map(|(at, _)| at..at + quote.len()).collect();
        if found.is_empty() { Err(QuoteError::CutsAWord) } else { Ok(found) }
    }
}

/// Folds white space as the text is folded.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    folded
}

/// A text that is being folded.
struct Page {
    text: NoticeText,
    /// Where the lines of the published file start.
    line_starts: Vec<usize>,
    /// Where the present block (paragraph, list item, heading) starts in the folded text.
    block: usize,
    /// White space has been seen since the last word.
    gap: bool,
    /// The present block is a heading.
    heading: bool,
}

impl Page {
    fn new(published: &str) -> Self {
        let starts = published.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text: NoticeText::default(),
            line_starts: std::iter::once(0).chain(starts).collect(),
            block: 0,
            gap: false,
            heading: false,
        }
    }

    fn markdown(&mut self, published: &str) {
        let mut html = String::new();
        let mut html_at = 0;
        for (event, range) in Parser::new_ext(published, Options::ENABLE_TABLES).into_offset_iter()
        {
            match event {
                Event::Text(text) | Event::Code(text) => self.words(&text, range.start),
                Event::SoftBreak | Event::HardBreak => self.gap = true,
                Event::Rule => self.end_block(),
                // Markup within Markdown is read as a page is, so that none of its words hide.
                Event::Html(text) => {
                    if html.is_empty() {
                        html_at = range.start;
                    }
                    html.push_str(&text);
                }
                Event::End(TagEnd::HtmlBlock) => {
                    self.end_block();
                    self.html(&html, html_at);
                    html.clear();
                }
                Event::Start(tag) if is_block(&tag) => {
                    self.end_block();
                    self.heading = matches!(tag, Tag::Heading { .. });
                }
                Event::End(
                    TagEnd::Paragraph
                    | TagEnd::Heading(_)
                    | TagEnd::Item
                    | TagEnd::CodeBlock
                    | TagEnd::TableCell
                    | TagEnd::BlockQuote(_),
                ) => self.end_block(),
                _ => {}
            }
        }
        self.end_block();
    }

    /// Reads HTML that starts at an offset of the published file.
    fn html(&mut self, text: &str, offset: usize) {
        let mut emitter = DefaultEmitter::<usize>::new_with_span();
        // Without a tree, what follows <script>, <style>, <title> and their like is read as the
        // standard's tokenizer reads it: not as markup.
        emitter.naively_switch_states(true);
        let mut hidden: Option<Vec<u8>> = None;
        for token in Tokenizer::new_with_emitter(text, emitter).flatten() {
            match token {
                Token::StartTag(tag) => {
                    let name = tag.name.to_vec();
                    if hidden.is_none() && is_hidden(&name) && !tag.self_closing {
                        hidden = Some(name);
                    } else if !is_inline(&name) {
                        self.end_block();
                        self.heading = is_heading(&name);
                    }
                }
                Token::EndTag(tag) => {
                    let name = tag.name.to_vec();
                    if hidden.as_ref() == Some(&name) {
                        hidden = None;
                    } else if !is_inline(&name) {
                        self.end_block();
                    }
                }
                Token::String(text) if hidden.is_none() => {
                    self.words(&String::from_utf8_lossy(&text.value), offset + text.span.start);
                }
                Token::String(_) | Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
            }
        }
        self.end_block();
    }

    fn plain(&mut self, published: &str) {
        let mut at = 0;
        // Plain text has no mark for headings: only its first block can be one, if it has no stop.
        self.heading = true;
        for line in published.split_inclusive('\n') {
            let words = line.trim_start();
            let item = words.starts_with(['-', '*', '•', '–']);
            if words.is_empty() || item {
                self.end_block();
            }
            self.words(line, at);
            at += line.len();
        }
        self.end_block();
    }

    /// Adds words that stand in the published file from `at` on.
    fn words(&mut self, text: &str, at: usize) {
        let mut rest = text;
        let mut passed = 0;
        while !rest.is_empty() {
            let blank = rest.len() - rest.trim_start().len();
            if blank > 0 {
                self.gap = true;
            }
            let word_on = rest.get(blank..).unwrap_or_default();
            let end = word_on.find(char::is_whitespace).unwrap_or(word_on.len());
            let word = word_on.get(..end).unwrap_or_default();
            if !word.is_empty() {
                self.word(word, at + passed + blank);
            }
            passed += blank + end;
            rest = word_on.get(end..).unwrap_or_default();
        }
    }

    fn word(&mut self, word: &str, at: usize) {
        let folded = &mut self.text.folded;
        if self.gap && !folded.is_empty() {
            folded.push(' ');
            if self.block + 1 == folded.len() {
                self.block = folded.len();
            }
        }
        self.gap = false;
        let line = self.line_starts.partition_point(|start| *start <= at);
        if self.text.lines.last().is_none_or(|(_, last)| *last != line) {
            self.text.lines.push((folded.len(), line));
        }
        folded.push_str(word);
    }

    fn end_block(&mut self) {
        self.gap = true;
        let block = self.block..self.text.folded.len();
        self.block = block.end;
        let text = self.text.folded.get(block.clone()).unwrap_or_default();
        let mut found = Vec::new();
        for (at, sentence) in text.split_sentence_bound_indices() {
            let sentence = sentence.trim_end();
            // A heading promises nothing by itself; one that does ends as a sentence does.
            let stop = sentence.ends_with(['.', '!', '?', ':', ';', ',', '。', '…', ')', '"', '”']);
            let long = sentence.split(' ').count() > HEADING_WORDS_MAX;
            if sentence.contains(char::is_alphabetic) && (!self.heading || stop || long) {
                found.push(block.start + at..block.start + at + sentence.len());
            }
        }
        self.heading = false;
        if !text.trim().is_empty() {
            let blank = text.len() - text.trim_start().len();
            self.text.blocks.push(block.start + blank..block.end);
        }
        for range in found {
            let line = self.text.line(range.start);
            self.text.sentences.push(Sentence { range, line });
        }
    }

    fn finish(self) -> NoticeText {
        self.text
    }
}

/// LIMIT: words of a heading. A longer one counts as a sentence, stop or no stop.
const HEADING_WORDS_MAX: usize = 12;

fn is_block(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::Paragraph
            | Tag::Heading { .. }
            | Tag::Item
            | Tag::CodeBlock(_)
            | Tag::TableCell
            | Tag::BlockQuote(_)
            | Tag::HtmlBlock
    )
}

/// Elements whose text no reader sees.
fn is_hidden(name: &[u8]) -> bool {
    const HIDDEN: [&[u8]; 5] = [b"script", b"style", b"title", b"template", b"noscript"];
    HIDDEN.contains(&name)
}

fn is_heading(name: &[u8]) -> bool {
    matches!(name, [b'h', b'1'..=b'6'])
}

/// Elements that stand within a sentence.
fn is_inline(name: &[u8]) -> bool {
    const INLINE: [&[u8]; 28] = [
        b"a", b"abbr", b"b", b"bdi", b"bdo", b"cite", b"code", b"data", b"del", b"dfn", b"em",
        b"font", b"i", b"ins", b"kbd", b"label", b"mark", b"q", b"s", b"samp", b"small", b"span",
        b"strong", b"sub", b"sup", b"time", b"u", b"wbr",
    ];
    INLINE.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(text: &NoticeText) -> Vec<(usize, &str)> {
        text.sentences().iter().map(|s| (s.line, text.get(s.range.clone()))).collect()
    }

    #[test]
    fn a_quote_is_verbatim_but_for_line_breaks() {
        let text = "We may record calls\n  to check the quality of our service.\n";
        let text = NoticeText::new(text, Markup::Plain);
        assert_eq!(text.find("We may record calls to check the quality"), Ok(0..40));
        assert!(text.find("record calls   to check\nthe quality of our service.").is_ok());
        assert_eq!(text.find("we may record calls to check"), Err(QuoteError::NotInText));
        assert_eq!(text.find("We may record calls, to check"), Err(QuoteError::NotInText));
        assert_eq!(text.find("e may record calls to check"), Err(QuoteError::CutsAWord));
        assert_eq!(text.find("We may record calls to chec"), Err(QuoteError::CutsAWord));
        assert_eq!(text.find("the quality"), Err(QuoteError::TooShort));
        assert_eq!(text.find(""), Err(QuoteError::TooShort));
    }

    #[test]
    fn markdown_is_read_as_its_reader_sees_it() {
        let text = "# Calls and you\n\nWe record **only** [inbound](x) calls. We\nkeep `them` \
                    safe.\n\n- for training\n- for quality.\n\n<p>We never sell them.</p>\n\n\
                    | a | b |\n|---|---|\n| We share them. | No. |\n";
        let text = NoticeText::new(text, Markup::Markdown);
        assert_eq!(
            sentences(&text),
            [
                (3, "We record only inbound calls."),
                (3, "We keep them safe."),
                (6, "for training"),
                (7, "for quality."),
                (9, "We never sell them."),
                (11, "a"),
                (11, "b"),
                (13, "We share them."),
                (13, "No."),
            ]
        );
        assert!(text.find("We record only inbound calls. We keep them safe.").is_ok());
        assert_eq!(text.find("We record **only** inbound"), Err(QuoteError::NotInText));
    }

    #[test]
    fn html_is_read_as_its_reader_sees_it() {
        let text = "<!doctype html><title>We record all.</title><style>p{}</style>\n<h1>Calls</h1>\n\
                    <p>We <b>record</b> calls&nbsp;&amp; keep\nthem.<br>We don&#39;t sell \
                    them.<script>We sell them.</script></p>\n<ul><li>For training.<li>For \
                    quality.</ul><!-- We share them. -->";
        let text = NoticeText::new(text, Markup::Html);
        assert_eq!(
            sentences(&text),
            [
                (3, "We record calls & keep them."),
                (4, "We don't sell them."),
                (5, "For training."),
                (5, "For quality."),
            ]
        );
    }

    #[test]
    fn plain_text_breaks_at_blank_lines_and_items() {
        let text = "CALLS\n\nWe record calls. We keep\nthem.\n - for quality;\n - for training.\n";
        let text = NoticeText::new(text, Markup::Plain);
        let found: Vec<_> = sentences(&text).into_iter().map(|(_, s)| s).collect();
        assert_eq!(
            found,
            ["We record calls.", "We keep them.", "- for quality;", "- for training."]
        );
        assert_eq!(text.line(text.as_str().find("them.").unwrap()), 4);
    }
}
