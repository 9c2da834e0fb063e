//! The configuration file: parsed once, at the door.
//!
//! `serve` and `config check` run the same code, so a file that passes the check starts. Unknown
//! keys are refused, numbers have ranges, paths are relative to the file, and secrets are named by
//! file or environment variable, never written into it. No error quotes the file's text (it may
//! hold what somebody pasted by mistake): errors name the file, the key and the remedy.
//! `noticegate.example.toml` explains every key; a test holds it to this file.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::media::AccountSid;
use crate::purpose::Purpose;
use crate::secret::Secret;

mod check;
mod client;
mod console;
mod limits;
mod login;
mod range;
mod retention;
mod share;
mod traces;
mod webhooks;

pub(crate) use check::{line_of, without_values};
pub use client::{CLIENT_ISSUER, Clients};
pub use console::{Activation, Console};
pub use limits::Limits;
pub use login::Login;
pub use range::{Bytes, Count, Millis, Seconds};
pub use retention::Retention;
pub use share::{Mail, MailSecurity, SHARE_ISSUER, Shares};
pub use traces::Traces;
pub use webhooks::{Cors, Flex, Webhook, WebhookKey, Webhooks};

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file, or one it names, cannot be read.
    #[error("cannot read {what} `{}`", path.display())]
    Read {
        /// What the file is for.
        what: &'static str,
        /// Where it should be.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file is not TOML, or a key is unknown, missing, or of the wrong kind.
    #[error("cannot use configuration `{}`, line {line}: {problem}", path.display())]
    Syntax {
        /// The configuration file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong, without the file's text.
        problem: String,
    },
    /// The keys are well-formed but do not fit together.
    #[error("configuration key `{key}`: {problem}")]
    Value {
        /// The key, with its table.
        key: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
}

/// Everything `serve` needs to know.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The public listener.
    pub listen: Listen,
    /// The operator's listener.
    #[serde(default)]
    pub operations: Operations,
    /// Where people review and administer; absent means that there is no such listener.
    pub console: Option<Console>,
    /// Where the notices and policies are.
    pub policies: Policies,
    /// Where disclosures are recorded.
    pub ledger: Ledger,
    /// The Twilio accounts whose media is served.
    #[serde(rename = "account")]
    pub accounts: Vec<Account>,
    /// Who may issue tokens.
    #[serde(rename = "issuer")]
    pub issuers: Vec<Issuer>,
    /// Programs that prove themselves without a token.
    pub clients: Option<Clients>,
    /// How long things asked of Twilio may take.
    #[serde(default)]
    pub upstream: Upstream,
    /// How long facts stay usable.
    #[serde(default)]
    pub facts: Facts,
    /// Links that carry their own authorisation.
    #[serde(default)]
    pub links: Links,
    /// Where recordings are decrypted.
    #[serde(default)]
    pub decryption: Decryption,
    /// Twilio's callbacks.
    #[serde(default)]
    pub webhooks: Webhooks,
    /// What deletes the recordings whose time is over.
    #[serde(default)]
    pub retention: Retention,
    /// What may be given to others by links.
    #[serde(default)]
    pub shares: Shares,
    /// Pages of other origins.
    #[serde(default)]
    pub cors: Cors,
    /// Agents of Twilio Flex.
    pub flex: Option<Flex>,
    /// The file that this was read from.
    #[serde(skip)]
    pub source: Option<PathBuf>,
    /// What one caller can make the gate hold.
    #[serde(default)]
    pub limits: Limits,
    /// What is written to standard error.
    #[serde(default)]
    pub log: Log,
    /// Where requests are sent as spans.
    #[serde(default)]
    pub traces: Traces,
}

/// The public listener (`[listen]`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Address and port.
    pub address: SocketAddr,
    /// The host names callers use, in lower case, without port. Any other is refused.
    pub names: Vec<String>,
    /// Certificate chain, PEM, leaf first.
    pub certificate: PathBuf,
    /// Private key, PEM (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
    /// Threads that serve connections; 0 means one for each processor.
    #[serde(default)]
    pub workers: Count<0, 256>,
    /// How long a shutdown waits for streams before it cuts them.
    #[serde(default = "seconds::<_, _, 10>")]
    pub drain_seconds: Seconds<0, 3600>,
}

