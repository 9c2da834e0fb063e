//! Statements: what people and systems tell the gate of calls beyond what Twilio knows.
//!
//! Each is one entry of the ledger and is never changed: what is true now follows from all of them
//! in their order (`fold.rs`), so what was known at any earlier time stays known. The JSON form is
//! the same in the API, in files and in entries; the participant is sealed apart from it.
//!
//! Field order in each struct is the order of keys in the canonical JSON of entries.

mod check;
mod tell;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Consent;
use crate::law::Place;
use crate::media::{CallSid, Direction, MediaSid};
use crate::notice::{ConsentForm, NoticeVersion};
use crate::purpose::Purpose;

pub use check::{Unfit, is_e164};

/// One thing that somebody says about calls, recordings, a line or a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Form", try_from = "Form")]
pub struct Statement {
    /// The calls, conferences, rooms or recordings it is about. Empty if it is about a line, or
    /// about a person in all their calls.
    pub about: Vec<MediaSid>,
    /// The organisation's telephone line it is about, by the vocabulary's id.
    pub line: Option<String>,
    /// The person it is about.
    pub participant: Option<Who>,
    /// What is said.
    pub said: Said,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Who took part in a call.
    Party(Party),
    /// Consent of a person.
    Consent(Box<ConsentRecord>),
    /// An objection of a person.
    Objection(Objection),
    /// What everybody hears who calls a line.
    Announcement(Announcement),
    /// What a call is filed under.
    Labels(Filing),
    /// Whether a payment card was read out.
    Payment(Payment),
    /// A complaint, dispute or claim about a call.
    Case(Case),
    /// A legal hold.
    Hold(Hold),
    /// The two ends of a call, as Twilio told them.
    Call(CallEnds),
}

/// What somebody states: exactly one of the keys beside `about`, `line` and `participant`.
#[derive(Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Statement)]
#[serde(deny_unknown_fields)]
struct Form {
    /// The calls, conferences, rooms or recordings it is about, by their SIDs. Left out if it is
    /// about a line, or about a person in all their calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, example = json!(["CA0123456789abcdef0123456789abcdef"]))]
    about: Vec<MediaSid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    announcement: Option<Announcement>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<CallEnds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    case: Option<Case>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ConsentRecord>)]
    consent: Option<Box<ConsentRecord>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold: Option<Hold>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<Filing>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    objection: Option<Objection>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    participant: Option<Who>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    party: Option<Party>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payment: Option<Payment>,
}

/// A person on a call: by telephone number, or by a name that the organisation gave them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Who {
    /// A number in E.164 form.
    Number(String),
    /// Any other name, such as `client:ana` or the number of an account.
    Name(String),
}

/// Never shown: it is a person's.
impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number(_) => "Who(a number)",
            Self::Name(_) => "Who(a name)",
        })
    }
}

/// Who took part, as far as it is known. A later statement adds to an earlier one of the same
/// person and call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// Where they are registered to live or work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "US-CA")]
    pub address: Option<Place>,
    /// True if they spoke for the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<bool>,
    /// Their leg of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub leg: Option<CallSid>,
    /// True if they are a minor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor: Option<bool>,
    /// Where they said they are, on the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "US-CA")]
    pub stated: Option<Place>,
}

/// Consent of one person: the fields of ISO/IEC TS 27560 that differ from record to record, and
/// what calls need beside them. Record id, subject and who recorded it are the entry's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentRecord {
    /// What was heard before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announcement: Option<Heard>,
    /// When it was given, refused or withdrawn.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What data it covers; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<String>,
    /// How it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<ConsentForm>,
    /// True if a guardian gave it for a minor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guardian: bool,
    /// Under which law it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "US-CA")]
    pub jurisdiction: Option<Place>,
    /// In which language (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The leg of the call on which it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub leg: Option<CallSid>,
    /// The version of the notice that was shown or accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2026-03-01")]
    pub notice: Option<NoticeVersion>,
    /// Where the proof of it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// For what; for every purpose if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub purposes: Vec<Purpose>,
    /// What it is from now on.
    pub state: Consent,
    /// When it runs out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// How it can be withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdraw_by: Option<String>,
}

