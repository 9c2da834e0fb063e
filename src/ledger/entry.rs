//! The form of entries.
//!
//! An entry is the exact bytes of one JSON object, in the canonical form of RFC 8785 (keys in
//! order, no blanks, integers only): structs here list their fields in that order, and a test
//! holds every kind to a canonicaliser that is not ours. Verifiers hash the stored bytes and never
//! write them anew. The last keys (`w`, `wn`, `wp`: the writer, its count, and the head of the hash of
//! its entry before) are added by the writer thread, which alone knows them; all other keys sort
//! before them. A writer's first entry follows the last one of the ledger, whose place is `wa`.
//!
//! What could point to a person is not in the entry: see `commit.rs`.

mod permitted;

pub(super) use permitted::{Sweeping, deleted, deletion, intent, share, share_end};

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::AppendError;
use super::commit::{Clear, Commitments, commit};
use crate::facts::{Facts, Labels, LawOfCall, Numbers};
use crate::identity::{Caller, Role};
use crate::media::{AccountSid, CallSid, Channels, Form, MediaRef, MediaSid};
use crate::notice::{Circumstance, ConsentForm, NoticeVersion};
use crate::policy::{Action, Citation, Decision, Ground, Stated};
use crate::purpose::Purpose;
use crate::share::ShareId;

/// The version of the form. It rises when a key changes its meaning.
pub(super) const VERSION: u8 = 1;

/// The name of an entry: a UUIDv7, so that names sort by time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(Uuid);

impl EntryId {
    /// A new name at a time.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
        Self(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos)))
    }
}

impl FromStr for EntryId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for EntryId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Uuid::deserialize(from).map(Self)
    }
}

impl Serialize for EntryId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut buffer = Uuid::encode_buffer();
        to.serialize_str(self.0.hyphenated().encode_lower(&mut buffer))
    }
}

/// How a request was made, beside who made it.
#[derive(Clone, Debug)]
pub struct Ask {
    /// `GET` or `HEAD`.
    pub method: &'static str,
    /// The range that was asked for, in its canonical form.
    pub range: Option<String>,
    /// The address it came from.
    pub address: IpAddr,
    /// The `User-Agent`, if there was one.
    pub agent: Option<String>,
    /// The case, form or demand that the request names.
    pub reference: Option<String>,
    /// The reason that it gives.
    pub reason: Option<String>,
}

/// A request that was refused, with as much as was known of it.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Who asked; `None` for a stranger.
    pub caller: Option<Arc<Caller>>,
    /// What they wanted to do.
    pub action: Action,
    /// What they asked for; `None` of a link that leads to nothing.
    pub media: Option<MediaRef>,
    /// By which share, if by any.
    pub share: Option<ShareId>,
    /// Why, if they said so.
    pub purpose: Option<Purpose>,
    /// What the request stated beside its purpose.
    pub stated: Stated,
    /// What was known of it.
    pub facts: Option<Arc<Facts>>,
    /// The grounds, if it came to a decision.
    pub decision: Option<Decision>,
    /// One word for the reason.
    pub reason: &'static str,
    /// A few words more, without anything secret.
    pub detail: Option<String>,
    /// When it was decided.
    pub at: Timestamp,
}

/// How a disclosure ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything that was asked for was handed over.
    Complete,
    /// The caller left, or took nothing for too long.
    CallerLeft,
    /// The upstream broke off or fell silent in the middle.
    UpstreamCut,
    /// The upstream's answer was an error, or could not be used.
    UpstreamError,
    /// Nothing was handed over.
    NotReleased,
    /// It was longer than a recording may be.
    TooLong,
    /// While it ran, it was no longer permitted: the rest was held back.
    Revoked,
    /// A crash came between; it may have been disclosed and counts as if it was.
    Unknown,
}

impl Ending {
    /// The word in the entry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::CallerLeft => "caller-left",
            Self::UpstreamCut => "upstream-cut",
            Self::UpstreamError => "upstream-error",
            Self::NotReleased => "not-released",
            Self::TooLong => "too-long",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
        }
    }
}

