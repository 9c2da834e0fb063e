//! Which database a connection string means, and how it is reached.
//!
//! TLS is required except to this machine, and a certificate is always verified: there is no
//! setting that encrypts to whoever answers. The string holds a password, so nothing of it but
//! host and database ever stands in a message.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::StoreError;

/// LIMIT: how long one address may take to answer.
const CONNECT: Duration = Duration::from_secs(3);

/// LIMIT: how long sent bytes may stay unacknowledged, and a silent peer is trusted, before the
/// connection has ended.
const SILENCE: Duration = Duration::from_secs(8);

/// LIMIT: between questions to a silent peer; three of them fit into [`SILENCE`].
const KEEPALIVE: Duration = Duration::from_secs(2);

/// What libpq takes and this client does not.
const UNKNOWN: &[&str] = &[
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcrl",
    "passfile",
    "service",
    "gssencmode",
    "krbsrvname",
    "require_auth",
    "client_encoding",
    "fallback_application_name",
];

/// A database and the way to it.
pub(super) struct Target {
    /// Host and database.
    pub(super) name: String,
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
}

impl Target {
    pub(super) fn parse(url: &str, ca_file: Option<&Path>) -> Result<Self, StoreError> {
        let unusable =
            |name: &str, problem| StoreError::Unusable { name: name.to_owned(), problem };
        let mut config = read(url).map_err(|problem| unusable("PostgreSQL", problem))?;
        let name = name(&config);
        let mode = mode(&config, ca_file.is_some()).map_err(|problem| unusable(&name, problem))?;
        let tls = tls(ca_file).map_err(|problem| unusable(&name, problem))?;
        config
            .ssl_mode(mode)
            .connect_timeout(CONNECT)
            .tcp_user_timeout(SILENCE)
            .keepalives(true)
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .keepalives_retries(3);
        if config.get_application_name().is_none() {
            config.application_name("noticegate");
        }
        if config.get_hosts().len().max(config.get_hostaddrs().len()) > 1 {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        Ok(Self { name, config, tls })
    }
}

/// TRUST: the string is an operator's. The parser's own errors may quote a part of a password that
/// was not escaped, so they are not passed on.
fn read(url: &str) -> Result<Config, String> {
    // Here `require` verifies all that these do.
    let modern = ["verify-full", "verify-ca"].iter().fold(url.to_owned(), |url, mode| {
        url.replace(&format!("sslmode={mode}"), "sslmode=require")
    });
    let garbled = || {
        "the connection string is neither a `postgresql://` URL nor `key=value` pairs as libpq \
         reads them; is a special character in the password not escaped?"
            .to_owned()
    };
    let config: Config = url.parse().or_else(|_| modern.parse()).map_err(|_| {
        UNKNOWN.iter().find(|option| url.contains(&format!("{option}="))).map_or_else(
            garbled,
            |option| {
                format!(
                    "`{option}` in the connection string is not supported; the authority's \
                     certificate is a setting of its own"
                )
            },
        )
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err("the connection string names no host".to_owned());
    }
    // What looks like a host may be the end of a password with an `@` in it.
    if config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(name) if name.contains('@'))) {
        return Err(garbled());
    }
    Ok(config)
}

fn name(config: &Config) -> String {
    let mut hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    if hosts.is_empty() {
        hosts = config.get_hostaddrs().iter().map(IpAddr::to_string).collect();
    }
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("{}/{database}", hosts.join(","))
}

