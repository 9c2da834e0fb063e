//! Codes by mail.
//!
//! TRUST: to the mail server the code and the address go, encrypted or not at all; not the link. A
//! mailbox is where the code is looked for, so whoever has the link alone has nothing.

use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use crate::config::{self, MailSecurity};
use crate::share::MAILED_MINUTES;

/// LIMIT: how long the mail server may take. A person waits for the page.
const TIME_MAX: Duration = Duration::from_secs(15);

/// Why no code can be mailed.
#[derive(Debug, thiserror::Error)]
#[error("`[shares.mail]`: {0}")]
pub struct MailError(String);

fn fail(what: &str, error: impl std::fmt::Display) -> MailError {
    MailError(format!("{what}: {error}"))
}

/// Who mails codes.
pub(super) struct Mailer {
    settings: config::Mail,
    from: Mailbox,
    tls: TlsParameters,
    organisation: String,
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Mailer {
    /// Checks what is configured.
    pub(super) fn new(settings: &config::Mail, organisation: &str) -> Result<Self, MailError> {
        let from = settings.from.parse().map_err(|error| fail("`from`", error))?;
        let mut tls = TlsParameters::builder(settings.host.clone());
        tls = match settings.authorities().map_err(MailError)? {
            None => tls.certificate_store(CertificateStore::WebpkiRoots),
            Some(pem) => {
                let authorities = Certificate::from_pem(pem.as_bytes());
                let authorities = authorities.map_err(|error| fail("`ca_file`", error))?;
                tls.certificate_store(CertificateStore::None).add_root_certificate(authorities)
            }
        };
        let tls = tls.build_rustls().map_err(|error| fail("TLS", error))?;
        let mailer =
            Self { settings: settings.clone(), from, tls, organisation: organisation.to_owned() };
        settings.login().map_err(MailError)?;
        Ok(mailer)
    }

    /// Mails a code; returns when the server has taken it.
    pub(super) async fn send(&self, to: &str, code: &str) -> Result<(), MailError> {
        let to: Address = to.parse().map_err(|error| fail("the address", error))?;
        let text = format!(
            "Your code for the call recording from {}:\n\n    {code}\n\nGive it in the page that \
             asked for it. It is good for {MAILED_MINUTES} minutes, in that browser alone.\n\nIf you \
             did not ask for it, somebody else has the link. They have no use of it without this \
             code; please tell whoever gave you the link.\n",
            self.organisation
        );
        let mail = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject("Your code for a call recording")
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map_err(|error| fail("the mail", error))?;
        let (security, port) = match self.settings.security {
            MailSecurity::Tls => (Tls::Wrapper(self.tls.clone()), 465),
            MailSecurity::Starttls => (Tls::Required(self.tls.clone()), 587),
        };
        let host = &self.settings.host;
        let mut server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(self.settings.port.unwrap_or(port))
            .tls(security)
            .timeout(Some(TIME_MAX));
        if let Some((user, password)) = self.settings.login().map_err(MailError)? {
            server = server.credentials(Credentials::new(user, password.expose().to_owned()));
        }
        let server = server.build();
        // What is configured above is for connecting alone.
        match tokio::time::timeout(TIME_MAX, server.send(mail)).await {
            Ok(sent) => sent.map(drop).map_err(|error| fail("the mail server", error)),
            Err(late) => Err(fail("the mail server", late)),
        }
    }
}