/// What was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The status the caller was sent, if any was.
    pub status: Option<u16>,
    /// Bytes of the body handed to the caller's connection.
    pub bytes: u64,
    /// Where in the recording the first of them stands.
    pub first: u64,
    /// Bytes of the whole recording in this form, if they are known.
    pub length: Option<u64>,
    /// How it ended.
    pub ending: Ending,
}

impl Served {
    /// Nothing, as far as this gate knows.
    #[must_use]
    pub fn not(ending: Ending) -> Self {
        Self { status: None, bytes: 0, first: 0, length: None, ending }
    }
}

// Field order below is the canonical order of keys. A missing value has no key.

#[derive(Serialize)]
struct RefusalForm<'a> {
    action: &'a str,
    at: Timestamp,
    c: Commitments,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<CallerForm<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    circumstances: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<DecisionForm<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<FactsForm<'a>>,
    id: EntryId,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<MediaForm>,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<&'a str>,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<ShareId>,
    t: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    unrecorded: u64,
    v: u8,
}

#[derive(Serialize)]
struct OutcomeForm<'a> {
    at: Timestamp,
    bytes: u64,
    ending: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    first: u64,
    id: EntryId,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    of: EntryId,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    t: &'a str,
    v: u8,
}

/// What happens to the gate or to the ledger itself. Which keys there are depends on `t`; time, name
/// and versions are put in when it is written ([`event`]).
#[derive(Debug, Default, Serialize)]
pub(super) struct Event<'a> {
    /// What was done at the console.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<&'a str>,
    /// Who did it, for what is done at a command line or at the console.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) actor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<Timestamp>,
    /// The lowest place that is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) c: Option<Commitments>,
    /// The policies of `administration.cedar` that permitted or forbade it.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(super) cited: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<&'a str>,
    /// How many entries it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entries: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<EntryId>,
    /// The entries it is about, by place.
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    pub(super) of: &'a [u64],
    /// The person it is about, by the number that tells nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) person: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) policies: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
    /// Of what was written elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<&'a str>,
    pub(super) t: &'a str,
    pub(super) v: u8,
    pub(super) version: &'a str,
}

#[derive(Serialize)]
struct CallerForm<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    bound: Option<&'a str>,
    /// Whose right they use, if it is not their own.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<&'a str>,
    id: &'a str,
    issuer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    roles: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

#[derive(Default, PartialEq, Serialize)]
struct LabelsForm<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    call_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    department: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a str>,
}

#[derive(Serialize)]
struct DecisionForm<'a> {
    cited: Vec<CitationForm<'a>>,
    #[serde(skip_serializing_if = "LabelsForm::is_empty")]
    labels: LabelsForm<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'a str>,
    policies: &'a str,
}

#[derive(Serialize)]
struct CitationForm<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    clause: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'a str>,
    policy: &'a str,
}

#[derive(Serialize)]
struct FactsForm<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<&'a str>,
    account: AccountSid,
    artefact: &'a str,
    as_of: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<CallSid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    case_closed_at: Option<Timestamp>,
    channels: u8,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    circumstances: Vec<&'static str>,
    consent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    consent_form: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'a str>,
    duration_seconds: u32,
    encrypted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    law: Option<LawOfCall>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    objections: Vec<&'a str>,
    started_at: Timestamp,
    status: &'a str,
}

