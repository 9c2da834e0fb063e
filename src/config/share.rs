//! Shares (`[shares]`).

use serde::Deserialize;

use super::{Count, Seconds};

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
        }
    }
}
