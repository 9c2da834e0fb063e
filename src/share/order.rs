//! What is asked for when a share is to be made.
//!
//! TRUST: the JSON of a request becomes a checked [`Order`] here, or is refused with the key that is
//! wrong. What it states of its circumstances (a reference, an approval, an identity check, a
//! contract) is believed, because its maker answers for it and it stands on record.

use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::secret::SecretText;
use super::{Binding, Issue, Portion, Private, ShareId, Terms, Token};
use crate::facts::Facts;
use crate::identity::CertificateName;
use crate::media::{AccountSid, Form, MediaRef, MediaSid, Serves, SidKind, Target};
use crate::notice::Circumstance;
use crate::policy::Stated;
use crate::purpose::Purpose;

/// LIMIT: bytes of a text in an order. All of them stand in one entry of 16 KiB.
const TEXT_BYTES_MAX: usize = 300;

/// LIMIT: ranges of addresses.
const ADDRESSES_MAX: usize = 20;

/// LIMIT: a password that is easily guessed protects nothing, even if only a few guesses an hour
/// are looked at.
const PASSWORD_BYTES_MIN: usize = 8;

/// An order that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {problem}")]
pub struct OrderError {
    key: &'static str,
    problem: String,
}

fn wrong(key: &'static str, problem: impl Into<String>) -> OrderError {
    OrderError { key, problem: problem.into() }
}

