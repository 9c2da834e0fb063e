//! The configured accounts: where each is served, with what credential, within what limits.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;

use super::pool::Origin;
use crate::config;
use crate::media::AccountSid;

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
    /// The upstream or the credential cannot be put into a request.
    #[error("cannot use account {sid}: {problem}")]
    Unusable {
        /// The account.
        sid: AccountSid,
        /// What is wrong.
        problem: &'static str,
    },
}

/// All configured accounts.
#[derive(Debug)]
pub struct Accounts(HashMap<AccountSid, Account>);

#[derive(Debug)]
pub(super) struct Account {
    pub(super) origin: Origin,
    /// `Basic ...`, marked so that it prints as `Sensitive`.
    pub(super) credential: HeaderValue,
    pub(super) redirect_hosts: Vec<String>,
    /// Twilio limits concurrent requests for each account, whoever makes them.
    pub(super) slots: Arc<Semaphore>,
}

impl Accounts {
    /// Prepares the configured accounts.
    ///
    /// # Errors
    /// [`AccountsError`] names the file or the account.
    pub fn new(settings: &[config::Account]) -> Result<Self, AccountsError> {
        let accounts = settings.iter().map(|account| Ok((account.sid, Account::new(account)?)));
        accounts.collect::<Result<_, _>>().map(Self)
    }

    /// Whether an account is configured.
    #[must_use]
    pub fn has(&self, sid: AccountSid) -> bool {
        self.0.contains_key(&sid)
    }

    pub(super) fn get(&self, sid: AccountSid) -> Option<&Account> {
        self.0.get(&sid)
    }
}

impl Account {
    fn new(settings: &config::Account) -> Result<Self, AccountsError> {
        let unusable = |problem| AccountsError::Unusable { sid: settings.sid, problem };
        let sid = settings.sid.to_string();
        let user = settings.username.as_ref().unwrap_or(&sid);
        let pair = format!("{user}:{}", settings.secret.expose());
        let mut credential = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
            .map_err(|_| unusable("its credential does not fit into a header"))?;
        credential.set_sensitive(true);
        let tls = Arc::new(client_tls(settings.ca_file.as_deref())?);
        let authority = settings.upstream.strip_prefix("https://").unwrap_or_default();
        let origin = Origin::parse(authority, tls)
            .ok_or_else(|| unusable("its upstream is not a host name with an optional port"))?;
        Ok(Self {
            origin,
            credential,
            redirect_hosts: settings.redirect_hosts.clone(),
            slots: Arc::new(Semaphore::new(settings.concurrent_requests_max.as_usize())),
        })
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
