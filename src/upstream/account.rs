//! The configured accounts: where each is served, with what credential, within what limits.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::UpstreamError;
use super::decrypt::{ContentKey, DecryptError, Envelope, KeySid, NotAKeySid, PrivateKeys};
use super::pool::Origin;
use crate::config;
use crate::media::{AccountSid, Product};

/// An account that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// The authorities cannot be read.
    #[error("cannot use the certificate authorities in `{}`: {problem}", path.display())]
    Authorities {
        /// The PEM file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// An issuer's key URL cannot be used.
    #[error("cannot use jwks_url of issuer `{issuer}`: it is not an https URL with a host")]
    KeyUrl {
        /// The issuer's short name.
        issuer: String,
    },
    /// A private key cannot be used.
    #[error("account {sid}, encryption_key: {problem}")]
    Key {
        /// The account.
        sid: AccountSid,
        /// What is wrong.
        problem: String,
    },
    /// The upstream or the credential cannot be put into a request.
    #[error("cannot use account {sid}: {problem}")]
    Unusable {
        /// The account.
        sid: AccountSid,
        /// What is wrong.
        problem: &'static str,
    },
}

/// All configured accounts. They can be exchanged while requests are under way.
#[derive(Debug)]
pub struct Accounts(RwLock<Arc<[Site]>>);

/// One account at one of Twilio's regions: where it is served, with what credential, within what
/// limits. Clones are the same.
#[derive(Clone, Debug)]
pub struct Site(pub(super) Arc<Account>);

#[derive(Clone, Debug)]
pub(super) struct Account {
    sid: AccountSid,
    subaccounts: Vec<AccountSid>,
    /// The host names on which this account is the one that is meant.
    names: Vec<String>,
    origins: Vec<(Product, Origin)>,
    /// `Basic ...`, marked so that it prints as `Sensitive`.
    pub(super) credential: HeaderValue,
    pub(super) redirect_hosts: Vec<String>,
    pub(super) private_keys: Arc<PrivateKeys>,
    pub(super) tls: Arc<ClientConfig>,
    /// Twilio limits concurrent requests for each account, whoever makes them.
    pub(super) slots: Arc<Semaphore>,
    slots_max: usize,
    /// True while Twilio does not accept the credential.
    refused: Arc<AtomicBool>,
}

/// What opens the content of one recording.
#[derive(Debug)]
pub struct Opening {
    pub(super) key: ContentKey,
    pub(super) iv: [u8; 12],
}

/// Why a request has no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSite {
    /// It is not configured here.
    #[error("the account is not configured")]
    Unknown,
    /// It is the id of the client that asks.
    #[error(
        "this path has the client's own id in the place of the account's SID; give Twilio's SDK \
         the account's SID, too: `Client(id, secret, account)` in Python, `{{ accountSid }}` in Node"
    )]
    OfClient,
    /// Several would do.
    #[error(
        "this path names no account, and several are served here; ask on the host name of one, or \
         as a client that has one"
    )]
    Ambiguous,
}

impl Accounts {
    /// Prepares the configured accounts.
    ///
    /// # Errors
    /// [`AccountsError`] names the file or the account.
    pub fn new(settings: &[config::Account]) -> Result<Self, AccountsError> {
        let sites = settings.iter().map(|account| Ok(Site(Arc::new(Account::new(account)?))));
        Ok(Self(RwLock::new(sites.collect::<Result<_, AccountsError>>()?)))
    }

    fn now(&self) -> Arc<[Site]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts others in their place, for every request that comes from now on. What is under way at
    /// Twilio goes on being counted.
    pub fn replace(&self, others: &Self) {
        let before = self.now();
        let goes_on = |new: &Site| {
            let same = |old: &&Site| old.0.sid == new.0.sid && old.0.names == new.0.names;
            let Some(Site(old)) = before.iter().find(same) else { return new.clone() };
            let mut account = (*new.0).clone();
            if old.slots_max == account.slots_max {
                account.slots = Arc::clone(&old.slots);
            }
            // Twilio has not judged another credential yet.
            if old.credential == account.credential {
                account.refused = Arc::clone(&old.refused);
            }
            Site(Arc::new(account))
        };
        let sites = others.now();
        let sites = sites.iter().map(goes_on);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = sites.collect();
    }

    /// One that serves this account.
    #[must_use]
    pub fn of(&self, sid: AccountSid) -> Option<Site> {
        self.now().iter().find(|site| site.0.serves(sid)).cloned()
    }

    /// All accounts that are served.
    #[must_use]
    pub fn all(&self) -> Vec<AccountSid> {
        let sites = self.now();
        let own = sites
            .iter()
            .flat_map(|site| [site.0.sid].into_iter().chain(site.0.subaccounts.clone()));
        own.collect()
    }

    /// The accounts, and whether Twilio refused each one's credential when it was last shown.
    #[must_use]
    pub fn refused(&self) -> Vec<(AccountSid, bool)> {
        let sites = self.now();
        sites.iter().map(|site| (site.0.sid, site.0.refused.load(Ordering::Relaxed))).collect()
    }

