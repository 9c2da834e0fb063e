//! Signing in at the console (`[console.login]`).

use std::path::PathBuf;

use serde::Deserialize;

use super::{Count, Seconds};
use crate::secret::Secret;

/// How people sign in at the console with a browser.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Login {
    /// The `name` of the `[[issuer]]` at which people sign in (OpenID Connect). Its `issuer` is the
    /// provider's address; its roles, subject claim, algorithms and authorities count here, too.
    /// Absent means that nobody can sign in at a provider.
    pub issuer: Option<String>,
    /// What the provider calls the console.
    pub client_id: Option<String>,
    /// The secret that was agreed with the provider. Absent for a public client, which has PKCE.
    pub client_secret_file: Option<PathBuf>,
    /// What was in the file.
    #[serde(skip)]
    pub client_secret: Option<Secret>,
    /// Scopes beside `openid`, such as the one that brings the roles.
    pub scopes: Vec<String>,
    /// Where the provider sends people who signed out there, too. It has to know the address.
    pub signed_out_url: Option<String>,
    /// Whether people can sign in with a token that the gate accepts.
    pub tokens: bool,
    /// How long a session may lie unused.
    pub idle_seconds: Seconds<60, 86_400>,
    /// How long a session lasts at most.
    pub session_seconds: Seconds<60, 604_800>,
    /// Sessions at once; the one unused for longest makes room.
    pub sessions_max: Count<1, 100_000>,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            issuer: None,
            client_id: None,
            client_secret_file: None,
            client_secret: None,
            scopes: Vec::new(),
            signed_out_url: None,
            tokens: true,
            idle_seconds: Seconds::of(1_800),
            session_seconds: Seconds::of(36_000),
            sessions_max: Count::of(1_000),
        }
    }
}
