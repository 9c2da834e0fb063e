//! Commitments to what could point to a person.
//!
//! Such things are not in the entry: its `c` holds salted commitments. A commitment is the SHA-256
//! of a 16-byte random salt and the canonical JSON of the group; without the salt nobody can find
//! an address by trying all of them. Salt and group go to the writer as [`Clear`], which seals them
//! under the key of the person they tell of (`people.rs`).

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::AppendError;
use super::entry::Ask;
use crate::facts::{Numbers, Who};
use crate::share::Private;

/// LIMIT: bytes of a user agent that are kept.
pub(super) const AGENT_BYTES_MAX: usize = 200;

/// The commitments of an entry, as they stand in it.
#[derive(Debug, Serialize)]
pub(super) struct Commitments {
    #[serde(skip_serializing_if = "Option::is_none")]
    net: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subject: Vec<String>,
}

impl Commitments {
    /// The same, and to what a share tells of people.
    pub(super) fn with_share(self, share: String) -> Self {
        Self { share: Some(share), ..self }
    }

    /// True if it commits to nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.net.is_none() && self.said.is_none() && self.share.is_none() && self.subject.is_empty()
    }
}

/// What an entry commits to, on its way to be sealed.
#[derive(Debug, Default)]
pub(super) struct Clear(pub(super) Vec<Group>);

/// One group, with the salt that opens its commitment.
pub(super) struct Group {
    /// `net`, `said`, `share` or `subject`.
    pub(super) name: &'static str,
    /// Whom it tells of: their name in the ledger's own terms.
    pub(super) person: String,
    /// Salt and group, as they are sealed.
    pub(super) plain: Vec<u8>,
}

/// Nothing of it shows.
impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Group({})", self.name)
    }
}

/// What is sealed of one group.
#[derive(Serialize)]
struct Plain<'a, T> {
    salt: &'a str,
    value: T,
}

#[derive(Serialize)]
struct Net<'a> {
    address: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a str>,
}

/// What the caller wrote about the request in their own words.
#[derive(Serialize)]
struct Said<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
}

/// One participant of the call.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Subject<'a> {
    Name(&'a str),
    Number(&'a str),
}

/// The name of a caller as a person.
pub(super) fn person_of_caller(caller: &str) -> String {
    format!("caller:{caller}")
}

/// The name of a participant as a person, by a number in E.164 form.
pub(super) fn person_of_number(number: &str) -> String {
    format!("number:{number}")
}

/// The name of a participant as a person, by another name than a number.
pub(super) fn person_of_name(name: &str) -> String {
    format!("name:{name}")
}

/// Commits to what a request tells of people: of the caller (of strangers, those of one day share
/// a name) and of the participants of the call.
///
/// # Errors
/// [`AppendError::NoRandomness`]: without a salt, a commitment could be guessed.
pub(super) fn commit(
    ask: &Ask,
    caller: Option<&str>,
    numbers: &Numbers,
    now: Timestamp,
) -> Result<(Commitments, Clear), AppendError> {
    let person = match caller {
        Some(caller) => person_of_caller(caller),
        None => format!("stranger:{}", now.strftime("%F")),
    };
    let mut clear = Clear::default();
    let cut = |agent: &'_ str| agent.floor_char_boundary(AGENT_BYTES_MAX);
    let agent = ask.agent.as_deref().and_then(|agent| agent.get(..cut(agent)));
    let net = Some(clear.add("net", &person, Net { address: ask.address, agent })?);
    let said = match (ask.reason.as_deref(), ask.reference.as_deref()) {
        (None, None) => None,
        (reason, reference) => Some(clear.add("said", &person, Said { reason, reference })?),
    };
    let subject = clear.subjects(numbers)?.subject;
    Ok((Commitments { net, said, share: None, subject }, clear))
}

impl Clear {
    /// The participants of a call.
    pub(super) fn subjects(&mut self, numbers: &Numbers) -> Result<Commitments, AppendError> {
        let each = numbers.iter();
        let each = each
            .map(|number| self.add("subject", &person_of_number(number), Subject::Number(number)));
        let subject = each.collect::<Result<_, _>>()?;
        Ok(Commitments { net: None, said: None, share: None, subject })
    }

    /// What a share tells of people: of its recipient if they have a name, else of its maker.
    pub(super) fn share(&mut self, maker: &str, private: &Private) -> Result<String, AppendError> {
        let person = match &private.name {
            Some(name) => person_of_name(name),
            None => person_of_caller(maker),
        };
        self.add("share", &person, private)
    }

    /// A note about entries, in somebody's own words.
    pub(super) fn note(
        &mut self,
        person: &str,
        note: Option<&str>,
    ) -> Result<Option<Commitments>, AppendError> {
        let Some(note) = note else { return Ok(None) };
        let said = Said { reason: Some(note), reference: None };
        let said = Some(self.add("said", person, said)?);
        Ok(Some(Commitments { net: None, said, share: None, subject: Vec::new() }))
    }

    /// The participant of a statement, and what somebody said in their own words.
    pub(super) fn statement(
        &mut self,
        participant: Option<&Who>,
        actor: &str,
        reason: Option<&str>,
    ) -> Result<Option<Commitments>, AppendError> {
        let subject = match participant {
            None => Vec::new(),
            Some(Who::Number(number)) => {
                vec![self.add("subject", &person_of_number(number), Subject::Number(number))?]
            }
            Some(Who::Name(name)) => {
                vec![self.add("subject", &person_of_name(name), Subject::Name(name))?]
            }
        };
        let said = Said { reason, reference: None };
        let said = reason.map(|_| self.add("said", &person_of_caller(actor), said)).transpose()?;
        let any = said.is_some() || !subject.is_empty();
        Ok(any.then_some(Commitments { net: None, said, share: None, subject }))
    }

    fn add<T: Serialize>(
        &mut self,
        name: &'static str,
        person: &str,
        value: T,
    ) -> Result<String, AppendError> {
        let mut salt = [0u8; 16];
        aws_lc_rs::rand::fill(&mut salt).map_err(|_| AppendError::NoRandomness)?;
        let commitment = commitment(&salt, &serde_json::to_vec(&value).unwrap_or_default());
        let plain = Plain { salt: &URL_SAFE_NO_PAD.encode(salt), value };
        let plain = serde_json::to_vec(&plain).unwrap_or_default();
        self.0.push(Group { name, person: person.to_owned(), plain });
        Ok(commitment)
    }
}

/// The commitment to a group's canonical JSON.
fn commitment(salt: &[u8], value: &[u8]) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(salt);
    context.update(value);
    URL_SAFE_NO_PAD.encode(context.finish().as_ref())
}

/// A group that was opened.
#[derive(Deserialize)]
pub(super) struct Opened<'a> {
    salt: String,
    #[serde(borrow)]
    pub(super) value: &'a RawValue,
}

impl<'a> Opened<'a> {
    /// Reads what was sealed; `None` if it is not of this form.
    pub(super) fn read(plain: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(plain).ok()
    }

    /// The commitment that the entry must hold for it.
    pub(super) fn commitment(&self) -> Option<String> {
        let salt = URL_SAFE_NO_PAD.decode(&self.salt).ok()?;
        Some(commitment(&salt, self.value.get().as_bytes()))
    }
}