    /// The account that a request means: the one in its path, or the one of its host or client.
    ///
    /// # Errors
    /// [`NoSite`] if there is none, or not one alone.
    pub fn find(
        &self,
        host: &str,
        in_path: Option<AccountSid>,
        of_client: Option<AccountSid>,
    ) -> Result<Site, NoSite> {
        let sites = self.now();
        let wanted = in_path.or(of_client);
        let serves = |site: &&Site| wanted.is_none_or(|sid| site.0.serves(sid));
        let is_named = |site: &&Site| site.0.names.iter().any(|name| name == host);
        let mut named = sites.iter().filter(is_named).filter(serves).peekable();
        // A host that belongs to an account is for nobody else.
        let is_owned = sites.iter().any(|site| is_named(&site));
        let mut open = sites.iter().filter(|site| site.0.names.is_empty()).filter(serves);
        let (first, second) = match (named.peek().is_some(), is_owned) {
            (true, _) => (named.next(), named.next()),
            (false, true) => (None, None),
            (false, false) => (open.next(), open.next()),
        };
        match (first, second) {
            (Some(site), None) => Ok(site.clone()),
            (Some(_), Some(_)) => Err(NoSite::Ambiguous),
            (None, _) => Err(NoSite::Unknown),
        }
    }
}

impl Site {
    /// The account itself.
    #[must_use]
    pub fn account(&self) -> AccountSid {
        self.0.sid
    }

    /// Twilio has judged the credential by answering so.
    pub(super) fn judged(&self, status: StatusCode) {
        let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        self.0.refused.store(refused, Ordering::Relaxed);
    }

    pub(super) fn has_keys(&self) -> bool {
        !self.0.private_keys.is_empty()
    }

    /// The key of a recording's content, from what Twilio says of its encryption; `None` if no key
    /// that is held opens it, so that only its ciphertext can be had.
    ///
    /// # Errors
    /// What is wrong with the envelope, or with the key that it names.
    pub fn content_key(&self, details: &Value) -> Result<Option<Opening>, String> {
        let envelope = Envelope::read(details).map_err(|error| error.to_string())?;
        match self.0.private_keys.open(&envelope) {
            Ok(key) => Ok(Some(Opening { key, iv: envelope.iv() })),
            Err(DecryptError::NoKey { .. } | DecryptError::NoKeys) => Ok(None),
            Err(other) => Err(other.to_string()),
        }
    }

    /// Whether a URL's host is one of Twilio's, or one that stands in for it.
    pub(super) fn is_own_host(&self, authority: &str) -> bool {
        let host = authority.strip_suffix(":443").unwrap_or(authority);
        host == "twilio.com"
            || host.ends_with(".twilio.com")
            || self.0.origins.iter().any(|(_, origin)| origin.host_header() == host)
    }

    pub(super) fn origin(&self, product: Product) -> Result<&Origin, UpstreamError> {
        let found = self.0.origins.iter().find(|(of, _)| *of == product);
        found.map(|(_, origin)| origin).ok_or(UpstreamError::NoAccount)
    }
}

impl Account {
    fn serves(&self, sid: AccountSid) -> bool {
        self.sid == sid || self.subaccounts.contains(&sid)
    }

    fn new(settings: &config::Account) -> Result<Self, AccountsError> {
        let unusable = |problem| AccountsError::Unusable { sid: settings.sid, problem };
        let sid = settings.sid.to_string();
        let user = settings.username.as_ref().unwrap_or(&sid);
        let pair = format!("{user}:{}", settings.secret.expose());
        let mut credential = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
            .map_err(|_| unusable("its credential does not fit into a header"))?;
        credential.set_sensitive(true);
        let tls = Arc::new(client_tls(settings.ca_file.as_deref())?);
        let origins = Product::ALL.iter().map(|product| {
            let authority = authority(settings, *product);
            let origin = Origin::parse(&authority, Arc::clone(&tls));
            Some((*product, origin?))
        });
        let origins = origins.collect::<Option<_>>();
        let origins =
            origins.ok_or_else(|| unusable("an upstream is not a host name with a port"))?;
        let slots_max = settings.concurrent_requests_max.as_usize();
        let mut private_keys = PrivateKeys::default();
        for key in &settings.encryption_keys {
            let wrong = |problem: String| AccountsError::Key { sid: settings.sid, problem };
            let sid: KeySid =
                key.sid.parse().map_err(|error: NotAKeySid| wrong(error.to_string()))?;
            private_keys.add(sid, key.pem.expose()).map_err(|error| wrong(error.to_string()))?;
        }
        Ok(Self {
            private_keys: Arc::new(private_keys),
            sid: settings.sid,
            subaccounts: settings.subaccounts.clone(),
            names: settings.names.clone(),
            origins,
            credential,
            redirect_hosts: settings.redirect_hosts.clone(),
            tls,
            slots: Arc::new(Semaphore::new(slots_max)),
            slots_max,
            refused: Arc::default(),
        })
    }
}

/// Where a product is served: as configured, else beside the API (`api.ie1.twilio.com` has its
/// `video.ie1.twilio.com`), and at a host that is not Twilio's all together.
fn authority(settings: &config::Account, product: Product) -> String {
    let bare = |url: &str| url.strip_prefix("https://").unwrap_or_default().to_owned();
    if let Some(url) = settings.upstreams.get(product.as_str()) {
        return bare(url);
    }
    let api = bare(&settings.upstream);
    let name = match product {
        Product::Live => "media",
        other => other.as_str(),
    };
    match api.strip_prefix("api.").filter(|rest| rest.ends_with("twilio.com")) {
        // Conversations' files have no host without a region.
        Some("twilio.com") if product == Product::Mcs => "mcs.us1.twilio.com".to_owned(),
        Some(rest) => format!("{name}.{rest}"),
        None => api,
    }
}

/// TLS towards upstream: the public authorities, or those in a file and no others.
pub(super) fn client_tls(ca_file: Option<&Path>) -> Result<ClientConfig, AccountsError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let wrong =
                |problem: String| AccountsError::Authorities { path: path.to_owned(), problem };
            let certificates =
                CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
                roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(wrong("it holds no certificate".to_owned()));
            }
        }
    }
    let mut tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}
