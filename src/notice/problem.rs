//! What is wrong with a policy folder, said so that the reader can mend it.

use std::fmt;

/// One thing that is wrong, or worth a look.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The file, relative to the policy folder.
    pub file: String,
    /// The line, where it is known; the first is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What belongs to it: a quote, the nearest passage, the other clause.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// True if the folder can be used all the same.
    pub warning: bool,
}

/// A text that belongs to a problem.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Note {
    /// What it is, such as `nearest in notice.md:12`.
    pub label: String,
    /// The text.
    pub text: String,
}

impl Problem {
    /// An error in a file.
    #[must_use]
    pub fn new(file: &str, line: Option<usize>, message: impl fmt::Display) -> Self {
        Self { file: file.to_owned(), line, message: message.to_string(), ..Self::default() }
    }

    /// Adds a text that belongs to it.
    #[must_use]
    pub fn note(mut self, label: impl fmt::Display, text: impl fmt::Display) -> Self {
        self.notes.push(Note { label: label.to_string(), text: text.to_string() });
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl fmt::Display) -> Self {
        self.help = Some(help.to_string());
        self
    }

    /// Makes it a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.warning = true;
        self
    }
}

/// One line, for logs and errors.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// The known word that somebody may have meant.
#[must_use]
pub(crate) fn likely<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|known| (strsim::jaro_winkler(word, known), known));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.8).then_some(best.1)
}
