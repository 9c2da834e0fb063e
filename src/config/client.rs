//! Machine clients (`[clients]`).

use std::path::PathBuf;

use serde::Deserialize;

/// What stands before the `|` of a client's id as a caller. No issuer may have this name, so that
/// nobody's tokens can name a client.
pub const CLIENT_ISSUER: &str = "client";

/// Programs that prove themselves by a secret or a certificate (`[clients]`). An `Authorization`
/// header decides who asks, also on a connection with a certificate; but a client that has both a
/// `certificate` and a secret must show both.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clients {
    /// The file that lists them; `noticegate client` writes it.
    pub file: PathBuf,
    /// PEM file of the authorities that may sign clients' certificates. With it, callers are asked
    /// for a certificate; without it, none is looked at.
    pub ca_file: Option<PathBuf>,
    /// True lets nobody connect without such a certificate, whatever else they have to show.
    #[serde(default)]
    pub required: bool,
}
