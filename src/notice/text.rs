//! The words of a notice, and the search for a quote in them.
//!
//! A quote must stand in the text word for word. Only white space is folded (a run of it counts as
//! one blank), because where a published page breaks its lines is layout, not wording. Nothing
//! else is forgiven: not letter case, not quotation marks, not a comma.

/// LIMIT: the shortest quote. Anything shorter ("we", "calls") stands in every notice and would
/// prove nothing.
pub const QUOTE_BYTES_MIN: usize = 16;

/// The text of a notice with its white space folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeText {
    folded: String,
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
    pub fn new(published: &str) -> Self {
        Self { folded: fold(published) }
    }

    /// Checks that a quote stands in the text verbatim, from a word's start to a word's end.
    ///
    /// # Errors
    /// [`QuoteError`], which says what to change.
    pub fn contains(&self, quote: &str) -> Result<(), QuoteError> {
        let quote = fold(quote);
        if quote.len() < QUOTE_BYTES_MIN {
            return Err(QuoteError::TooShort);
        }
        let mut found = self.folded.match_indices(&quote).peekable();
        if found.peek().is_none() {
            return Err(QuoteError::NotInText);
        }
        let whole = |(at, _): (usize, &str)| {
            let before = self.folded.get(..at).and_then(|t| t.chars().next_back());
            let after = self.folded.get(at + quote.len()..).and_then(|t| t.chars().next());
            let joins = |outer: Option<char>, inner: Option<char>| {
                outer.is_some_and(char::is_alphanumeric) && inner.is_some_and(char::is_alphanumeric)
            };
            !joins(before, quote.chars().next()) && !joins(after, quote.chars().next_back())
        };
        if found.any(whole) { Ok(()) } else { Err(QuoteError::CutsAWord) }
    }
}

fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_verbatim_but_for_line_breaks() {
        let text = NoticeText::new("We may record calls\n  to check the quality of our service.\n");
        assert_eq!(text.contains("We may record calls to check the quality"), Ok(()));
        assert_eq!(text.contains("record calls   to check\nthe quality of our service."), Ok(()));
        assert_eq!(text.contains("we may record calls to check"), Err(QuoteError::NotInText));
        assert_eq!(text.contains("We may record calls, to check"), Err(QuoteError::NotInText));
        assert_eq!(text.contains("e may record calls to check"), Err(QuoteError::CutsAWord));
        assert_eq!(text.contains("We may record calls to chec"), Err(QuoteError::CutsAWord));
        assert_eq!(text.contains("the quality"), Err(QuoteError::TooShort));
        assert_eq!(text.contains(""), Err(QuoteError::TooShort));
    }
}
