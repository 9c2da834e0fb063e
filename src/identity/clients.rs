//! The machine clients: programs that prove themselves by a secret, a certificate, or both.
//!
//! They stand in a TOML file of their own, one `[[client]]` each, that `noticegate client` writes
//! and that may be edited by hand. It holds no secret, only SHA-256 digests of secrets. One plain
//! SHA-256 is enough, and fast: a slow hash protects what people think up, against guessing by
//! dictionary; our secrets are 256 random bits, which nobody guesses at any speed.
//!
//! The file is read whole or not at all, and an error names the line.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use toml::Spanned;

use super::Role;
use super::bucket::{Bucket, Rate};
use super::certificate::CertificateName;
use crate::config::{Count, line_of, without_values};
use crate::media::AccountSid;
use crate::purpose::Purpose;

/// LIMIT: bytes of the file, so that a wrong path (a device, a log) ends in an error.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// LIMIT: characters of an id; it stands in every entry.
const ID_BYTES_MAX: usize = 64;

/// LIMIT: secrets of one client. Two, so that a new one can be given out before the old one goes.
pub const SECRETS_MAX: usize = 2;

/// A clients file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    /// It cannot be read.
    #[error("cannot read the clients in `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("cannot use the clients in `{}`, line {line}: {problem}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong and what to write instead, without the file's text.
        problem: String,
    },
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "client")]
    clients: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Spanned<String>,
    name: String,
    #[serde(default)]
    secrets: Vec<SecretHash>,
    certificate: Option<Spanned<String>>,
    roles: Vec<Spanned<String>>,
    default_purpose: Option<Spanned<Purpose>>,
    purposes: Option<Spanned<Vec<Purpose>>>,
    account: Option<AccountSid>,
    expires: Option<Timestamp>,
    requests_per_second: Option<Count<1, 10_000>>,
    burst: Option<Spanned<Count<1, 10_000>>>,
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

/// One secret's digest, and when the secret was made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretHash {
    /// The digest.
    pub hash: Digest,
    /// When it was made.
    pub created: Timestamp,
}

/// A SHA-256, written `sha256:` and 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of a secret.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(super::sha256(secret.as_bytes()))
    }

    /// Compares in constant time.
    pub(super) fn is(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    /// The first eight hex digits: enough to say which secret it was.
    #[must_use]
    pub fn short(&self) -> String {
        hex(&self.0).chars().take(8).collect()
    }
}

