//! A machine client proves itself, and is held to what was agreed with it.
//!
//! By its secret: id and secret in an `Authorization: Basic` header, compared with two digests in
//! constant time, whether the id is known or not. By its certificate: a name in it must be exactly
//! one client's. A client that has both a secret and a certificate must show both. Nothing is said
//! of a client (that it is disabled, say) to who has not proved to be it.

use std::sync::{Arc, PoisonError};

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;

use super::basic::Pair;
use super::clients::{Client, Clients, Digest, NO_DIGEST, SECRETS_MAX};
use super::{Caller, Identity, PeerCertificate, Proof, Role, Stranger};
use crate::media::AccountSid;
use crate::purpose::Purpose;

/// The issuer of clients in a proof and before the `|` of a caller's id; no configured issuer may
/// have this name.
const ISSUER: &str = crate::config::CLIENT_ISSUER;

/// A caller who proved who they are, and the client if it is one.
#[derive(Clone, Debug)]
pub struct Known {
    /// Who it is.
    pub caller: Arc<Caller>,
    client: Option<Arc<Client>>,
}

impl Known {
    pub(super) fn by_token(caller: Arc<Caller>) -> Self {
        Self { caller, client: None }
    }

    /// The account that a client means where a path names none.
    #[must_use]
    pub fn account(&self) -> Option<AccountSid> {
        self.client.as_ref().and_then(|client| client.account)
    }
}

/// Why a known caller's request is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unadmitted {
    /// The client asks more often than it may.
    TooMany {
        /// Seconds until it may ask again.
        retry_after: u32,
    },
    /// The request names a purpose that is not on the client's list.
    Purpose,
}

