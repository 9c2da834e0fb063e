//! From an entry back to the question that was decided, with everything that decided it.
//!
//! What decides is in the entry: who, what, why, when, and the facts; the labels stand for the
//! numbers that they were found by. With the policies of the entry's digest the same question gets
//! the same answer.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use crate::facts::{Basis, Consent, Facts, Labels, LawOfCall, Numbers, RecordingStatus, Register};
use crate::identity::{Caller, Proof, Role};
use crate::media::{
    AccountSid, Artefact, CallSid, Channels, Direction, Form, MediaRef, MediaSid, Target,
};
use crate::notice::{Circumstance, ConsentForm};
use crate::policy::{Action, Decision, Question, Reason, Stated};

/// Why an entry cannot be decided again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecallError {
    /// It is no decision.
    #[error("the entry is no decision: it is neither an intent nor a refusal")]
    NoDecision,
    /// It was refused before there was anything to decide on.
    #[error(
        "the request was refused before it came to a decision: there was no proven caller, or no \
         facts"
    )]
    Undecided,
    /// It holds something that this version does not know.
    #[error("the entry holds a word that this version of noticegate does not know")]
    Unknown,
}

/// A decision of the past.
#[derive(Debug)]
pub struct Recalled {
    /// What was asked.
    pub question: Question,
    /// Whether it was permitted.
    pub permitted: bool,
    /// The policies that decided, by their ids.
    pub policies: BTreeSet<String>,
    /// Of a refusal, the word for the reason.
    pub reason: Option<String>,
    /// The digest of the policies that were in force.
    pub digest: String,
}

impl Recalled {
    /// Whether another answer to the same question is the same decision for the same reason.
    #[must_use]
    pub fn agrees(&self, decision: &Decision, answer: &Result<(), Reason>) -> bool {
        let reason = answer.as_ref().err().map(Reason::code);
        let policies = decision.citations.iter().map(|citation| citation.policy.as_str());
        self.permitted == answer.is_ok()
            && self.reason.as_deref() == reason
            && self.policies.iter().map(String::as_str).eq(policies.collect::<BTreeSet<_>>())
    }
}

#[derive(Deserialize)]
struct EntryForm<'a> {
    #[serde(borrow)]
    t: Cow<'a, str>,
    at: Timestamp,
    #[serde(borrow, default)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    caller: Option<CallerForm<'a>>,
    #[serde(borrow, default)]
    circumstances: Vec<Cow<'a, str>>,
    country: Option<String>,
    decision: Option<DecisionForm>,
    #[serde(borrow)]
    facts: Option<FactsForm<'a>>,
    #[serde(borrow)]
    media: Option<MediaForm<'a>>,
    purpose: Option<String>,
    reason: Option<String>,
    recipient: Option<String>,
}

#[derive(Deserialize)]
struct CallerForm<'a> {
    bound: Option<String>,
    #[serde(rename = "for")]
    on_behalf_of: Option<String>,
    id: String,
    #[serde(borrow)]
    issuer: Cow<'a, str>,
    #[serde(borrow)]
    roles: Vec<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct DecisionForm {
    cited: Vec<CitationForm>,
    #[serde(default)]
    labels: LabelsForm,
    policies: String,
}

#[derive(Deserialize)]
struct CitationForm {
    policy: String,
}

#[derive(Default, Deserialize)]
struct LabelsForm {
    call_type: Option<String>,
    department: Option<String>,
    labels: Option<Vec<String>>,
    line: Option<String>,
}

#[derive(Deserialize)]
struct FactsForm<'a> {
    accepted: Option<String>,
    #[serde(borrow)]
    account: Cow<'a, str>,
    #[serde(borrow)]
    artefact: Cow<'a, str>,
    as_of: Timestamp,
    #[serde(borrow)]
    call: Option<Cow<'a, str>>,
    case_closed_at: Option<Timestamp>,
    channels: u8,
    #[serde(borrow, default)]
    circumstances: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    consent: Cow<'a, str>,
    #[serde(borrow)]
    consent_form: Option<Cow<'a, str>>,
    #[serde(borrow)]
    direction: Option<Cow<'a, str>>,
    duration_seconds: u32,
    encrypted: bool,
    law: Option<LawOfCall>,
    #[serde(default)]
    objections: Vec<String>,
    started_at: Timestamp,
    #[serde(borrow)]
    status: Cow<'a, str>,
}

#[derive(Deserialize)]
struct MediaForm<'a> {
    #[serde(borrow)]
    account: Cow<'a, str>,
    channels: Option<u8>,
    #[serde(borrow)]
    form: Cow<'a, str>,
    #[serde(borrow)]
    path: Option<Cow<'a, str>>,
    #[serde(borrow)]
    recording: Option<Cow<'a, str>>,
}

