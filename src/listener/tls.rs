//! TLS towards callers: versions, certificate, resumption; and other ones while the gate runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

/// Certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("cannot read the {what} in `{}`: {problem}", path.display())]
    Read {
        /// Certificate or key.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The authorities cannot be used.
    #[error("cannot use the authorities in `{}`", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What rustls says.
        source: rustls::server::VerifierBuilderError,
    },
    /// Key and certificate do not go together, or rustls does not take them.
    #[error("cannot use the certificate `{}` with its key", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
}

/// What new connections are greeted with. It is replaced as a whole; connections that are open go on
/// with what they began with.
#[derive(Debug)]
pub struct Tls(RwLock<Greeting>);

/// What a connection is greeted with: certificate, protocols, whose certificates are asked for.
#[derive(Debug)]
pub struct Greeting {
    config: Arc<ServerConfig>,
    /// Who may sign clients' certificates, in a form that can be compared.
    clients: Vec<u8>,
}

impl Greeting {
    /// `clients` tells whether two of them ask for the same clients.
    #[must_use]
    pub fn new(config: ServerConfig, clients: Vec<u8>) -> Self {
        Self { config: Arc::new(config), clients }
    }
}

impl Tls {
    /// Begins with this.
    #[must_use]
    pub fn of(greeting: Greeting) -> Self {
        Self(RwLock::new(greeting))
    }

    /// For the next connection.
    #[must_use]
    pub fn now(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).config)
    }

    /// Puts another in its place. Sessions can be resumed across that, unless other clients are
    /// asked for: a ticket must not outlive the trust in who it was given to.
    pub fn replace(&self, mut anew: Greeting) {
        let mut greeting = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if greeting.clients == anew.clients
            && let Some(config) = Arc::get_mut(&mut anew.config)
        {
            config.ticketer = Arc::clone(&greeting.config.ticketer);
            config.session_storage = Arc::clone(&greeting.config.session_storage);
        }
        *greeting = anew;
    }
}

/// When a certificate stops being valid, in seconds since the epoch.
///
/// # Errors
/// [`TlsError`] names the file.
pub fn certificate_expires_at(certificate: &Path) -> Result<i64, TlsError> {
    let chain = certificates("certificate", certificate)?;
    let leaf = chain.first().map(|leaf| x509_parser::parse_x509_certificate(leaf));
    match leaf {
        Some(Ok((_, leaf))) => Ok(leaf.validity().not_after.timestamp()),
        _ => Err(failed("certificate", certificate, "it is no X.509 certificate".to_owned())),
    }
}

/// Who may sign clients' certificates.
#[derive(Clone, Copy, Debug)]
pub struct Authorities<'a> {
    /// Their certificates, PEM.
    pub file: &'a Path,
    /// True if nobody may connect without a certificate of theirs.
    pub required: bool,
}

/// TLS 1.3 and 1.2 with the suites of rustls (AEAD and ECDHE only), HTTP/2 before HTTP/1.1.
///
/// # Errors
/// [`TlsError`] names the file.
pub fn server_config(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    build(certificate, key, WebPkiClientVerifier::no_client_auth())
}

/// The same, asking callers for a certificate. One that is expired, of another authority or not
/// for TLS clients ends the handshake. Revocation lists are not looked at: a client is switched
/// off in the clients file.
///
/// # Errors
/// [`TlsError`] names the file.
pub fn server_config_for_clients(
    certificate: &Path,
    key: &Path,
    authorities: Authorities<'_>,
) -> Result<ServerConfig, TlsError> {
    let Authorities { file, required } = authorities;
    let unusable = |source| TlsError::Authorities { path: file.to_owned(), source };
    let mut roots = RootCertStore::empty();
    for authority in certificates("authorities", file)? {
        roots.add(authority).map_err(|error| failed("authorities", file, error.to_string()))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = if required { verifier } else { verifier.allow_unauthenticated() };
    build(certificate, key, verifier.build().map_err(unusable)?)
}

fn failed(what: &'static str, path: &Path, problem: String) -> TlsError {
    TlsError::Read { what, path: path.to_owned(), problem }
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(what, path, error.to_string()))?;
    match found.is_empty() {
        true => Err(failed(what, path, "there is none in it".to_owned())),
        false => Ok(found),
    }
}

fn build(
    certificate: &Path,
    key: &Path,
    clients: Arc<dyn ClientCertVerifier>,
) -> Result<ServerConfig, TlsError> {
    let chain = certificates("certificate", certificate)?;
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| failed("private key", key, error.to_string()))?;
    let unusable = |source| TlsError::Unusable { path: certificate.to_owned(), source };
    let mut tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(unusable)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, private)
        .map_err(unusable)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Tickets that need no memory here; their key is made anew every six hours by rustls.
    tls.ticketer = aws_lc_rs::Ticketer::new().map_err(unusable)?;
    tls.send_tls13_tickets = 1;
    Ok(tls)
}
