//! A string that does not print.
//!
//! Credentials live in [`Secret`] from the moment they are read until the moment they are spent,
//! so that no log line, error or debug dump can hold one by accident. Only [`Secret::expose`]
//! gives the text, and a reviewer can search for that word.

/// A credential. `Debug` says only that there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a credential as it was configured, without surrounding white space (files end in a
    /// newline, and no Twilio credential holds a blank).
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The credential itself. Every call is a place where it could leak.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True when nothing was configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(not shown)")
    }
}