#[derive(Serialize)]
struct MediaForm {
    account: AccountSid,
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<u8>,
    form: &'static str,
    /// What was asked for, if it is not the recording itself but made from it, or a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// What the facts are about.
    #[serde(skip_serializing_if = "Option::is_none")]
    recording: Option<MediaSid>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// An entry without its last three keys and without its closing brace.
pub(super) type Open = String;

pub(super) fn open<T: Serialize>(form: &T) -> Open {
    // A struct of texts and numbers always has a JSON form; an empty text would be refused by the
    // writer.
    let mut text = serde_json::to_string(form).unwrap_or_default();
    text.pop();
    text
}

pub(super) fn refusal(
    id: EntryId,
    refused: &Refused,
    ask: &Ask,
    unrecorded: u64,
) -> Result<(Open, Clear), AppendError> {
    let caller = refused.caller.as_deref().map(|caller| caller.id.as_str());
    let nobody = Numbers::default();
    let numbers = refused.facts.as_deref().map_or(&nobody, |facts| &facts.numbers);
    let (c, clear) = commit(ask, caller, numbers, refused.at)?;
    let form = RefusalForm {
        action: refused.action.as_str(),
        at: refused.at,
        c,
        caller: refused.caller.as_deref().map(CallerForm::of),
        circumstances: words(&refused.stated.circumstances),
        country: refused.stated.country.as_deref(),
        decision: refused.decision.as_ref().map(DecisionForm::of),
        detail: refused.detail.as_deref(),
        facts: refused.facts.as_deref().map(FactsForm::of),
        id,
        media: refused
            .media
            .as_ref()
            .map(|media| MediaForm::of(media, refused.facts.as_ref().map(|facts| facts.recording))),
        method: ask.method,
        purpose: refused.purpose.as_ref().map(Purpose::as_str),
        range: ask.range.as_deref(),
        reason: refused.reason,
        recipient: refused.stated.recipient.as_deref(),
        share: refused.share,
        t: "refusal",
        unrecorded,
        v: VERSION,
    };
    Ok((open(&form), clear))
}

pub(super) fn outcome(id: EntryId, at: Timestamp, of: EntryId, served: &Served) -> Open {
    open(&OutcomeForm {
        at,
        bytes: served.bytes,
        ending: served.ending.as_str(),
        first: served.first,
        id,
        length: served.length,
        of,
        status: served.status,
        t: "outcome",
        v: VERSION,
    })
}

/// An event at a time.
pub(super) fn event(id: EntryId, at: Timestamp, event: Event<'_>) -> Open {
    let version = env!("CARGO_PKG_VERSION");
    open(&Event { at: Some(at), id: Some(id), v: VERSION, version, ..event })
}

/// The writer's chain as it stands at the end of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link<'a> {
    pub(super) writer: &'a str,
    pub(super) count: u64,
    /// For the first entry of a writer, the place of the entry that it follows.
    pub(super) after: Option<u64>,
    /// The head of the hash of the entry before.
    pub(super) previous: &'a str,
}

