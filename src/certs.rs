//! Development certificates: an authority that lives for as long as the program, and what it signs.
//!
//! For the demo, for tests and for a desk. Never for production: whoever reads the folder can sign
//! for any name. Real certificates come from the organisation's own authority.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a development certificate")]
pub struct CertificateError(#[from] rcgen::Error);

/// An authority with its key.
#[derive(Debug)]
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, both PEM.
#[derive(Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// A new authority.
    ///
    /// # Errors
    /// [`CertificateError`] if there is no randomness.
    pub fn new() -> Result<Self, CertificateError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name("noticegate development authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// The authority's own certificate, for `--cacert` and the like.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Signs a server certificate for these host names and addresses.
    ///
    /// # Errors
    /// [`CertificateError`] if a name cannot stand in a certificate.
    pub fn issue(&self, names: &[&str]) -> Result<Issued, CertificateError> {
        self.sign(names, "noticegate development server", ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// Signs a certificate with which the client of this name connects.
    ///
    /// # Errors
    /// [`CertificateError`] if the name cannot stand in a certificate.
    pub fn issue_client(&self, client: &str) -> Result<Issued, CertificateError> {
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        self.sign(&[client], "noticegate development client", usage)
    }

    fn sign(
        &self,
        names: &[&str],
        common: &str,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Issued, CertificateError> {
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = name(common);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { certificate, key: key.serialize_pem() })
    }
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}