/// What is compared where there is no secret to compare with. Nobody knows what hashes to it.
pub(super) const NO_DIGEST: Digest = Digest([0; 32]);

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{}", hex(&self.0))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{}…", self.short())
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "a secret's hash is `sha256:` and 64 lower-case hex digits";
        let digits = text.strip_prefix("sha256:").ok_or(wrong)?;
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let pair = |pair: &[u8]| match pair {
            [high, low] => Some(value(*high)? << 4 | value(*low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(pair).collect();
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(wrong)
    }
}

/// One client.
#[derive(Debug)]
pub struct Client {
    /// Its id, which is the user name of basic auth.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The digests of its secrets, oldest first; at most [`SECRETS_MAX`].
    pub secrets: Vec<SecretHash>,
    /// The name that its certificate must carry.
    pub certificate: Option<CertificateName>,
    /// Its roles, sorted, without doubles.
    pub roles: Arc<[Role]>,
    /// The purpose when a request names none.
    pub default_purpose: Option<Purpose>,
    /// The purposes that a request may name; `None` is any.
    pub purposes: Option<Vec<Purpose>>,
    /// The account that is meant where a path names none.
    pub account: Option<AccountSid>,
    /// From then on it is a stranger.
    pub expires: Option<Timestamp>,
    /// How often it may ask; `None` is as often as it likes.
    pub rate: Option<Rate>,
    /// False makes it a stranger.
    pub enabled: bool,
    /// What it has left of its rate. It outlives a reload of the file.
    pub(super) bucket: Arc<Bucket>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Clients {
    all: Vec<Arc<Client>>,
    by_id: HashMap<String, usize>,
    by_certificate: HashMap<CertificateName, usize>,
}

impl Clients {
    /// Reads the file; `roles` are the policy vocabulary's.
    ///
    /// # Errors
    /// [`ClientsError`] names the file, the line and the remedy.
    pub fn load(path: &Path, roles: &BTreeSet<Role>) -> Result<Self, ClientsError> {
        let unreadable = |source| ClientsError::Read { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut text = String::new();
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(&text, path, roles)
    }

    /// The same from a text in memory; `path` is named in errors.
    ///
    /// # Errors
    /// [`ClientsError`], as for [`Clients::load`].
    pub fn parse(text: &str, path: &Path, roles: &BTreeSet<Role>) -> Result<Self, ClientsError> {
        let unusable = |offset: usize, problem: String| ClientsError::Unusable {
            path: path.to_owned(),
            line: line_of(text, offset),
            problem,
        };
        if text.len() as u64 >= FILE_BYTES_MAX {
            return Err(unusable(0, "it is longer than 16 MiB".to_owned()));
        }
        let file: File = toml::from_str(text).map_err(|error| {
            unusable(error.span().map_or(0, |span| span.start), without_values(error.message()))
        })?;
        let mut clients = Self::default();
        for entry in file.clients {
            let at = entry.get_ref().id.span().start;
            let named = entry.get_ref().certificate.as_ref().map(|name| name.span().start);
            let client = entry
                .into_inner()
                .check(roles)
                .map_err(|Wrong(offset, problem)| unusable(offset, problem))?;
            let index = clients.all.len();
            if let Some(name) = &client.certificate
                && clients.by_certificate.insert(name.clone(), index).is_some()
            {
                let problem = format!("the `certificate` of `{}` is another client's", client.id);
                return Err(unusable(named.unwrap_or(at), problem));
            }
            if clients.by_id.insert(client.id.clone(), index).is_some() {
                return Err(unusable(at, format!("client `{}` is listed twice", client.id)));
            }
            clients.all.push(Arc::new(client));
        }
        Ok(clients)
    }

    /// All of them, as they stand in the file.
    pub fn all(&self) -> impl Iterator<Item = &Client> {
        self.all.iter().map(|client| &**client)
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<Client>> {
        self.by_id.get(id).and_then(|index| self.all.get(*index))
    }

    /// True if a client is to show a certificate, so that callers must be asked for theirs.
    #[must_use]
    pub fn want_certificates(&self) -> bool {
        self.all.iter().any(|client| client.certificate.is_some())
    }

    /// Those whose name is among these.
    pub(super) fn named<'a>(
        &'a self,
        names: &[CertificateName],
    ) -> impl Iterator<Item = &'a Arc<Client>> {
        let found = names.iter().filter_map(|name| self.by_certificate.get(name));
        // A certificate may say a name twice.
        let found: BTreeSet<usize> = found.copied().collect();
        found.into_iter().filter_map(|index| self.all.get(index))
    }

    /// Takes over what the clients before had left of their rates.
    pub(super) fn go_on_from(&mut self, before: &Self) {
        for client in self.all.iter_mut().filter_map(Arc::get_mut) {
            if let Some(before) = before.get(&client.id) {
                client.bucket = Arc::clone(&before.bucket);
            }
        }
    }
}

/// What is wrong, and where.
struct Wrong(usize, String);

impl Entry {
    fn check(self, roles: &BTreeSet<Role>) -> Result<Client, Wrong> {
        let at = self.id.span().start;
        let id = self.id.into_inner();
        if !is_id(&id) {
            // It is not quoted: it may be a secret in the wrong place.
            let problem = "an `id` is 1 to 64 letters, digits, dots, underscores and hyphens";
            return Err(Wrong(at, problem.to_owned()));
        }
        let wrong = |offset, problem: &str| Wrong(offset, format!("client `{id}`: {problem}"));
        if self.name.trim().is_empty() || self.name.chars().any(char::is_control) {
            return Err(wrong(at, "give it a `name` of one line"));
        }
        if self.secrets.len() > SECRETS_MAX {
            return Err(wrong(
                at,
                "two `secrets` at most; drop the older with `client rotate \
                                  --finish`",
            ));
        }
        let certificate = self.certificate.map(|name| {
            let parsed = name.get_ref().parse::<CertificateName>();
            parsed.map_err(|error| wrong(name.span().start, &error.to_string()))
        });
        let certificate = certificate.transpose()?;
        if self.secrets.is_empty() && certificate.is_none() {
            return Err(wrong(at, "it needs `secrets`, a `certificate`, or both"));
        }
        for role in &self.roles {
            if !roles.contains(&Role::new(role.get_ref())) {
                let known: Vec<&str> = roles.iter().map(Role::as_str).collect();
                let problem = format!(
                    "the policies have no role `{}`; they have {}",
                    role.get_ref(),
                    known.join(", ")
                );
                return Err(wrong(role.span().start, &problem));
            }
        }
        if let Some(purposes) = &self.purposes {
            let (offset, purposes) = (purposes.span().start, purposes.get_ref());
            let default = self.default_purpose.as_ref().map(Spanned::get_ref);
            if purposes.is_empty() {
                return Err(wrong(offset, "`purposes` lists none; leave it out to allow any"));
            }
            if default.is_some_and(|default| !purposes.contains(default)) {
                return Err(wrong(offset, "`default_purpose` is not among its `purposes`"));
            }
        }
        let number = |count: Count<1, 10_000>| i64::try_from(count.get()).unwrap_or(i64::MAX);
        let rate = match (self.requests_per_second, self.burst) {
            (None, None) => None,
            (None, Some(burst)) => {
                let problem = "`burst` goes with `requests_per_second`";
                return Err(wrong(burst.span().start, problem));
            }
            (Some(rate), burst) => Some(Rate {
                per_second: number(rate),
                burst: number(burst.map_or(rate, Spanned::into_inner)),
            }),
        };
        let mut roles: Vec<Role> =
            self.roles.iter().map(|role| Role::new(role.get_ref())).collect();
        roles.sort_unstable();
        roles.dedup();
        Ok(Client {
            name: self.name,
            secrets: self.secrets,
            certificate,
            roles: roles.into(),
            default_purpose: self.default_purpose.map(Spanned::into_inner),
            purposes: self.purposes.map(Spanned::into_inner),
            account: self.account,
            expires: self.expires,
            rate,
            enabled: self.enabled,
            bucket: Arc::default(),
            id,
        })
    }
}

/// True if a text can be a client's id. An account's or API key's SID can: Twilio's SDKs take no
/// other user name.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    fn read(text: &str) -> Result<Clients, String> {
        let roles = BTreeSet::from([Role::new("trainer"), Role::new("team-lead")]);
        Clients::parse(text, Path::new("clients.toml"), &roles).map_err(|error| error.to_string())
    }

    fn client(lines: &str) -> String {
        format!(
            "[[client]]\nid = \"a\"\nname = \"A\"\nroles = [\"trainer\"]\n\
             secrets = [{{ hash = \"{HASH}\", created = \"2026-11-23T12:00:00Z\" }}]\n{lines}\n"
        )
    }

    #[test]
    fn a_whole_client_is_read() {
        let text = client(
            "default_purpose = \"quality-monitoring\"\npurposes = [\"quality-monitoring\"]\n\
             account = \"AC00000000000000000000000000000001\"\ncertificate = \"dns:a.example\"\n\
             expires = \"2027-01-01T00:00:00Z\"\nrequests_per_second = 5\nburst = 10\n\
             enabled = false",
        );
        let clients = read(&text).unwrap();
        let client = clients.get("a").unwrap();
        assert_eq!(client.secrets[0].hash, Digest::of("secret"));
        assert_eq!(client.rate, Some(Rate { per_second: 5, burst: 10 }));
        assert!(!client.enabled && clients.want_certificates());
        assert!(client.account.is_some() && client.expires.is_some());
        let least =
            read("[[client]]\nid = \"b\"\nname = \"B\"\nroles = []\ncertificate = \"cn:b\"");
        let least = least.unwrap();
        let least = least.get("b").unwrap();
        assert!(least.enabled && least.rate.is_none() && least.purposes.is_none());
        let plain = read(&client_with_rate()).unwrap();
        assert_eq!(plain.get("a").unwrap().rate, Some(Rate { per_second: 3, burst: 3 }));
        assert!(read("").unwrap().all().next().is_none());
    }

    fn client_with_rate() -> String {
        client("requests_per_second = 3")
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let twice = format!("{}{}", client(""), client(""));
        let third = client("").replace("]\n\n", ", HERE, HERE]\n").replace(
            "HERE",
            &format!("{{ hash = \"{HASH}\", created = \"2026-11-23T12:00:00Z\" }}"),
        );
        let named = |id: &str| {
            format!(
                "[[client]]\nid = \"{id}\"\nname = \"A\"\nroles = []\ncertificate = \"dns:X.example\"\n"
            )
        };
        let shared = format!("{}{}", named("a"), named("b").replace('X', "x"));
        let cases = [
            (client("secret = \"ngs_x\""), 6, "unknown field `secret`"),
            (client("enabled = \"ngs_x\""), 6, "expected a boolean"),
            (client("requests_per_second = 0"), 6, "must be between 1 and 10000"),
            (client("requests_per_second = 10001"), 6, "must be between 1 and 10000"),
            (client("burst = 3"), 6, "`burst` goes with `requests_per_second`"),
            (client("purposes = []"), 6, "`purposes` lists none"),
            (client("purposes = [\"a\"]\ndefault_purpose = \"b\""), 6, "not among its `purposes`"),
            (client("default_purpose = \"A b\""), 6, "a purpose is 1 to 64"),
            (client("certificate = \"a.example\""), 6, "`dns:`, `uri:`, `email:` or `cn:`"),
            (client("account = \"AC1\""), 6, "SID"),
            (client("").replace("trainer", "tamer"), 4, "they have team-lead, trainer"),
            (client("").replace("\"a\"", "\"a|b\""), 2, "an `id` is 1 to 64"),
            (client("").replace("\"a\"", &format!("\"{}\"", "a".repeat(65))), 2, "1 to 64"),
            (client("").replace("\"A\"", "\" \""), 2, "`name` of one line"),
            (client("").replace("sha256:2", "sha256:G"), 5, "64 lower-case hex digits"),
            (client("").replace("5b\"", "\""), 5, "64 lower-case hex digits"),
            (
                "[[client]]\nid = \"a\"\nname = \"A\"\nroles = []".to_owned(),
                2,
                "it needs `secrets`",
            ),
            ("[[client]]\nname = \"A\"\nroles = []".to_owned(), 1, "missing field `id`"),
            (twice, 8, "client `a` is listed twice"),
            (third, 2, "two `secrets` at most"),
            (shared, 10, "the `certificate` of `b` is another client's"),
        ];
        for (text, line, said) in cases {
            let error = read(&text).map(|_| ()).unwrap_err();
            let place = format!("cannot use the clients in `clients.toml`, line {line}: ");
            assert!(error.starts_with(&place) && error.contains(said), "{error}\nfor\n{text}");
            assert!(!error.contains("ngs_x"), "no value is quoted: {error}");
        }
    }

    #[test]
    fn debug_shows_no_whole_digest() {
        let clients = read(&client("")).unwrap();
        let shown = format!("{clients:?}");
        assert!(shown.contains("2bb80d53") && !shown.contains("2bb80d537b"), "{shown}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(\\[\\[client\\]\\]|id|name|=|\"|a|\\n|\\[|\\{|.)*") {
            let _ = read(&text);
        }

        #[test]
        fn a_digest_has_one_form(bytes: [u8; 32]) {
            let digest = Digest(bytes);
            proptest::prop_assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
        }
    }
}