/// An announcement, and how much of it somebody heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Heard {
    /// True if it was heard to its end.
    pub complete: bool,
    /// Its name.
    pub id: String,
    /// Milliseconds of it that were heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u32>,
    /// SHA-256 of its words or its sound, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Where a consent can be checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// A document, by its name where it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Milliseconds into the recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_ms: Option<u32>,
    /// The recording in which it can be heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub recording: Option<MediaSid>,
    /// SHA-256 of the document, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// An objection to purposes (GDPR, article 21), or its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Objection {
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// True if it is taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lifted: bool,
    /// To what; never empty.
    #[schema(value_type = Vec<String>)]
    pub purposes: Vec<Purpose>,
}

/// What everybody hears on a line from a day on: an assertion of the organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Announcement {
    /// True if those who answer the line agreed by their contracts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub agents_agreed: bool,
    /// True if who stays on the line after it consents, because it says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub consents: bool,
    /// Its name.
    pub id: String,
    /// For which purposes staying on is consent; for all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub purposes: Vec<Purpose>,
    /// SHA-256 of its words, in hexadecimal digits; worked out if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Calls that start from now on hear it.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Its words.
    pub text: String,
    /// Calls that start from now on do not hear it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

/// What a call is filed under; what is missing stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Filing {
    /// Its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_type: Option<String>,
    /// The part of the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// All of its labels; an empty list says that it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// The organisation's line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
}

/// Whether a payment card was read out, and when recording paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// The pauses of the recording.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pauses: Vec<Pause>,
    /// True if payment was taken on the call.
    pub taken: bool,
}

/// A pause of a recording, in milliseconds from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// Its end.
    pub end_ms: u32,
    /// Its start.
    pub start_ms: u32,
}

/// A complaint, dispute or claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// When it was opened or closed.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Its name.
    pub id: String,
    /// True from when it is opened until it is closed.
    pub open: bool,
}

/// A legal hold: what it covers is not deleted until it is lifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// The case it serves.
    pub case: String,
    /// Its name.
    pub id: String,
    /// True when it is lifted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lifted: bool,
    /// The callers who may use what it covers after its time, by their ids (`issuer|subject`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
    /// For what they may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub purposes: Vec<Purpose>,
    /// Why it was placed or lifted.
    pub reason: String,
}

/// The ends of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallEnds {
    /// Who called whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// How many of its ends have no number: withheld, or not on the telephone network.
    pub unnumbered: u8,
}

impl Statement {
    /// A statement, if it is about what it has to be about.
    ///
    /// # Errors
    /// [`Unfit`] names the key and what would be right.
    pub fn new(
        about: Vec<MediaSid>,
        line: Option<String>,
        participant: Option<Who>,
        said: Said,
    ) -> Result<Self, Unfit> {
        let statement = Self { about, line, participant, said };
        statement.check_form()?;
        Ok(statement)
    }
}

impl utoipa::PartialSchema for Statement {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        <Form as utoipa::PartialSchema>::schema()
    }
}

impl utoipa::ToSchema for Statement {
    fn schemas(
        schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>,
    ) {
        <Form as utoipa::ToSchema>::schemas(schemas);
    }
}

impl TryFrom<Form> for Statement {
    type Error = Unfit;

    fn try_from(form: Form) -> Result<Self, Unfit> {
        let Form { about, line, participant, .. } = form;
        let said = [
            form.announcement.map(Said::Announcement),
            form.call.map(Said::Call),
            form.case.map(Said::Case),
            form.consent.map(Said::Consent),
            form.hold.map(Said::Hold),
            form.labels.map(Said::Labels),
            form.objection.map(Said::Objection),
            form.party.map(Said::Party),
            form.payment.map(Said::Payment),
        ];
        let mut said = said.into_iter().flatten();
        let (Some(said), None) = (said.next(), said.next()) else { return Err(Unfit::NotOne) };
        Self::new(about, line, participant, said)
    }
}

impl From<Statement> for Form {
    fn from(statement: Statement) -> Self {
        let Statement { about, line, participant, said } = statement;
        let mut form = Self { about, line, participant, ..Self::default() };
        match said {
            Said::Party(party) => form.party = Some(party),
            Said::Consent(consent) => form.consent = Some(consent),
            Said::Objection(objection) => form.objection = Some(objection),
            Said::Announcement(announcement) => form.announcement = Some(announcement),
            Said::Labels(labels) => form.labels = Some(labels),
            Said::Payment(payment) => form.payment = Some(payment),
            Said::Case(case) => form.case = Some(case),
            Said::Hold(hold) => form.hold = Some(hold),
            Said::Call(call) => form.call = Some(call),
        }
        form
    }
}
