//! Tickets: links that carry their own authorisation, for what Twilio gives pre-signed URLs for.
//!
//! A ticket says who was given the link, for which one thing and purpose, and until when. It is
//! sealed with a key that all gates of one ledger derive from its secret, so it tells its holder
//! nothing, and changing a bit of it, or the URL it stands in, voids it. It opens no door by
//! itself: what it is used for is decided again, as if the one who was given it had asked.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Caller, Proof, Role, Stranger};
use crate::media::MediaRef;
use crate::purpose::Purpose;

/// Makes tickets and reads them.
pub struct Tickets {
    key: RandomizedNonceKey,
    life: Duration,
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tickets(not shown)")
    }
}

/// What a ticket holds.
#[derive(Deserialize, Serialize)]
struct Held<'a> {
    #[serde(rename = "c")]
    caller: &'a str,
    #[serde(rename = "r")]
    roles: Vec<&'a str>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    purpose: Option<&'a str>,
    #[serde(rename = "i")]
    issuer: &'a str,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(rename = "u")]
    until: i64,
}

impl Tickets {
    /// Tickets under this key that live so long; `None` if the key cannot be used.
    #[must_use]
    pub fn new(key: &[u8; 32], life: Duration) -> Option<Self> {
        Some(Self { key: RandomizedNonceKey::new(&AES_256_GCM, key).ok()?, life })
    }

    /// A ticket for one thing. Empty if there is no randomness, which opens nothing.
    #[must_use]
    pub fn make(
        &self,
        caller: &Caller,
        media: &MediaRef,
        purpose: Option<&Purpose>,
        now: Timestamp,
    ) -> String {
        let until = now.as_second().saturating_add_unsigned(self.life.as_secs());
        let held = Held {
            caller: &caller.id,
            roles: caller.roles.iter().map(Role::as_str).collect(),
            purpose: purpose.map(Purpose::as_str),
            issuer: &caller.proof.issuer,
            token: caller.proof.token_id.as_deref(),
            // No link outlives the proof that it was given for.
            until: until.min(caller.proof.expires_at.as_second()),
        };
        let mut text = serde_json::to_vec(&held).unwrap_or_default();
        match self.key.seal_in_place_append_tag(Aad::from(about(media)), &mut text) {
            Ok(nonce) => {
                let mut sealed = nonce.as_ref().to_vec();
                sealed.extend(text);
                URL_SAFE_NO_PAD.encode(sealed)
            }
            Err(_) => String::new(),
        }
    }

    /// Who was given this ticket for this thing.
    ///
    /// # Errors
    /// [`Stranger::Ticket`] if it is none of this gate's, is for something else, or has expired.
    pub fn open(
        &self,
        ticket: &str,
        media: &MediaRef,
        now: Timestamp,
    ) -> Result<Arc<Caller>, Stranger> {
        let read = || {
            let sealed = URL_SAFE_NO_PAD.decode(ticket).ok()?;
            let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
            let mut text = text.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let text = self.key.open_in_place(nonce, Aad::from(about(media)), &mut text).ok()?;
            let held: Held<'_> = serde_json::from_slice(text).ok()?;
            let purpose = held.purpose.map(str::parse).transpose().ok()?;
            let expires_at = Timestamp::from_second(held.until).ok()?;
            (now < expires_at).then(|| {
                Arc::new(Caller {
                    id: held.caller.to_owned(),
                    roles: held.roles.iter().map(|role| Role::new(role)).collect(),
                    default_purpose: purpose.clone(),
                    on_behalf_of: None,
                    bound_purpose: purpose,
                    proof: Proof {
                        issuer: held.issuer.to_owned(),
                        key_id: Some("ticket".to_owned()),
                        token_id: held.token.map(str::to_owned),
                        expires_at,
                    },
                })
            })
        };
        read().ok_or(Stranger::Ticket)
    }
}

/// What a ticket is bound to: the account and the URL.
fn about(media: &MediaRef) -> Vec<u8> {
    media.url(&media.account.to_string(), &[]).into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::{Channels, Form};

    fn caller() -> Caller {
        Caller {
            id: "staff|ana".to_owned(),
            roles: [Role::new("quality-analyst")].into(),
            on_behalf_of: None,
            bound_purpose: None,
            default_purpose: None,
            proof: Proof {
                issuer: "https://issuer.example".to_owned(),
                key_id: Some("k".to_owned()),
                token_id: Some("t".to_owned()),
                expires_at: Timestamp::MAX,
            },
        }
    }

    fn media(form: Form) -> MediaRef {
        let account = "AC00000000000000000000000000000001".parse().unwrap();
        MediaRef::recording(account, crate::media::MediaSid::ZERO, form)
    }

    fn tickets() -> Tickets {
        Tickets::new(&[7; 32], Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn a_ticket_opens_the_one_thing_until_it_expires() {
        let (now, purpose) = (Timestamp::UNIX_EPOCH, "quality-monitoring".parse().unwrap());
        let ticket = tickets().make(&caller(), &media(Form::Mp3), Some(&purpose), now);
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let opened = tickets().open(&ticket, &media(Form::Mp3), at(59)).unwrap();
        assert_eq!((opened.id.as_str(), opened.roles.len()), ("staff|ana", 1));
        assert_eq!(opened.bound_purpose.as_ref(), Some(&purpose));
        let refused = Err(Stranger::Ticket);
        assert_eq!(tickets().open(&ticket, &media(Form::Mp3), at(60)), refused);
        assert_eq!(tickets().open(&ticket, &media(Form::Wav), at(0)), refused);
        let dual = media(Form::Mp3).with_channels(Some(Channels::Dual));
        assert_eq!(tickets().open(&ticket, &dual, at(0)), refused);
        let mut other = media(Form::Mp3);
        other.account = crate::media::AccountSid::ZERO;
        assert_eq!(tickets().open(&ticket, &other, at(0)), refused);
        let others = Tickets::new(&[8; 32], Duration::from_secs(60)).unwrap();
        assert_eq!(others.open(&ticket, &media(Form::Mp3), at(0)), refused);
    }

    #[test]
    fn no_ticket_outlives_the_proof_it_was_given_for() {
        let short = Proof { expires_at: Timestamp::from_second(10).unwrap(), ..caller().proof };
        let caller = Caller { proof: short, ..caller() };
        let ticket = tickets().make(&caller, &media(Form::Mp3), None, Timestamp::UNIX_EPOCH);
        let later = Timestamp::from_second(10).unwrap();
        assert_eq!(tickets().open(&ticket, &media(Form::Mp3), later), Err(Stranger::Ticket));
    }

    proptest! {
        #[test]
        fn a_changed_ticket_opens_nothing(at in 0usize..200, to in "[A-Za-z0-9_-]") {
            let ticket = tickets().make(&caller(), &media(Form::Mp3), None, Timestamp::UNIX_EPOCH);
            let mut changed = ticket.clone();
            if at < changed.len() { changed.replace_range(at..=at, &to); }
            let opened = tickets().open(&changed, &media(Form::Mp3), Timestamp::UNIX_EPOCH);
            // The last letter of base64 may hold bits that count nothing.
            prop_assert!(changed == ticket || opened.is_err() || at + 1 == ticket.len());
        }
    }
}
