//! The console (`[console]`): where people review, and where programs state facts.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::{Bytes, Count, Login, Millis};

/// The console's listener (`[console]`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// Address and port. Keep it on a private network.
    pub address: SocketAddr,
    /// The host names people use, in lower case, without port. Those of `[listen]`, if empty.
    #[serde(default)]
    pub names: Vec<String>,
    /// Certificate chain, PEM, leaf first. That of `[listen]`, if absent.
    pub certificate: Option<PathBuf>,
    /// Its private key. That of `[listen]`, if absent.
    pub key: Option<PathBuf>,
    /// Bytes of a request's body.
    #[serde(default = "body_bytes_max")]
    pub body_bytes_max: Bytes<1024, 16_777_216>,
    /// Connections at once.
    #[serde(default = "connections_max")]
    pub connections_max: Count<1, 10_000>,
    /// Where drafts of the notice are kept. `drafts` in the ledger's folder, if absent.
    pub drafts: Option<PathBuf>,
    /// What becomes of a draft that is approved: `folder` puts it into the policy folder, `patch`
    /// only gives it out as a patch, for whoever keeps the folder in Git.
    #[serde(default)]
    pub activation: Activation,
    /// From a request's head to the head of its answer, its body included.
    #[serde(default = "request_timeout_ms")]
    pub request_timeout_ms: Millis<100, 300_000>,
    /// How people sign in.
    #[serde(default)]
    pub login: Login,
}

/// What becomes of a draft that is approved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// It is put into the policy folder, and is in force as soon as it is loaded.
    #[default]
    Folder,
    /// It is given out as a patch.
    Patch,
}

fn body_bytes_max() -> Bytes<1024, 16_777_216> {
    Bytes::of(1 << 20)
}

fn connections_max() -> Count<1, 10_000> {
    Count::of(256)
}

fn request_timeout_ms() -> Millis<100, 300_000> {
    Millis::of(30_000)
}
