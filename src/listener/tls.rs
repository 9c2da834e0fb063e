//! TLS towards callers: versions, certificate, resumption.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};

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
    /// Key and certificate do not go together, or rustls does not take them.
    #[error("cannot use the certificate `{}` with its key", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
}

/// TLS 1.3 and 1.2 with the suites of rustls (AEAD and ECDHE only), HTTP/2 before HTTP/1.1.
///
/// # Errors
/// [`TlsError`] names the file.
pub fn server_config(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let failed = |what, path: &Path, problem: String| TlsError::Read {
        what,
        path: path.to_owned(),
        problem,
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed("certificate", certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(failed("certificate", certificate, "there is none in it".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| failed("private key", key, error.to_string()))?;
    let unusable = |source| TlsError::Unusable { path: certificate.to_owned(), source };
    let mut tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(unusable)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Tickets that need no memory here; their key is made anew every six hours by rustls.
    tls.ticketer = aws_lc_rs::Ticketer::new().map_err(unusable)?;
    tls.send_tls13_tickets = 1;
    Ok(tls)
}