/// Reads the decision that an entry records.
///
/// # Errors
/// [`RecallError`] if there is none that could be made again.
pub fn recall(bytes: &[u8]) -> Result<Recalled, RecallError> {
    let entry: EntryForm<'_> =
        serde_json::from_slice(bytes).map_err(|_| RecallError::NoDecision)?;
    let permitted = match &*entry.t {
        "intent" | "deletion" | "share" => true,
        "refusal" => false,
        _ => return Err(RecallError::NoDecision),
    };
    let (Some(caller), Some(decision), Some(facts), Some(media)) =
        (entry.caller, entry.decision, entry.facts, entry.media)
    else {
        return Err(RecallError::Undecided);
    };
    let unknown = RecallError::Unknown;
    let facts = read_facts(facts, decision.labels, &media).ok_or(unknown)?;
    let stated = Stated {
        circumstances: read_all(&entry.circumstances, Circumstance::read).ok_or(unknown)?,
        recipient: entry.recipient,
        country: entry.country,
    };
    let purpose = entry.purpose.map(|purpose| purpose.parse()).transpose().map_err(|_| unknown)?;
    let question = Question {
        caller: Arc::new(read_caller(caller).ok_or(unknown)?),
        action: Action::read(&entry.action).ok_or(unknown)?,
        media: read_media(&media).ok_or(unknown)?,
        purpose,
        stated,
        facts: Arc::new(facts),
        now: entry.at,
    };
    let policies = decision.cited.into_iter().map(|cited| cited.policy).collect();
    let reason = entry.reason;
    Ok(Recalled { question, permitted, policies, reason, digest: decision.policies })
}

/// What an entry is about.
pub(super) fn media_of(bytes: &[u8]) -> Option<MediaRef> {
    #[derive(Deserialize)]
    struct About<'a> {
        #[serde(borrow)]
        media: MediaForm<'a>,
    }
    read_media(&serde_json::from_slice::<About<'_>>(bytes).ok()?.media)
}

fn read_all<T>(words: &[Cow<'_, str>], read: fn(&str) -> Option<T>) -> Option<Vec<T>> {
    words.iter().map(|word| read(word)).collect()
}

fn read_caller(caller: CallerForm<'_>) -> Option<Caller> {
    Some(Caller {
        id: caller.id,
        roles: caller.roles.iter().map(|role| Role::new(role)).collect(),
        on_behalf_of: caller.on_behalf_of,
        bound_purpose: caller.bound.map(|purpose| purpose.parse()).transpose().ok()?,
        default_purpose: None,
        proof: Proof {
            issuer: caller.issuer.into_owned(),
            key_id: None,
            token_id: None,
            expires_at: Timestamp::MAX,
        },
    })
}

fn read_media(media: &MediaForm<'_>) -> Option<MediaRef> {
    let channels = match media.channels {
        None => None,
        Some(1) => Some(Channels::Mono),
        Some(2) => Some(Channels::Dual),
        Some(_) => return None,
    };
    let account: AccountSid = media.account.parse().ok()?;
    if let Some(path) = &media.path {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&**path, None),
        };
        let mut media = Target::parse(path, query).ok()?.media;
        media.account = account;
        return Some(media);
    }
    let recording = media.recording.as_deref()?.parse().ok()?;
    let form = Form::read(&media.form)?;
    Some(MediaRef::recording(account, recording, form).with_channels(channels))
}

fn read_facts(facts: FactsForm<'_>, labels: LabelsForm, media: &MediaForm<'_>) -> Option<Facts> {
    let recording: MediaSid = media.recording.as_deref()?.parse().ok()?;
    let call: Option<CallSid> = facts.call.map(|call| call.parse()).transpose().ok()?;
    let LabelsForm { call_type, department, labels, line } = labels;
    let word = |word: &Option<Cow<'_, str>>| word.as_deref().map(str::to_owned);
    Some(Facts {
        account: facts.account.parse().ok()?,
        recording,
        as_of: facts.as_of,
        call,
        conference: None,
        room: None,
        started_at: facts.started_at,
        duration_seconds: facts.duration_seconds,
        channels: facts.channels,
        status: RecordingStatus::read(&facts.status)?,
        encrypted: facts.encrypted,
        encryption: None,
        direction: match word(&facts.direction) {
            Some(direction) => Some(Direction::read(&direction)?),
            None => None,
        },
        numbers: Numbers::default(),
        consent: Consent::read(&facts.consent)?,
        artefact: Artefact::read(&facts.artefact)?,
        register: Register {
            labels: Labels { line, department, call_type, labels },
            consent_form: match word(&facts.consent_form) {
                Some(form) => Some(ConsentForm::read(&form)?),
                None => None,
            },
            objections: facts
                .objections
                .into_iter()
                .map(|purpose| purpose.parse())
                .collect::<Result<_, _>>()
                .ok()?,
            circumstances: read_all(&facts.circumstances, Circumstance::read)?,
            case_closed_at: facts.case_closed_at,
            accepted: facts.accepted.map(|notice| notice.parse()).transpose().ok()?,
            law: facts.law,
            // The decision rests on the request's circumstance that came of them.
            held_for: Vec::new(),
        },
        basis: Basis::default(),
    })
}