/// The operator's listener (`[operations]`): health and readiness, plain HTTP.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operations {
    /// Address and port; absent means that there is none.
    pub address: Option<SocketAddr>,
}

/// The policy folder (`[policies]`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policies {
    /// The folder that holds `vocabulary.toml`, `guardrails.cedar` and `notices/`.
    pub directory: PathBuf,
    /// How often the folder is looked at for a change; 0 only on SIGHUP.
    #[serde(default = "seconds::<_, _, 2>")]
    pub watch_seconds: Seconds<0, 3600>,
}

/// The ledger (`[ledger]`): in a file, or in PostgreSQL.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The SQLite file. Its folder must exist; the file is made when it is missing.
    pub path: Option<PathBuf>,
    /// The database, instead of a file.
    pub postgres: Option<Postgres>,
    /// Where this gate keeps what it derives from the entries: the search index, the tiles and the
    /// newest checkpoint. Beside a file, its name with `.d` is the default.
    #[serde(default)]
    pub directory: PathBuf,
    /// The ledger's secrets; made when it is missing. Beside a file, its name with `.key` is the
    /// default.
    #[serde(default)]
    pub key_file: PathBuf,
    /// The name by which others know this ledger (C2SP tlog-checkpoint: origin). The default is
    /// the first of `listen.names`, and `/ledger`.
    #[serde(default)]
    pub origin: String,
    /// How often a checkpoint is signed, if there is anything new.
    #[serde(default = "seconds::<_, _, 1>")]
    pub checkpoint_seconds: Seconds<1, 3600>,
    /// A file, best on another machine's disk, that is given each new checkpoint.
    pub checkpoint_file: Option<PathBuf>,
    /// Where each new checkpoint is sent by POST.
    pub checkpoint_url: Option<String>,
    /// PEM file of the authorities that may sign the certificates of `checkpoint_url` and of
    /// witnesses, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Who cosigns checkpoints.
    #[serde(default, rename = "witness")]
    pub witnesses: Vec<Witness>,
    /// How long entries are kept at the least; `ledger prune` drops no younger ones. Six years
    /// are what 45 CFR 164.316(b)(2)(i) asks for.
    #[serde(default = "count::<_, _, 2192>")]
    pub keep_days: Count<1, 36_500>,
    /// How long a disclosure may wait for its entry to be durable.
    #[serde(default = "millis::<_, _, 2000>")]
    pub timeout_ms: Millis<10, 60_000>,
    /// Entries a second for refused strangers; the rest are counted in the next entry.
    #[serde(default = "count::<_, _, 20>")]
    pub stranger_entries_per_second: Count<0, 10_000>,
}

/// A database (`[ledger.postgres]`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// File that holds the connection string: `postgresql://user:password@host/database`.
    pub url_file: Option<PathBuf>,
    /// Environment variable that holds it.
    pub url_env: Option<String>,
    /// PEM file of the authorities that may sign the server's certificate, instead of the public
    /// ones.
    pub ca_file: Option<PathBuf>,
    /// The connection string, once read.
    #[serde(skip, default = "no_secret")]
    pub url: Secret,
}

/// A witness (`[[ledger.witness]]`): another process, with another administrator, that cosigns
/// what is consistent with everything it has cosigned before.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// Where it is asked: `add-checkpoint` is put behind it.
    pub url: String,
    /// Its verifier key, as `noticegate witness` prints it.
    pub key: String,
}