impl Identity {
    /// Replaces the clients. Requests that are under way go on; from the next one on, a client
    /// that is disabled, gone or without its old secret is a stranger. What a client had left of
    /// its rate stays as it was.
    pub fn put_clients(&self, mut clients: Clients) {
        if let Some(before) = self.clients() {
            clients.go_on_from(&before);
        }
        let clients = Some(Arc::new(clients));
        let mut now = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *now, clients);
        drop(now);
        // Not taken apart while others wait.
        drop(before);
    }

    /// True if clients may prove themselves here.
    #[must_use]
    pub fn has_clients(&self) -> bool {
        self.clients.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(super) fn clients(&self) -> Option<Arc<Clients>> {
        self.clients.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The roles that somebody has now who once had these: those of a client are looked up, and of
    /// one that is gone, disabled or expired there are none. Of others nobody knows better.
    #[must_use]
    pub fn roles_now(&self, id: &str, before: &Arc<[Role]>) -> Option<Arc<[Role]>> {
        let Some(client) = id.strip_prefix(ISSUER).and_then(|rest| rest.strip_prefix('|')) else {
            return Some(Arc::clone(before));
        };
        let client = Arc::clone(self.clients()?.get(client)?);
        let lives = client.expires.is_none_or(|expires| self.clock.now() < expires);
        (client.enabled && lives).then(|| Arc::clone(&client.roles))
    }

    /// Counts requests over a client's limit here.
    #[must_use]
    pub fn counting(self, over_limit: Counter) -> Self {
        Self { over_limit, ..self }
    }

    /// Holds a request to what was agreed with the client: how often, and for which purposes.
    ///
    /// # Errors
    /// [`Unadmitted`] with the first thing that is wrong.
    pub fn admit(&self, known: &Known, purpose: Option<&Purpose>) -> Result<(), Unadmitted> {
        let Some(client) = &known.client else { return Ok(()) };
        if let Some(rate) = client.rate {
            client.bucket.take(rate, self.clock.now()).map_err(|retry_after| {
                self.over_limit.inc();
                tracing::debug!(client = client.id, retry_after, "over the client's limit");
                Unadmitted::TooMany { retry_after }
            })?;
        }
        match (&client.purposes, purpose) {
            (Some(purposes), Some(asked)) if !purposes.contains(asked) => Err(Unadmitted::Purpose),
            _ => Ok(()),
        }
    }
}

impl Clients {
    pub(super) fn by_secret(
        &self,
        pair: &Pair,
        certificate: Option<&PeerCertificate>,
        now: Timestamp,
    ) -> Result<Known, Stranger> {
        let shown = Digest::of(pair.secret());
        let client = self.get(pair.id());
        let secrets = client.map_or(&[][..], |client| &client.secrets);
        // Always as many comparisons, each in constant time: how long it takes tells neither which
        // ids there are nor how many secrets one has.
        let mut fits = None;
        for index in 0..SECRETS_MAX {
            let secret = secrets.get(index).map(|secret| secret.hash);
            let same = shown.is(&secret.unwrap_or(NO_DIGEST));
            fits = secret.filter(|_| same).or(fits);
        }
        let (Some(client), Some(secret)) = (client, fits) else {
            return Err(Stranger::WrongSecret);
        };
        if client.certificate.is_some() {
            let certificate = certificate.ok_or(Stranger::NoCertificate)?;
            if !Arc::ptr_eq(self.chosen_by(certificate, now)?, client) {
                return Err(Stranger::NoCertificate);
            }
        }
        client.known(secret.short(), now)
    }

    pub(super) fn by_certificate(
        &self,
        certificate: &PeerCertificate,
        now: Timestamp,
    ) -> Result<Known, Stranger> {
        let client = self.chosen_by(certificate, now)?;
        if !client.secrets.is_empty() {
            return Err(Stranger::NoSecret);
        }
        client.known(format!("cert:{}", certificate.fingerprint), now)
    }

    /// The one client whose name a certificate carries.
    fn chosen_by(
        &self,
        certificate: &PeerCertificate,
        now: Timestamp,
    ) -> Result<&Arc<Client>, Stranger> {
        let mut named = self.named(&certificate.names);
        let client = match (named.next(), named.next()) {
            (Some(client), None) => client,
            (None, _) => return Err(Stranger::UnknownCertificate),
            (Some(_), Some(_)) => return Err(Stranger::AmbiguousCertificate),
        };
        // The handshake looked at the time once; a connection may live longer.
        if now > certificate.expires_at { Err(Stranger::CertificateExpired) } else { Ok(client) }
    }
}

impl Client {
    /// The caller that it is, now that it has proved itself.
    fn known(self: &Arc<Self>, key_id: String, now: Timestamp) -> Result<Known, Stranger> {
        if !self.enabled {
            return Err(Stranger::Disabled);
        }
        if self.expires.is_some_and(|expires| now >= expires) {
            return Err(Stranger::ClientExpired);
        }
        let caller = Caller {
            id: format!("{ISSUER}|{}", self.id),
            roles: Arc::clone(&self.roles),
            on_behalf_of: None,
            bound_purpose: None,
            default_purpose: self.default_purpose.clone(),
            proof: Proof {
                issuer: ISSUER.to_owned(),
                key_id: Some(key_id),
                token_id: None,
                expires_at: self.expires.unwrap_or(Timestamp::MAX),
            },
        };
        Ok(Known { caller: Arc::new(caller), client: Some(Arc::clone(self)) })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn clients(text: &str) -> Clients {
        Clients::parse(text, Path::new("clients.toml"), &BTreeSet::new()).unwrap()
    }

    fn entry(id: &str, secrets: &[&str], lines: &str) -> String {
        let hashes = secrets.iter().map(|secret| {
            let hash = Digest::of(secret);
            format!("{{ hash = \"{hash}\", created = \"2026-11-23T12:00:00Z\" }},")
        });
        let hashes: String = hashes.collect();
        format!(
            "[[client]]\nid = \"{id}\"\nname = \"A\"\nroles = []\nsecrets = [{hashes}]\n{lines}\n"
        )
    }

    fn pair(id: &str, secret: &str) -> Pair {
        Pair::read(&STANDARD.encode(format!("{id}:{secret}"))).unwrap()
    }

    fn carrying(names: &[&str]) -> PeerCertificate {
        PeerCertificate {
            names: names.iter().map(|name| name.parse().unwrap()).collect(),
            fingerprint: "0123456789abcdef".to_owned(),
            expires_at: now(),
        }
    }

    fn now() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    fn proof(known: Result<Known, Stranger>) -> Result<(String, Option<String>), Stranger> {
        known.map(|known| (known.caller.id.clone(), known.caller.proof.key_id.clone()))
    }

    #[test]
    fn each_secret_holds_and_no_other() {
        let clients = clients(&entry("a", &["one", "two"], ""));
        for secret in ["one", "two"] {
            let known = proof(clients.by_secret(&pair("a", secret), None, now()));
            assert_eq!(known, Ok(("client|a".to_owned(), Some(Digest::of(secret).short()))));
        }
        for (id, secret) in [("a", ""), ("a", "One"), ("a", "one "), ("A", "one"), ("b", "one")] {
            let known = proof(clients.by_secret(&pair(id, secret), None, now()));
            assert_eq!(known, Err(Stranger::WrongSecret));
        }
    }

    #[test]
    fn a_client_with_a_certificate_and_a_secret_shows_both() {
        let text = [
            entry("both", &["s"], "certificate = \"dns:both.example\""),
            entry("only", &[], "certificate = \"dns:only.example\""),
            entry("bare", &["s"], ""),
        ];
        let clients = clients(&text.concat());
        let by_secret = |id: &str, names: Option<&[&str]>| {
            let certificate = names.map(carrying);
            proof(clients.by_secret(&pair(id, "s"), certificate.as_ref(), now())).map(|(id, _)| id)
        };
        let both: &[&str] = &["dns:both.example", "cn:x"];
        assert_eq!(by_secret("both", Some(both)), Ok("client|both".to_owned()));
        assert_eq!(by_secret("both", None), Err(Stranger::NoCertificate));
        assert_eq!(by_secret("both", Some(&["dns:only.example"])), Err(Stranger::NoCertificate));
        assert_eq!(by_secret("both", Some(&["dns:x"])), Err(Stranger::UnknownCertificate));
        let two: &[&str] = &["dns:both.example", "dns:only.example"];
        assert_eq!(by_secret("both", Some(two)), Err(Stranger::AmbiguousCertificate));
        assert_eq!(by_secret("bare", Some(both)), Ok("client|bare".to_owned()));
        assert_eq!(by_secret("only", Some(&["dns:only.example"])), Err(Stranger::WrongSecret));
        let by_name = |names: &[&str]| proof(clients.by_certificate(&carrying(names), now()));
        let known = by_name(&["dns:only.example", "dns:only.example"]).unwrap();
        assert_eq!(known, ("client|only".to_owned(), Some("cert:0123456789abcdef".to_owned())));
        assert_eq!(by_name(both), Err(Stranger::NoSecret));
        assert_eq!(by_name(two), Err(Stranger::AmbiguousCertificate));
        assert_eq!(by_name(&["cn:only.example"]), Err(Stranger::UnknownCertificate));
        assert_eq!(by_name(&[]), Err(Stranger::UnknownCertificate));
    }

    #[test]
    fn time_ends_clients_and_certificates_at_their_second() {
        let text = entry("a", &["s"], "expires = \"2026-11-23T12:00:00Z\"")
            + &entry("c", &[], "certificate = \"cn:c\"");
        let clients = clients(&text);
        let before = now() - jiff::SignedDuration::from_micros(1);
        let after = now() + jiff::SignedDuration::from_micros(1);
        let at = |time| proof(clients.by_secret(&pair("a", "s"), None, time)).map(|_| ());
        assert_eq!((at(before), at(now())), (Ok(()), Err(Stranger::ClientExpired)));
        // RFC 5280, 4.1.2.5: `notAfter` is the last moment of validity.
        let at = |time| proof(clients.by_certificate(&carrying(&["cn:c"]), time)).map(|_| ());
        assert_eq!((at(now()), at(after)), (Ok(()), Err(Stranger::CertificateExpired)));
    }

    #[test]
    fn nothing_is_said_of_a_client_to_who_is_not_it() {
        let text = entry("off", &["s"], "enabled = false")
            + &entry("old", &["s"], "expires = \"2020-01-01T00:00:00Z\"");
        let clients = clients(&text);
        for id in ["off", "old", "none"] {
            let known = clients.by_secret(&pair(id, "wrong"), None, now());
            assert_eq!(proof(known), Err(Stranger::WrongSecret));
        }
        let off = clients.by_secret(&pair("off", "s"), None, now());
        assert_eq!(proof(off), Err(Stranger::Disabled));
    }

    #[test]
    fn a_reload_does_not_refill_a_bucket() {
        let text = entry("a", &["s"], "requests_per_second = 1");
        let limits = crate::config::Limits::default();
        let clock = crate::clock::Clock::manual(now());
        let identity = Identity::new(&[], &limits, clock).unwrap();
        let counter = Counter::default();
        let identity = identity.counting(counter.clone());
        identity.put_clients(clients(&text));
        let ask = || {
            let clients = identity.clients().unwrap();
            let known = clients.by_secret(&pair("a", "s"), None, now()).unwrap();
            identity.admit(&known, None)
        };
        assert_eq!(ask(), Ok(()));
        identity.put_clients(clients(&text));
        assert_eq!(ask(), Err(Unadmitted::TooMany { retry_after: 1 }));
        assert_eq!(counter.get(), 1);
        identity.put_clients(clients(&entry("a", &["s"], "")));
        assert_eq!(ask(), Ok(()), "without a rate there is no limit");
    }
}