/// The JSON form.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    recording: String,
    format: Option<Form>,
    recipient: RecipientForm,
    purpose: Option<Purpose>,
    expires_at: Option<Timestamp>,
    expires_in_seconds: Option<u64>,
    uses: Option<u32>,
    portion: Option<PortionForm>,
    #[serde(default)]
    download: bool,
    password: Option<String>,
    note: Option<String>,
    reason: Option<String>,
    reference: Option<String>,
    identity_check: Option<String>,
    approved_by: Option<String>,
    review_due: Option<Timestamp>,
    binding: Option<BindingForm>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RecipientForm {
    class: String,
    name: Option<String>,
    country: Option<String>,
    contract: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PortionForm {
    start_ms: u64,
    end_ms: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum BindingForm {
    FirstClient,
    Addresses(Vec<IpNet>),
    Certificate(String),
    Code,
    Email(String),
}

/// What the organisation allows.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// The longest life.
    pub life_max: SignedDuration,
    /// The most listening sessions.
    pub uses_max: u32,
    /// Whether callers are asked for certificates at all.
    pub certificates: bool,
    /// Whether codes can be mailed.
    pub mail: bool,
}

/// A share that somebody wants to make.
#[derive(Clone, Debug)]
pub struct Order {
    /// What of. Its account is [`AccountSid::ZERO`] if the order names none.
    pub media: MediaRef,
    /// The account, if it is named.
    pub account: Option<AccountSid>,
    /// Why, if it is said.
    pub purpose: Option<Purpose>,
    /// To whom, and under which circumstances.
    pub stated: Stated,
    /// Until when.
    pub expires_at: Timestamp,
    /// How often.
    pub uses: u32,
    /// Which part.
    pub portion: Option<Portion>,
    /// Whether it may be saved.
    pub download: bool,
    /// To whom the link is bound.
    pub binding: Binding,
    /// The password.
    pub password: Option<SecretText>,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// When somebody has to look at it again.
    pub review_due: Option<Timestamp>,
    /// From where it may be used.
    pub addresses: Vec<IpNet>,
    /// By the holder of which certificate.
    pub certificate: Option<String>,
    /// Where codes are mailed to.
    pub email: Option<String>,
    /// The recipient.
    pub name: Option<String>,
    /// The recipient's contract.
    pub contract: Option<String>,
    /// How the recipient's identity was checked.
    pub identity_check: Option<String>,
    /// What the maker notes for themselves.
    pub note: Option<String>,
    /// The case, form or demand that it rests on.
    pub reference: Option<String>,
    /// The reason.
    pub reason: Option<String>,
    /// What tells this order from others, without telling what it is.
    pub fingerprint: String,
}

impl Order {
    /// Reads and checks the JSON of an order.
    ///
    /// # Errors
    /// [`OrderError`] names the first key that is wrong and what would be right.
    pub fn read(json: &[u8], allowed: &Allowed, now: Timestamp) -> Result<Self, OrderError> {
        let form: Written = serde_json::from_slice(json).map_err(|error| {
            // serde's words name keys and kinds; values of texts are not among them.
            wrong("body", without_values(&error.to_string()))
        })?;
        form.checked(allowed, now)
    }

    /// The share that it asks for, behind this link.
    #[must_use]
    pub fn issue(
        &self,
        token: &Token,
        secret: Option<String>,
        has_key: bool,
        now: Timestamp,
    ) -> Issue {
        Issue {
            id: ShareId::new(now),
            terms: Terms {
                binding: self.binding,
                download: self.download,
                expires_at: self.expires_at,
                password: self.password.is_some(),
                portion: self.portion,
                review_due: self.review_due,
                token: token.digest(),
                uses: self.uses,
            },
            private: Private {
                addresses: self.addresses.clone(),
                approved_by: self.approved_by.clone(),
                certificate: self.certificate.clone(),
                contract: self.contract.clone(),
                email: self.email.clone(),
                identity_check: self.identity_check.clone(),
                name: self.name.clone(),
                note: self.note.clone(),
                request: has_key.then(|| self.fingerprint.clone()),
                secret,
            },
        }
    }

    /// Holds it against what is known of the recording.
    ///
    /// # Errors
    /// [`OrderError`] if there is no such part, or the recording cannot be had in this form.
    pub fn check(&self, facts: &Facts) -> Result<(), OrderError> {
        let length_ms = u64::from(facts.duration_seconds) * 1_000;
        if self.portion.is_some_and(|portion| portion.start_ms >= length_ms) {
            let problem = format!("it begins before the end of the recording, at {length_ms} ms");
            return Err(wrong("portion", problem));
        }
        if facts.encrypted && self.media.serves() == Serves::Mp3 {
            return Err(wrong("format", "an encrypted recording can be had as `wav` alone"));
        }
        Ok(())
    }
}

/// Serde quotes unknown words; what somebody pasted by mistake must not come back.
fn without_values(problem: &str) -> String {
    match problem.split_once('`') {
        Some((before, rest)) if before.contains("unknown variant") => {
            let listed = rest.split_once("expected").map_or("", |(_, listed)| listed);
            format!("an unknown word; expected{listed}")
        }
        _ if problem.starts_with("invalid value") || problem.starts_with("invalid type") => {
            let expected = problem.split_once("expected").map_or("", |(_, expected)| expected);
            format!("a value of another kind; expected{expected}")
        }
        _ => problem.to_owned(),
    }
}

impl Written {
    fn checked(self, allowed: &Allowed, now: Timestamp) -> Result<Order, OrderError> {
        let (media, account) = self.media()?;
        let expires_at = self.expires_at(allowed, now)?;
        let uses = self.uses.unwrap_or(1);
        if uses == 0 || uses > allowed.uses_max {
            return Err(wrong("uses", format!("from 1 to {}", allowed.uses_max)));
        }
        let portion = self.portion()?;
        if portion.is_some() && media.serves() != Serves::Wav {
            return Err(wrong("format", "a part can be cut exactly out of `wav` alone"));
        }
        let (binding, addresses, certificate) = self.binding(allowed)?;
        let email = self.email(allowed)?;
        let password = self.password(binding)?;
        for (key, text) in [
            ("recipient.name", &self.recipient.name),
            ("recipient.contract", &self.recipient.contract),
            ("note", &self.note),
            ("reason", &self.reason),
            ("reference", &self.reference),
            ("identity_check", &self.identity_check),
            ("approved_by", &self.approved_by),
        ] {
            check_text(key, text.as_deref())?;
        }
        if self.review_due.is_some_and(|due| due <= now) {
            return Err(wrong("review_due", "a time to come"));
        }
        let fingerprint = self.fingerprint();
        let stated = self.stated()?;
        Ok(Order {
            media,
            account,
            purpose: self.purpose,
            stated,
            expires_at,
            uses,
            portion,
            download: self.download,
            binding,
            password,
            approved_by: self.approved_by,
            review_due: self.review_due,
            addresses,
            certificate,
            email,
            name: self.recipient.name,
            contract: self.recipient.contract,
            identity_check: self.identity_check,
            note: self.note,
            reference: self.reference,
            reason: self.reason,
            fingerprint,
        })
    }

    /// What is shared: by the SID, or by the URL that stood where the recording was found.
    fn media(&self) -> Result<(MediaRef, Option<AccountSid>), OrderError> {
        let format = self.format.or_else(|| self.portion.as_ref().map(|_| Form::Wav));
        if let Ok(sid) = MediaSid::from_str(&self.recording) {
            if sid.kind() != SidKind::Recording {
                return Err(wrong("recording", "a voice recording's SID (`RE...`) or its URL"));
            }
            let form = format.unwrap_or(Form::Mp3);
            check_sound(MediaRef::recording(AccountSid::ZERO, sid, form)).map(|media| (media, None))
        } else {
            let (path, query) = path_of(&self.recording);
            let target = Target::parse(path, query)
                .map_err(|error| wrong("recording", format!("a SID or Twilio's URL: {error}")))?;
            let media = target.media;
            let (Some(sid), None) = (media.sid_of(SidKind::Recording), &target.ticket) else {
                return Err(wrong("recording", "a voice recording's SID (`RE...`) or its URL"));
            };
            let is_itself = media.sid() == Some(sid);
            let media = match (format, is_itself) {
                (Some(form), true) => {
                    let named = MediaRef::recording(media.account, sid, form);
                    named.with_channels(media.channels())
                }
                // A URL of the metadata means the recording.
                (None, true) if media.serves() == Serves::Resource => {
                    MediaRef::recording(media.account, sid, Form::Mp3)
                }
                _ => media,
            };
            check_sound(media).map(|media| (media, target.account))
        }
    }

    fn expires_at(&self, allowed: &Allowed, now: Timestamp) -> Result<Timestamp, OrderError> {
        let seconds = allowed.life_max.as_secs();
        let at = match (self.expires_at, self.expires_in_seconds) {
            (Some(at), None) => at,
            (None, Some(after)) => i64::try_from(after)
                .ok()
                .and_then(|after| now.checked_add(SignedDuration::from_secs(after)).ok())
                .ok_or_else(|| wrong("expires_in_seconds", format!("from 1 to {seconds}")))?,
            _ => return Err(wrong("expires_at", "either this or `expires_in_seconds`")),
        };
        // To the second, as it is told.
        let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
        match at > now && at.duration_since(now) <= allowed.life_max {
            true => Ok(at),
            false => {
                Err(wrong("expires_at", format!("from 1 to {seconds} seconds from now at most")))
            }
        }
    }

    fn portion(&self) -> Result<Option<Portion>, OrderError> {
        let Some(PortionForm { start_ms, end_ms }) = self.portion else { return Ok(None) };
        match start_ms < end_ms {
            true => Ok(Some(Portion { end_ms, start_ms })),
            false => Err(wrong("portion", "it ends after it starts")),
        }
    }

    fn binding(
        &self,
        allowed: &Allowed,
    ) -> Result<(Binding, Vec<IpNet>, Option<String>), OrderError> {
        let nothing = Vec::new;
        Ok(match &self.binding {
            None => (Binding::None, nothing(), None),
            Some(BindingForm::FirstClient) => (Binding::FirstClient, nothing(), None),
            Some(BindingForm::Code) => (Binding::Code, nothing(), None),
            Some(BindingForm::Email(_)) => (Binding::Email, nothing(), None),
            Some(BindingForm::Addresses(ranges)) => {
                if ranges.is_empty() || ranges.len() > ADDRESSES_MAX {
                    return Err(wrong("binding.addresses", "from 1 to 20 ranges of addresses"));
                }
                (Binding::Addresses, ranges.iter().map(IpNet::trunc).collect(), None)
            }
            Some(BindingForm::Certificate(name)) => {
                if !allowed.certificates {
                    let problem = "nobody is asked for a certificate here (`clients.ca_file`)";
                    return Err(wrong("binding.certificate", problem));
                }
                let name = name.parse::<CertificateName>();
                let name = name.map_err(|error| wrong("binding.certificate", error.to_string()))?;
                (Binding::Certificate, nothing(), Some(name.to_string()))
            }
        })
    }

    /// Where codes are mailed to.
    fn email(&self, allowed: &Allowed) -> Result<Option<String>, OrderError> {
        let Some(BindingForm::Email(address)) = &self.binding else { return Ok(None) };
        if !allowed.mail {
            return Err(wrong("binding.email", "no mail is sent from here (`[shares.mail]`)"));
        }
        let read = lettre::Address::from_str(address).ok();
        let read = read.filter(|address| address.to_string().len() <= TEXT_BYTES_MAX);
        let read =
            read.ok_or_else(|| wrong("binding.email", "one address, `somebody@example.org`"));
        read.map(|address| Some(address.to_string()))
    }

    fn password(&self, binding: Binding) -> Result<Option<SecretText>, OrderError> {
        let Some(password) = &self.password else { return Ok(None) };
        if matches!(binding, Binding::Code | Binding::Email) {
            return Err(wrong("password", "a link that is bound to a code has no password"));
        }
        let read = SecretText::read(password).filter(|_| password.len() >= PASSWORD_BYTES_MIN);
        read.map(Some).ok_or_else(|| wrong("password", "from 8 to 200 bytes"))
    }

    fn stated(&self) -> Result<Stated, OrderError> {
        let country = self.recipient.country.as_ref();
        if country.is_some_and(|c| c.len() != 2 || !c.bytes().all(|b| b.is_ascii_uppercase())) {
            return Err(wrong("recipient.country", "two capital letters (ISO 3166-1)"));
        }
        check_text("recipient.class", Some(&self.recipient.class))?;
        let known = [
            (self.reference.is_some(), Circumstance::Reference),
            (self.reason.is_some(), Circumstance::Reason),
            (self.approved_by.is_some(), Circumstance::Approval),
            (self.identity_check.is_some(), Circumstance::IdentityCheck),
            (self.recipient.contract.is_some(), Circumstance::Contract),
            (self.portion.is_some(), Circumstance::PartOnly),
        ];
        let known = known.into_iter().filter(|(holds, _)| *holds);
        Ok(Stated {
            circumstances: known.map(|(_, circumstance)| circumstance).collect(),
            recipient: Some(self.recipient.class.clone()),
            country: country.cloned(),
        })
    }

    /// The hash of everything but the password, which nobody may guess by it.
    fn fingerprint(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(form) = value.as_object_mut() {
            let has = form.get("password").is_some_and(|password| !password.is_null());
            form.insert("password".to_owned(), has.into());
        }
        let text = serde_json::to_vec(&value).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(digest(&SHA256, &text))
    }
}

/// The path and query of a URL, of whichever host; or of a path.
fn path_of(text: &str) -> (&str, Option<&str>) {
    let rest = text
        .strip_prefix("https://")
        .map_or(text, |rest| rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"));
    match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    }
}

fn check_sound(media: MediaRef) -> Result<MediaRef, OrderError> {
    match media.serves() {
        Serves::Wav | Serves::Mp3 => Ok(media),
        _ => Err(wrong("recording", "the sound of a voice recording, as `wav` or `mp3`")),
    }
}

fn check_text(key: &'static str, text: Option<&str>) -> Result<(), OrderError> {
    let fits = |text: &str| {
        (1..=TEXT_BYTES_MAX).contains(&text.len())
            && !text.chars().any(char::is_control)
            && !text.trim().is_empty()
    };
    match text.is_none_or(fits) {
        true => Ok(()),
        false => Err(wrong(key, "1 to 300 bytes without control characters")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const SID: &str = "RE0123456789abcdef0123456789abcdef";
    const ACCOUNT: &str = "AC00000000000000000000000000000001";

    fn allowed() -> Allowed {
        Allowed {
            life_max: SignedDuration::from_hours(24),
            uses_max: 5,
            certificates: false,
            mail: true,
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "each order is written where it is read")]
    fn order(more: Value) -> Result<Order, String> {
        let mut form = json!({"recording": SID, "expires_in_seconds": 60,
            "recipient": {"class": "court"}});
        form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let read = Order::read(form.to_string().as_bytes(), &allowed(), Timestamp::UNIX_EPOCH);
        read.map_err(|error| error.to_string())
    }

    #[test]
    fn an_order_is_read_by_sid_or_url() {
        let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Recordings/{SID}");
        for (recording, form) in [
            (SID.to_owned(), "mp3"),
            (format!("{path}.wav"), "wav"),
            (format!("https://api.twilio.com{path}.mp3"), "mp3"),
            (format!("https://api.twilio.com{path}.json"), "mp3"),
            (format!("https://rec.example.com{path}"), "wav"),
        ] {
            let read = order(json!({ "recording": recording })).unwrap();
            assert_eq!(read.media.row().form, form, "{recording}");
            assert_eq!(read.account.is_some(), recording != SID);
        }
        let read = order(json!({"portion": {"start_ms": 1, "end_ms": 2}})).unwrap();
        assert_eq!(read.media.row().form, "wav");
        assert_eq!(read.stated.circumstances, [Circumstance::PartOnly]);
        assert_eq!((read.uses, read.expires_at.as_second()), (1, 60));
    }

    #[test]
    fn what_cannot_be_meant_names_its_key() {
        let long = "x".repeat(301);
        for (more, key) in [
            (json!({"recording": "CA0123456789abcdef0123456789abcdef"}), "`recording`"),
            (json!({"recording": "https://api.twilio.com/etc/passwd"}), "`recording`"),
            (json!({"recording": "/2010-04-01/Accounts/x"}), "`recording`"),
            (json!({"format": "metadata"}), "`recording`"),
            (json!({"format": "mp3", "portion": {"start_ms": 1, "end_ms": 2}}), "`format`"),
            (json!({"portion": {"start_ms": 2, "end_ms": 2}}), "`portion`"),
            (json!({"uses": 0}), "`uses`"),
            (json!({"uses": 6}), "`uses`"),
            (json!({"expires_in_seconds": 86_401}), "`expires_at`"),
            (json!({"expires_in_seconds": 0}), "`expires_at`"),
            (json!({"expires_in_seconds": u64::MAX}), "`expires_in_seconds`"),
            (json!({"expires_at": "1970-01-01T00:00:59Z"}), "`expires_at`"),
            (json!({"password": "short"}), "`password`"),
            (json!({"password": "long enough", "binding": "code"}), "`password`"),
            (
                json!({"password": "long enough", "binding": {"email": "a@example.org"}}),
                "`password`",
            ),
            (json!({"binding": {"email": "a@example.org, b@example.org"}}), "`binding.email`"),
            (
                json!({"binding": {"email": "a@example.org\r\nBcc: b@example.org"}}),
                "`binding.email`",
            ),
            (json!({"binding": {"addresses": []}}), "`binding.addresses`"),
            (json!({"binding": {"addresses": ["10.0.0.0/33"]}}), "`body`"),
            (json!({"binding": {"certificate": "dns:a"}}), "`binding.certificate`"),
            (json!({"recipient": {"class": "court", "country": "gb"}}), "`recipient.country`"),
            (json!({"recipient": {"class": "court", "name": ""}}), "`recipient.name`"),
            (json!({ "note": long }), "`note`"),
            (json!({"reason": "a\u{0}b"}), "`reason`"),
            (json!({"review_due": "1969-01-01T00:00:00Z"}), "`review_due`"),
            (json!({"colour": "red"}), "`body`"),
        ] {
            let refused = order(more.clone()).unwrap_err();
            assert!(refused.starts_with(key), "{more}: {refused}");
        }
        let pasted = order(json!({"binding": "hunter2hunter2"})).unwrap_err();
        assert!(!pasted.contains("hunter2"), "{pasted}");
        let pasted = order(json!({"uses": "hunter2hunter2"})).unwrap_err();
        assert!(!pasted.contains("hunter2"), "{pasted}");
    }

    #[test]
    fn the_last_second_and_the_one_after() {
        assert!(order(json!({"expires_in_seconds": 86_400})).is_ok());
        assert!(order(json!({"uses": 5})).is_ok());
    }

    #[test]
    fn another_order_has_another_fingerprint_and_no_password_in_it() {
        let print = |more| order(more).unwrap().fingerprint;
        assert_eq!(print(json!({"uses": 2})), print(json!({"uses": 2})));
        assert_ne!(print(json!({"uses": 2})), print(json!({"uses": 3})));
        let with = |password: &str| print(json!({ "password": password }));
        assert_eq!(with("password one"), with("password two"));
        assert_ne!(with("password one"), print(json!({})));
    }

    proptest! {
        #[test]
        fn any_text_is_an_order_or_refused(text in ".{0,200}") {
            let _ = Order::read(text.as_bytes(), &allowed(), Timestamp::UNIX_EPOCH);
        }
    }
}