/// One Twilio account (`[[account]]`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The account's SID, as it stands in its URLs.
    pub sid: AccountSid,
    /// Scheme and host of the API that serves it: `https://api.twilio.com` or a regional one.
    #[serde(default = "default_upstream")]
    pub upstream: String,
    /// The user name for basic auth: an API key's SID. Absent means the account's SID.
    pub username: Option<String>,
    /// File that holds the auth token or the API key's secret.
    pub secret_file: Option<PathBuf>,
    /// Environment variable that holds it.
    pub secret_env: Option<String>,
    /// PEM file of the authorities that may sign the upstream's certificate, instead of the
    /// public ones.
    pub ca_file: Option<PathBuf>,
    /// Other hosts of Twilio's for this account, by product: `video`, `live`, `mcs`,
    /// `intelligence`, `iam`. What is not named is served beside `upstream`.
    #[serde(default)]
    pub upstreams: BTreeMap<String, String>,
    /// Subaccounts that are read with this account's credential.
    #[serde(default)]
    pub subaccounts: Vec<AccountSid>,
    /// The host names, of `listen.names`, on which this account is the one that is meant; a region
    /// is chosen by them. Absent means all that belong to no other.
    #[serde(default)]
    pub names: Vec<String>,
    /// The private keys of the public keys with which Twilio encrypts this account's recordings.
    #[serde(default, rename = "encryption_key")]
    pub encryption_keys: Vec<EncryptionKey>,
    /// Hosts that a redirect may lead to: `name`, `name:port` or `*.name`.
    #[serde(default = "default_redirect_hosts")]
    pub redirect_hosts: Vec<String>,
    /// Requests under way at once; Twilio limits them for each account (error 20429).
    #[serde(default = "count::<_, _, 50>")]
    pub concurrent_requests_max: Count<1, 10_000>,
    /// The secret, once read.
    #[serde(skip, default = "no_secret")]
    pub secret: Secret,
}

/// A private key that opens recordings (`[[account.encryption_key]]`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncryptionKey {
    /// The public key's SID at Twilio, `CR...`.
    pub sid: String,
    /// The private key, PEM (PKCS#8 or PKCS#1).
    pub file: PathBuf,
    /// The text of the file, once read.
    #[serde(skip, default = "no_secret")]
    pub pem: Secret,
}

/// One issuer of tokens (`[[issuer]]`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// A short name that makes callers' ids unique: `staff`, `crm`.
    pub name: String,
    /// The `iss` claim, byte for byte.
    pub issuer: String,
    /// Accepted `aud` values; a token must name one of them.
    pub audiences: Vec<String>,
    /// Where its keys are published (HTTPS).
    pub jwks_url: Option<String>,
    /// A file with its keys instead.
    pub jwks_file: Option<PathBuf>,
    /// PEM file of the authorities that may sign the certificate of `jwks_url`.
    pub ca_file: Option<PathBuf>,
    /// Accepted algorithms, asymmetric only.
    pub algorithms: Vec<Algorithm>,
    /// How old the keys may grow before they are fetched again.
    #[serde(default = "seconds::<_, _, 600>")]
    pub refresh_seconds: Seconds<10, 86_400>,
    /// How long keys are used when they cannot be fetched again.
    #[serde(default = "seconds::<_, _, 86400>")]
    pub stale_seconds: Seconds<0, 604_800>,
    /// How far the issuer's clock may be off.
    #[serde(default = "seconds::<_, _, 30>")]
    pub leeway_seconds: Seconds<0, 120>,
    /// The longest life (`exp` - `nbf`) of a token that is accepted.
    #[serde(default = "seconds::<_, _, 86400>")]
    pub lifetime_max_seconds: Seconds<60, 2_592_000>,
    /// The claim that names the caller.
    #[serde(default = "default_subject_claim")]
    pub subject_claim: String,
    /// The claim that lists groups or roles, with dots into nested objects.
    #[serde(default = "default_roles_claim")]
    pub roles_claim: String,
    /// From a value in that claim to a role of the vocabulary. What is not listed counts nothing.
    pub roles: BTreeMap<String, String>,
    /// The claim that says the purpose, if the issuer sets one.
    pub purpose_claim: Option<String>,
    /// The purpose when neither request nor token says one.
    pub default_purpose: Option<Purpose>,
}

/// Signature algorithms of RFC 7518 and RFC 8037 that need no shared secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[expect(missing_docs, reason = "the names are the standards' own")]
pub enum Algorithm {
    ES256,
    ES384,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    EdDSA,
}

/// Time limits upstream (`[upstream]`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// TCP and TLS handshake.
    pub connect_timeout_ms: Millis<10, 60_000>,
    /// From the request to the head of the answer, each hop.
    pub head_timeout_ms: Millis<10, 120_000>,
    /// The longest silence within a body.
    pub idle_timeout_ms: Millis<10, 300_000>,
    /// How long a request waits for its turn when the account's limit is reached.
    pub queue_timeout_ms: Millis<0, 60_000>,
    /// Redirects followed.
    pub redirects_max: Count<0, 10>,
    /// Further tries of what is safe to try again: refused connections, 429, 502, 503, 504.
    pub retries_max: Count<0, 5>,
    /// Idle connections kept for each host and worker.
    pub idle_connections_max: Count<0, 1000>,
    /// How long they are kept.
    pub idle_connection_seconds: Seconds<1, 3600>,
}

