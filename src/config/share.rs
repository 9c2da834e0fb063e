//! Shares (`[shares]`).

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Count, Seconds};
use crate::secret::Secret;
use crate::words::words;

/// What stands before the `|` of the id of who holds a link. No issuer may have this name.
pub const SHARE_ISSUER: &str = "share";

/// What may be given to others by links (`[shares]`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shares {
    /// The host in links, of `listen.names`, with a port if it is not 443. The default is the first.
    pub host: Option<String>,
    /// From whom recordings are, as the page says it. The default is the host.
    pub organisation: Option<String>,
    /// The longest life of a link.
    pub life_max_seconds: Seconds<60, 31_622_400>,
    /// The most listening sessions of a link.
    pub uses_max: Count<1, 10_000>,
    /// How long a listening session lasts from its first byte.
    pub session_minutes: Count<1, 1_440>,
    /// True asks for a password or a code for each recipient outside the organisation.
    pub password_outside: bool,
    /// The recipients that are not outside, by the vocabulary's words.
    pub inside: Vec<String>,
    /// The mail server by which one-time codes go to recipients. Without it no link can ask for one.
    pub mail: Option<Mail>,
}

/// A mail server (`[shares.mail]`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Its name, as its certificate has it.
    pub host: String,
    /// Its port. The default is 465 with `tls` and 587 with `starttls`.
    pub port: Option<u16>,
    /// How the connection is encrypted; it always is.
    #[serde(default = "tls")]
    pub security: MailSecurity,
    /// From whom codes come: `Brambleside Energy <recordings@example.org>`.
    pub from: String,
    /// The user, if the server asks for one.
    pub user: Option<String>,
    /// The file with the user's password; read for each mail, so a new one needs no restart.
    pub password_file: Option<PathBuf>,
    /// Authorities that the server's certificate may be signed by, PEM. The default is those that
    /// browsers trust.
    pub ca_file: Option<PathBuf>,
}

impl Mail {
    /// The user with their password as it is now, if there is a user.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn login(&self) -> Result<Option<(String, Secret)>, String> {
        match (&self.user, &self.password_file) {
            (None, None) => Ok(None),
            (Some(user), Some(file)) => Ok(Some((user.clone(), Secret::new(&read(file)?)))),
            _ => Err("`user` and `password_file` go together".to_owned()),
        }
    }

    /// The authorities, PEM.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn authorities(&self) -> Result<Option<String>, String> {
        self.ca_file.as_deref().map(read).transpose()
    }
}

fn read(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("`{}`: {error}", file.display()))
}

words! {
    /// How a connection to a mail server is encrypted.
    MailSecurity {
        /// From its first byte (RFC 8314).
        Tls = "tls",
        /// By `STARTTLS`, without which nothing is sent (RFC 3207).
        Starttls = "starttls",
    }
}

fn tls() -> MailSecurity {
    MailSecurity::Tls
}

impl Default for Shares {
    fn default() -> Self {
        Self {
            host: None,
            organisation: None,
            life_max_seconds: Seconds::of(30 * 86_400),
            uses_max: Count::of(100),
            session_minutes: Count::of(60),
            password_outside: false,
            inside: vec!["controller".to_owned(), "internal-unit".to_owned()],
            mail: None,
        }
    }
}