/// Closes an entry with the writer's chain.
pub(super) fn seal(mut open: Open, link: &Link<'_>) -> Vec<u8> {
    use fmt::Write;
    let Link { writer, count, after, previous } = link;
    // Writing to a String cannot fail.
    let _ = write!(open, r#","w":"{writer}""#);
    if let Some(after) = after {
        let _ = write!(open, r#","wa":{after}"#);
    }
    let _ = write!(open, r#","wn":{count},"wp":"{previous}"}}"#);
    open.into_bytes()
}

fn words(list: &[Circumstance]) -> Vec<&'static str> {
    list.iter().map(|circumstance| circumstance.as_str()).collect()
}

impl<'a> CallerForm<'a> {
    fn of(caller: &'a Caller) -> Self {
        Self {
            bound: caller.bound_purpose.as_ref().map(Purpose::as_str),
            on_behalf_of: caller.on_behalf_of.as_deref(),
            id: &caller.id,
            issuer: &caller.proof.issuer,
            key: caller.proof.key_id.as_deref(),
            roles: caller.roles.iter().map(Role::as_str).collect(),
            token: caller.proof.token_id.as_deref(),
        }
    }
}

impl<'a> LabelsForm<'a> {
    fn of(labels: &'a Labels) -> Self {
        Self {
            call_type: labels.call_type.as_deref(),
            department: labels.department.as_deref(),
            labels: labels.labels.as_deref(),
            line: labels.line.as_deref(),
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl<'a> DecisionForm<'a> {
    fn of(decision: &'a Decision) -> Self {
        Self {
            cited: decision.citations.iter().map(|c| CitationForm::of(c)).collect(),
            labels: LabelsForm::of(&decision.labels),
            notice: decision.notice.as_ref().map(|notice| notice.as_str()),
            policies: decision.policy_digest.as_str(),
        }
    }
}

impl<'a> CitationForm<'a> {
    fn of(citation: &'a Citation) -> Self {
        let (clause, notice) = match &citation.ground {
            Ground::Clause { clause, notice, .. } => (Some(clause.as_str()), Some(notice.as_str())),
            Ground::Guardrail { .. } => (None, None),
        };
        Self { clause, notice, policy: &citation.policy }
    }
}

impl<'a> FactsForm<'a> {
    fn of(facts: &'a Facts) -> Self {
        let register = &facts.register;
        Self {
            accepted: register.accepted.as_ref().map(NoticeVersion::as_str),
            account: facts.account,
            artefact: facts.artefact.as_str(),
            as_of: facts.as_of,
            call: facts.call,
            case_closed_at: register.case_closed_at,
            channels: facts.channels,
            circumstances: words(&register.circumstances),
            consent: facts.consent.as_str(),
            consent_form: register.consent_form.map(ConsentForm::as_str),
            direction: facts.direction.map(|direction| direction.as_str()),
            duration_seconds: facts.duration_seconds,
            encrypted: facts.encrypted,
            law: register.law,
            objections: register.objections.iter().map(Purpose::as_str).collect(),
            started_at: facts.started_at,
            status: facts.status.as_str(),
        }
    }
}

impl MediaForm {
    /// `about` is what the facts are about, if there are any.
    fn of(media: &MediaRef, about: Option<MediaSid>) -> Self {
        let channels = media.channels().map(|channels| match channels {
            Channels::Mono => 1,
            Channels::Dual => 2,
        });
        let form = media.row().form;
        let recording = about.or_else(|| media.subject().map(|subject| subject.sid()));
        let plain = recording.zip(Form::read(form));
        let plain = plain.map(|(sid, form)| MediaRef::recording(media.account, sid, form));
        let same = plain.is_some_and(|plain| plain.row().serves == media.row().serves)
            && media.sid() == recording
            && media.scope().is_none();
        let path = (!same).then(|| media.url("", &[]));
        Self { account: media.account, channels, form, path, recording }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::super::commit::AGENT_BYTES_MAX;
    use super::super::deletion::{Absence, DeletionAnswer, DeletionEnding};
    use super::*;
    use crate::facts::Register;
    use crate::identity::Proof;
    use crate::media::Direction;

    fn refused() -> Refused {
        let account = "AC00000000000000000000000000000001".parse().unwrap();
        let recording = "RE00000000000000000000000000000002".parse().unwrap();
        let media = MediaRef::recording(account, recording, Form::Mp3);
        Refused {
            caller: Some(Arc::new(Caller {
                id: "staff|\u{e9}\"\\\u{1}\u{7f}\u{2028}".to_owned(),
                roles: [Role::new("team-lead"), Role::new("trainer")].into(),
                on_behalf_of: None,
                bound_purpose: None,
                default_purpose: None,
                proof: Proof {
                    issuer: "https://issuer.example/".to_owned(),
                    key_id: Some("k".to_owned()),
                    token_id: Some("t".to_owned()),
                    expires_at: Timestamp::UNIX_EPOCH,
                },
            })),
            action: Action::Access,
            media: Some(media.with_channels(Some(Channels::Dual))),
            share: "019aa000-0000-7000-8000-000000000001".parse().ok(),
            purpose: "staff-training".parse().ok(),
            stated: Stated {
                circumstances: vec![Circumstance::Reference, Circumstance::Reason],
                recipient: Some("regulator".to_owned()),
                country: Some("GB".to_owned()),
            },
            facts: Some(Arc::new(Facts {
                call: "CA00000000000000000000000000000003".parse().ok(),
                direction: Some(Direction::Outbound),
                numbers: Numbers::new(vec!["+14045550123".to_owned()]),
                register: Register {
                    objections: vec!["staff-training".parse().unwrap()],
                    circumstances: vec![Circumstance::Hold],
                    consent_form: Some(ConsentForm::Spoke),
                    case_closed_at: Some(Timestamp::UNIX_EPOCH),
                    accepted: "2026-03-01".parse().ok(),
                    ..Register::default()
                },
                ..Facts::bare(account, recording, "2026-11-03T09:15:02.25Z".parse().unwrap())
            })),
            decision: None,
            reason: "undecidable",
            detail: Some("why".to_owned()),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn ask() -> Ask {
        Ask {
            method: "GET",
            range: Some("bytes=0-1".to_owned()),
            address: "192.0.2.7".parse().unwrap(),
            agent: Some("\u{fc}".repeat(150)),
            reference: Some("CASE-1234".to_owned()),
            reason: Some("she asked for it".to_owned()),
        }
    }

    /// RFC 8785 by a library that is not ours gives the very bytes that are stored.
    #[test]
    fn entries_are_in_canonical_form() {
        let now = Timestamp::UNIX_EPOCH;
        let id = EntryId::new(now);
        let length = Some(70);
        let served =
            Served { status: Some(206), bytes: 7, first: 3, length, ending: Ending::UpstreamCut };
        let cited = ["admin-reviewer".to_owned()];
        let full = Event {
            action: Some("review"),
            actor: Some("somebody"),
            before: Some(256),
            cited: &cited,
            detail: Some("detail"),
            entries: Some(3),
            of: &[4, 5],
            person: Some(6),
            policies: Some("digest"),
            reason: Some("reason"),
            sha256: Some("ab"),
            t: "start",
            ..Event::default()
        };
        let answer = DeletionAnswer {
            status: Some(204),
            proof: Some(Absence::NotThere),
            ending: DeletionEnding::Gone,
        };
        let told = ("somebody", &answer);
        let media = refused().media.unwrap();
        for open in [
            refusal(id, &refused(), &ask(), 3).unwrap().0,
            outcome(id, now, id, &served),
            deleted(id, now, (id, media.sid(), &media), told),
            event(id, now, full),
            share_end(id, now, refused().share.unwrap(), ("somebody", "revoked", Some("why")))
                .unwrap()
                .0,
        ] {
            for (count, after) in [(0, Some(11)), (12, None)] {
                let link = Link { writer: "w0", count, after, previous: "ab" };
                let bytes = seal(open.clone(), &link);
                let value: Value = serde_json::from_slice(&bytes).unwrap();
                assert_eq!(serde_jcs::to_vec(&value).unwrap(), bytes, "{value}");
            }
        }
    }

    /// The address, the numbers and what the caller wrote are not in the entry; with the salts the
    /// commitments can be checked, and without them two entries of one address have nothing in
    /// common.
    #[test]
    fn what_could_point_to_a_person_is_only_committed_to() {
        let id = EntryId::new(Timestamp::UNIX_EPOCH);
        let (open, clear) = refusal(id, &refused(), &ask(), 0).unwrap();
        let (other, _) = refusal(id, &refused(), &ask(), 0).unwrap();
        for secret in ["192.0.2.7", "CASE-1234", "she asked", "3055550123"] {
            assert!(!open.contains(secret), "{open}");
        }
        let entry: Value = serde_json::from_str(&format!("{open}}}")).unwrap();
        let other: Value = serde_json::from_str(&format!("{other}}}")).unwrap();
        let mut names = Vec::new();
        for group in &clear.0 {
            let plain: Value = serde_json::from_slice(&group.plain).unwrap();
            let salt = URL_SAFE_NO_PAD.decode(plain["salt"].as_str().unwrap()).unwrap();
            let mut hashed = salt;
            hashed.extend(serde_jcs::to_vec(&plain["value"]).unwrap());
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &hashed);
            let pointer = match group.name {
                "subject" => "/c/subject/0".to_owned(),
                name => format!("/c/{name}"),
            };
            let committed = entry.pointer(&pointer).unwrap();
            assert_eq!(*committed, URL_SAFE_NO_PAD.encode(digest.as_ref()));
            assert_ne!(Some(committed), other.pointer(&pointer));
            names.push((group.name, group.person.as_str()));
            if group.name == "net" {
                assert_eq!(plain["value"]["agent"].as_str().unwrap().len(), AGENT_BYTES_MAX);
            }
        }
        let caller = "caller:staff|\u{e9}\"\\\u{1}\u{7f}\u{2028}";
        let number = "number:+14045550123";
        assert_eq!(names, [("net", caller), ("said", caller), ("subject", number)]);
    }
}
