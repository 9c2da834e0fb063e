//! The certificate that a caller's connection was opened with, and the names in it.
//!
//! TRUST: the TLS handshake has verified the chain, the signature and the times; this file only
//! reads names. It is read once for each connection. A certificate that cannot be read has no
//! names, so it chooses no client.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::clients::hex;
use super::sha256;

/// LIMIT: the longest name that the clients file may hold. A URI (RFC 3986 sets no limit) that
/// names a workload is far shorter: SPIFFE allows 2048 bytes.
const NAME_BYTES_MAX: usize = 2048;

/// Who is at the other end of a connection, as far as the connection itself tells.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The client certificate that it proved to hold, if any.
    pub certificate: Option<Arc<PeerCertificate>>,
}

/// What matters of a verified client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    pub(super) names: Vec<CertificateName>,
    /// The first 16 hex digits of its SHA-256.
    pub(super) fingerprint: String,
    /// `notAfter`. The handshake looks at it once; a connection may live longer.
    pub(super) expires_at: Timestamp,
}

/// A name in a certificate, with its kind: `dns:`, `uri:`, `email:` (subject alternative names,
/// RFC 5280, 4.2.1.6) or `cn:` (the subject's common name). The kind is part of the name, so that
/// an authority that lets people choose one kind of name gives them no name of another kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateName {
    kind: &'static str,
    name: String,
}

/// The text is no name of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a certificate's name is `dns:`, `uri:`, `email:` or `cn:` and the name itself, without \
     wildcards"
)]
pub struct NotACertificateName;

impl CertificateName {
    fn new(kind: &'static str, name: &str) -> Self {
        // DNS names are the same in any letter case (RFC 4343).
        let name = if kind == "dns" { name.to_ascii_lowercase() } else { name.to_owned() };
        Self { kind, name }
    }
}

impl FromStr for CertificateName {
    type Err = NotACertificateName;

    fn from_str(text: &str) -> Result<Self, NotACertificateName> {
        let (kind, name) = text.split_once(':').ok_or(NotACertificateName)?;
        let kinds = ["dns", "uri", "email", "cn"];
        let kind = kinds.into_iter().find(|known| *known == kind).ok_or(NotACertificateName)?;
        let sound = (1..=NAME_BYTES_MAX).contains(&name.len())
            && !name.chars().any(char::is_control)
            && name.trim() == name
            && (kind == "cn" || !name.contains(['*', ' ']));
        if sound { Ok(Self::new(kind, name)) } else { Err(NotACertificateName) }
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

impl PeerCertificate {
    /// Reads a leaf certificate, DER.
    #[must_use]
    pub fn read(der: &[u8]) -> Self {
        let digest = hex(&sha256(der));
        let fingerprint = digest.chars().take(16).collect();
        let (names, expires_at) = names(der).unwrap_or((Vec::new(), Timestamp::MIN));
        Self { names, fingerprint, expires_at }
    }

    /// Whether this is one of its names, with its kind, and its time is not over.
    #[must_use]
    pub fn is_named(&self, name: &str, now: Timestamp) -> bool {
        let name = name.parse::<CertificateName>();
        now <= self.expires_at && name.is_ok_and(|name| self.names.contains(&name))
    }
}

fn names(der: &[u8]) -> Option<(Vec<CertificateName>, Timestamp)> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    let expires_at = Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?;
    let mut names = Vec::new();
    if let Some(san) = certificate.subject_alternative_name().ok()? {
        names.extend(san.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(CertificateName::new("dns", name)),
            GeneralName::URI(name) => Some(CertificateName::new("uri", name)),
            GeneralName::RFC822Name(name) => Some(CertificateName::new("email", name)),
            _ => None,
        }));
    }
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    names.extend(common.map(|name| CertificateName::new("cn", name)));
    rest.is_empty().then_some((names, expires_at))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate() -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["Worker.Example".to_owned()]).unwrap();
        params.subject_alt_names.extend([
            SanType::URI("spiffe://example.org/export".try_into().unwrap()),
            SanType::Rfc822Name("Ops@example.org".try_into().unwrap()),
            SanType::IpAddress([127, 0, 0, 1].into()),
        ]);
        params.distinguished_name.push(DnType::CommonName, "Nightly export");
        params.not_after = rcgen::date_time_ymd(2030, 1, 2);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn all_names_are_read_with_their_kind() {
        let read = PeerCertificate::read(&certificate());
        let names: Vec<String> = read.names.iter().map(ToString::to_string).collect();
        let expected = [
            "dns:worker.example",
            "uri:spiffe://example.org/export",
            "email:Ops@example.org",
            "cn:Nightly export",
        ];
        assert_eq!(&names[..3], &expected[..3]);
        assert!(names.iter().any(|name| name == expected[3]), "{names:?}");
        assert_eq!(read.expires_at, "2030-01-02T00:00:00Z".parse().unwrap());
        assert_eq!(read.fingerprint.len(), 16);
    }

    #[test]
    fn what_is_no_certificate_has_no_names_and_has_expired() {
        let mut longer = certificate();
        longer.push(0);
        for der in [&b""[..], b"0", &longer, &certificate()[..200]] {
            let read = PeerCertificate::read(der);
            assert_eq!(read.names, []);
            assert_eq!(read.expires_at, Timestamp::MIN);
        }
    }

    #[test]
    fn a_name_has_a_kind_and_no_wildcard() {
        let sound = ["dns:a.example", "uri:spiffe://a/b", "email:a@b", "cn:a b", "cn:*"];
        for text in sound {
            assert_eq!(text.parse::<CertificateName>().unwrap().to_string(), text);
        }
        let name: CertificateName = "dns:A.Example".parse().unwrap();
        assert_eq!(name.to_string(), "dns:a.example");
        let long = format!("uri:{}", "a".repeat(2049));
        let bad = ["", "a.example", "dns:", "DNS:a", "ip:::1", "dns:*.a", "cn: a", "cn:a\n", &long];
        for text in bad {
            assert_eq!(text.parse::<CertificateName>(), Err(NotACertificateName), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, at in 0..600usize, flip: u8) {
            let _ = PeerCertificate::read(&bytes);
            let mut broken = certificate();
            if let Some(byte) = broken.get_mut(at) {
                *byte ^= flip;
            }
            let _ = PeerCertificate::read(&broken);
        }
    }
}