/// Ages of facts (`[facts]`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    /// The greatest age at which a fact may take part in a decision.
    pub age_max_seconds: Seconds<1, 3600>,
    /// The same while a recording is not yet completed.
    pub unsettled_age_max_seconds: Seconds<1, 60>,
    /// Recordings whose facts are kept in memory.
    pub entries_max: Count<1, 10_000_000>,
}

/// Links that carry their own authorisation (`[links]`), where Twilio gives pre-signed URLs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Links {
    /// How long one can be used. Each use is decided again.
    pub life_seconds: Seconds<10, 14_400>,
}

/// Where recordings are decrypted (`[decryption]`). Nothing of one is told before all of it has
/// come and its tag has been verified.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Decryption {
    /// The folder for what does not fit into memory; written under keys that are never stored. The
    /// default is the system's for temporary files.
    pub directory: Option<PathBuf>,
    /// Bytes of one recording that are kept in memory.
    pub memory_bytes_max: Bytes<65_536, 1_073_741_824>,
    /// Bytes of all decrypted recordings that are kept for the next range request.
    pub cache_bytes_max: Bytes<0, { u64::MAX }>,
    /// How long one is kept.
    pub keep_seconds: Seconds<1, 3600>,
}

/// The log (`[log]`), on standard error.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Text for people, JSON for machines.
    pub format: LogFormat,
    /// What to write: `error`, `warn`, `info`, `debug`, `trace`.
    pub level: LogLevel,
    /// A line for each answer: its status, entry and time; never a path.
    pub requests: bool,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the usual names")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            connect_timeout_ms: Millis::of(5_000),
            head_timeout_ms: Millis::of(15_000),
            idle_timeout_ms: Millis::of(30_000),
            queue_timeout_ms: Millis::of(5_000),
            redirects_max: Count::of(3),
            retries_max: Count::of(2),
            idle_connections_max: Count::of(32),
            idle_connection_seconds: Seconds::of(50),
        }
    }
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            age_max_seconds: Seconds::of(300),
            unsettled_age_max_seconds: Seconds::of(2),
            entries_max: Count::of(100_000),
        }
    }
}

impl Default for Links {
    fn default() -> Self {
        Self { life_seconds: Seconds::of(300) }
    }
}

impl Default for Decryption {
    fn default() -> Self {
        Self {
            directory: None,
            memory_bytes_max: Bytes::of(1 << 20),
            cache_bytes_max: Bytes::of(1 << 30),
            keep_seconds: Seconds::of(300),
        }
    }
}

fn default_upstream() -> String {
    "https://api.twilio.com".to_owned()
}

/// Hosts that Twilio has been seen to redirect media to.
fn default_redirect_hosts() -> Vec<String> {
    let hosts = [
        // Twilio's own, in all regions: nothing that follows a redirect carries a credential.
        "*.twilio.com",
        "*.twiliocdn.com",
        "s3-external-1.amazonaws.com",
        "com-twilio-us1-video-recording.s3.amazonaws.com",
        "com-twilio-us1-video-composition.s3.amazonaws.com",
        "com-twilio-us1-live-recordings.s3.amazonaws.com",
        "com.twilio.us1.video.recording.s3.amazonaws.com",
        "com.twilio.us1.video.composition.s3.amazonaws.com",
        "com.twilio.us1.sentences.s3.amazonaws.com",
    ];
    hosts.map(str::to_owned).to_vec()
}

fn default_subject_claim() -> String {
    "sub".to_owned()
}

fn default_roles_claim() -> String {
    "roles".to_owned()
}

fn no_secret() -> Secret {
    Secret::new("")
}

fn count<const MIN: u64, const MAX: u64, const N: u64>() -> Count<MIN, MAX> {
    Count::of(N)
}

fn millis<const MIN: u64, const MAX: u64, const N: u64>() -> Millis<MIN, MAX> {
    Millis::of(N)
}

fn seconds<const MIN: u64, const MAX: u64, const N: u64>() -> Seconds<MIN, MAX> {
    Seconds::of(N)
}