/// TLS or none: what the server prefers never decides.
fn mode(config: &Config, has_authority: bool) -> Result<SslMode, String> {
    let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
    let is_socket = |host: &Host| matches!(host, Host::Unix(_));
    if addresses.is_empty() && hosts.iter().all(is_socket) {
        return Ok(SslMode::Disable);
    }
    let is_local = hosts.iter().all(|host| match host {
        Host::Tcp(name) => is_this_machine(name),
        Host::Unix(_) => true,
    }) && addresses.iter().all(IpAddr::is_loopback);
    match config.get_ssl_mode() {
        SslMode::Disable if !is_local => Err("`sslmode=disable` would send entries and the \
                                              password in the clear to another machine; leave it \
                                              out"
        .to_owned()),
        SslMode::Disable => Ok(SslMode::Disable),
        SslMode::Prefer if is_local && !has_authority => Ok(SslMode::Disable),
        _ => Ok(SslMode::Require),
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn tls(ca_file: Option<&Path>) -> Result<MakeRustlsConnect, String> {
    let roots = match ca_file {
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        Some(path) => authority(path).map_err(|problem| {
            format!("the authority's certificate `{}`: {problem}", path.display())
        })?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn authority(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("it holds no certificate in PEM".to_owned());
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(url: &str) -> Result<SslMode, String> {
        mode(&read(url).unwrap(), false)
    }

    #[test]
    fn another_machine_is_reached_over_tls_only() {
        for url in [
            "postgresql://gate:pw@db.example.com/ledger",
            "postgresql://db.example.com/ledger?sslmode=prefer",
            "postgresql://db.example.com/ledger?sslmode=require",
            "postgresql://db.example.com/ledger?sslmode=verify-full",
            "host=db.example.com dbname=ledger sslmode=verify-ca",
            "postgresql://localhost,db.example.com/ledger",
            "host=localhost hostaddr=192.0.2.1 dbname=ledger",
            "postgresql://localhost.example.com/ledger",
            "postgresql://127.0.0.1.example.com/ledger",
        ] {
            assert_eq!(chosen(url), Ok(SslMode::Require), "{url}");
        }
        for url in [
            "postgresql://db.example.com/ledger?sslmode=disable",
            "postgresql://localhost,db.example.com/ledger?sslmode=disable",
            "host=localhost hostaddr=192.0.2.1 dbname=ledger sslmode=disable",
        ] {
            assert!(chosen(url).unwrap_err().contains("`sslmode=disable`"), "{url}");
        }
    }

    #[test]
    fn this_machine_is_reached_without_tls_unless_it_is_asked_for() {
        for url in [
            "postgresql://localhost/ledger",
            "postgresql://127.0.0.1/ledger",
            "postgresql://[::1]/ledger?sslmode=disable",
            "postgresql://%2Frun%2Fpostgresql/ledger?sslmode=require",
            "host=/run/postgresql dbname=ledger",
        ] {
            assert_eq!(chosen(url), Ok(SslMode::Disable), "{url}");
        }
        assert_eq!(chosen("postgresql://localhost/l?sslmode=require"), Ok(SslMode::Require));
        let url = "postgresql://localhost/ledger";
        assert_eq!(mode(&read(url).unwrap(), true), Ok(SslMode::Require), "an authority was named");
    }

    #[test]
    fn a_name_tells_host_and_database_and_never_the_password() {
        let cases = [
            ("postgresql://gate:hunter2@db.example.com:6543/ledger", "db.example.com/ledger"),
            ("postgresql://gate:hunter2@a,b/ledger", "a,b/ledger"),
            ("host=/run/postgresql user=gate password=hunter2", "/run/postgresql/gate"),
            ("hostaddr=192.0.2.1 user=gate password=hunter2 dbname=l", "192.0.2.1/l"),
        ];
        for (url, expected) in cases {
            assert_eq!(name(&read(url).unwrap()), expected);
        }
    }

    #[test]
    fn a_string_that_cannot_be_read_is_refused_without_quoting_it() {
        for url in [
            "",
            "hunter2",
            "postgresql://gate:hunter2@",
            "postgresql://gate:x@hunter2@db/ledger",
            "host=db user=gate password=x hunter2=y",
            "host=db user=gate password=x hunter2",
            "host=db user=gate password='hunter2",
            "postgresql://gate:hunter2@db/ledger?hunter2=1",
            "postgresql://gate:hunter2@db/ledger?sslmode=hunter2",
            "postgresql://gate:hunter2@db/ledger?sslrootcert=hunter2",
        ] {
            let Err(error) = Target::parse(url, None) else { panic!("{url}") };
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let Err(error) = Target::parse("host=db sslrootcert=x", None) else { panic!("taken") };
        assert!(error.to_string().contains("`sslrootcert`"));
    }

    #[test]
    fn a_file_without_a_certificate_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authority.pem");
        for text in
            [None, Some(""), Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")]
        {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let Err(error) = Target::parse("host=db dbname=l", Some(&path)) else {
                panic!("{text:?}")
            };
            assert!(error.to_string().contains("authority.pem"), "{error}");
        }
    }
}
