//! Statements: what people and systems tell the gate of calls beyond what Twilio knows.
//!
//! Each is one entry of the ledger and is never changed: what is true now follows from all of them
//! in their order (`fold.rs`), so what was known at any earlier time stays known. The JSON form is
//! the same in the API, in files and in entries; the participant is sealed apart from it.
//!
//! Field order in each struct is the order of keys in the canonical JSON of entries.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Consent;
use crate::law::Place;
use crate::media::{CallSid, Direction, MediaSid};
use crate::notice::{ConsentForm, NoticeVersion, Vocabulary, Word};
use crate::purpose::Purpose;

/// LIMIT: bytes of a text in a statement, such as the words of an announcement. An entry holds 16 KiB.
const TEXT_BYTES_MAX: usize = 8_000;

/// LIMIT: bytes of a name in a statement: of a case, a hold, a participant, a document.
const NAME_BYTES_MAX: usize = 200;

/// LIMIT: calls and recordings that one statement is about.
const ABOUT_MAX: usize = 200;

/// LIMIT: members of any other list in a statement.
const LIST_MAX: usize = 100;

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

/// The JSON form: exactly one of the last nine.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    about: Vec<MediaSid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    announcement: Option<Announcement>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<CallEnds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    case: Option<Case>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// Where they are registered to live or work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Place>,
    /// True if they spoke for the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<bool>,
    /// Their leg of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leg: Option<CallSid>,
    /// True if they are a minor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor: Option<bool>,
    /// Where they said they are, on the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated: Option<Place>,
}

/// Consent of one person: the fields of ISO/IEC TS 27560 that differ from record to record, and
/// what calls need beside them. Record id, subject and who recorded it are the entry's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentRecord {
    /// What was heard before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announcement: Option<Heard>,
    /// When it was given, refused or withdrawn.
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
    pub jurisdiction: Option<Place>,
    /// In which language (BCP 47).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The leg of the call on which it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leg: Option<CallSid>,
    /// The version of the notice that was shown or accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<NoticeVersion>,
    /// Where the proof of it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// For what; for every purpose if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purposes: Vec<Purpose>,
    /// What it is from now on.
    pub state: Consent,
    /// When it runs out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// How it can be withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdraw_by: Option<String>,
}

/// An announcement, and how much of it somebody heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    pub recording: Option<MediaSid>,
    /// SHA-256 of the document, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// An objection to purposes (GDPR, article 21), or its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objection {
    /// When it was made.
    pub at: Timestamp,
    /// True if it is taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lifted: bool,
    /// To what; never empty.
    pub purposes: Vec<Purpose>,
}

/// What everybody hears on a line from a day on: an assertion of the organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    pub purposes: Vec<Purpose>,
    /// SHA-256 of its words, in hexadecimal digits; worked out if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Calls that start from now on hear it.
    pub since: Timestamp,
    /// Its words.
    pub text: String,
    /// Calls that start from now on do not hear it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What a call is filed under; what is missing stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// The pauses of the recording.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pauses: Vec<Pause>,
    /// True if payment was taken on the call.
    pub taken: bool,
}

/// A pause of a recording, in milliseconds from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// Its end.
    pub end_ms: u32,
    /// Its start.
    pub start_ms: u32,
}

/// A complaint, dispute or claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// When it was opened or closed.
    pub at: Timestamp,
    /// Its name.
    pub id: String,
    /// True from when it is opened until it is closed.
    pub open: bool,
}

/// A legal hold: what it covers is not deleted until it is lifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// The case it serves.
    pub case: String,
    /// Its name.
    pub id: String,
    /// True when it is lifted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lifted: bool,
    /// The callers who may use what it covers after its time, by their ids (`issuer:subject`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
    /// For what they may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purposes: Vec<Purpose>,
    /// Why it was placed or lifted.
    pub reason: String,
}

/// The ends of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallEnds {
    /// Who called whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// How many of its ends have no number: withheld, or not on the telephone network.
    pub unnumbered: u8,
}

/// A statement that says nothing, or too much.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not exactly one thing is said.
    #[error(
        "a statement says exactly one of party, consent, objection, announcement, labels, payment, \
         case, hold and call"
    )]
    NotOne,
    /// It is about nothing.
    #[error("{said} is about {need}")]
    About {
        /// What is said.
        said: &'static str,
        /// What it must be about.
        need: &'static str,
    },
    /// A value that cannot be meant.
    #[error("`{key}`: {problem}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

fn wrong(key: &'static str, problem: impl Into<String>) -> Unfit {
    Unfit::Value { key, problem: problem.into() }
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
        let statement = Self { about, line, participant, said };
        statement.check_form()?;
        Ok(statement)
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

/// A number in E.164 form: a plus sign and up to 15 digits.
#[must_use]
pub fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (4..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

fn check_name(key: &'static str, name: &str) -> Result<(), Unfit> {
    match name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        true => Err(wrong(key, "1 to 200 bytes without control characters")),
        false => Ok(()),
    }
}

fn check_hash(key: &'static str, hash: Option<&str>) -> Result<(), Unfit> {
    let sound = |hash: &str| {
        hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    match hash.is_none_or(sound) {
        true => Ok(()),
        false => Err(wrong(key, "64 lower-case hexadecimal digits")),
    }
}

fn check_list<T>(key: &'static str, list: &[T], max: usize) -> Result<(), Unfit> {
    match list.len() > max {
        true => Err(wrong(key, format!("at most {max}"))),
        false => Ok(()),
    }
}

impl Statement {
    /// What is said, in one word: the key that holds it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.said {
            Said::Party(_) => "party",
            Said::Consent(_) => "consent",
            Said::Objection(_) => "objection",
            Said::Announcement(_) => "announcement",
            Said::Labels(_) => "labels",
            Said::Payment(_) => "payment",
            Said::Case(_) => "case",
            Said::Hold(_) => "hold",
            Said::Call(_) => "call",
        }
    }

    /// Checks what can be checked without knowing anything else.
    fn check_form(&self) -> Result<(), Unfit> {
        check_list("about", &self.about, ABOUT_MAX)?;
        match &self.participant {
            Some(Who::Number(number)) if !is_e164(number) => {
                return Err(wrong("participant", "a number in E.164 form, such as `+14045550100`"));
            }
            Some(Who::Name(name)) => check_name("participant", name)?,
            _ => {}
        }
        let (calls, line, person) =
            (!self.about.is_empty(), self.line.is_some(), self.participant.is_some());
        let said = self.kind();
        let fits = match &self.said {
            Said::Party(_) => (calls && person && !line).then_some(()).ok_or("one `participant` of the calls in `about`"),
            Said::Consent(_) | Said::Objection(_) => {
                (person && !line).then_some(()).ok_or("one `participant`, in the calls in `about` or in all")
            }
            Said::Announcement(_) => {
                (line && !calls && !person).then_some(()).ok_or("one `line`")
            }
            Said::Labels(_) | Said::Payment(_) | Said::Case(_) => {
                (calls && !line && !person).then_some(()).ok_or("the calls or recordings in `about`")
            }
            Said::Call(_) => (calls && !line).then_some(()).ok_or("the call in `about`"),
            Said::Hold(_) => (!line && (calls || person))
                .then_some(())
                .ok_or("the calls or recordings in `about`, or a `participant`"),
        };
        fits.map_err(|need| Unfit::About { said, need })?;
        self.check_values()
    }

    fn check_values(&self) -> Result<(), Unfit> {
        match &self.said {
            Said::Consent(consent) => consent.check(),
            Said::Objection(objection) => {
                check_list("purposes", &objection.purposes, LIST_MAX)?;
                match objection.purposes.is_empty() {
                    true => Err(wrong("purposes", "at least one purpose")),
                    false => Ok(()),
                }
            }
            Said::Announcement(announcement) => {
                check_name("id", &announcement.id)?;
                check_hash("sha256", announcement.sha256.as_deref())?;
                check_list("purposes", &announcement.purposes, LIST_MAX)?;
                let text = announcement.text.len();
                if text == 0 || text > TEXT_BYTES_MAX {
                    return Err(wrong("text", "its words, at most 8,000 bytes"));
                }
                match announcement.until.is_some_and(|until| until <= announcement.since) {
                    true => Err(wrong("until", "a time after `since`")),
                    false => Ok(()),
                }
            }
            Said::Labels(filing) => match &filing.labels {
                Some(labels) => check_list("labels", labels, LIST_MAX),
                None => Ok(()),
            },
            Said::Payment(payment) => {
                check_list("pauses", &payment.pauses, LIST_MAX)?;
                match payment.pauses.iter().all(|pause| pause.start_ms < pause.end_ms) {
                    true => Ok(()),
                    false => Err(wrong("pauses", "each ends after it starts")),
                }
            }
            Said::Case(case) => check_name("id", &case.id),
            Said::Hold(hold) => {
                check_name("id", &hold.id)?;
                check_name("case", &hold.case)?;
                check_list("people", &hold.people, LIST_MAX)?;
                check_list("purposes", &hold.purposes, LIST_MAX)?;
                match hold.reason.is_empty() || hold.reason.len() > TEXT_BYTES_MAX {
                    true => Err(wrong("reason", "why, in at most 8,000 bytes")),
                    false => Ok(()),
                }
            }
            Said::Party(_) | Said::Call(_) => Ok(()),
        }
    }

    /// Checks it against the organisation's words and the time.
    ///
    /// # Errors
    /// [`Unfit`] names the key and what would be right.
    pub fn check(&self, vocabulary: &Vocabulary, now: Timestamp) -> Result<(), Unfit> {
        let purposes: &[Purpose] = match &self.said {
            Said::Consent(consent) => &consent.purposes,
            Said::Objection(objection) => &objection.purposes,
            Said::Announcement(announcement) => &announcement.purposes,
            Said::Hold(hold) => &hold.purposes,
            _ => &[],
        };
        for purpose in purposes {
            if !vocabulary.purposes.contains_key(purpose) {
                return Err(wrong("purposes", format!("the vocabulary has no purpose `{purpose}`")));
            }
        }
        let known = |key: &'static str, word: Option<&String>, there: bool| match word {
            Some(word) if !there => {
                Err(wrong(key, format!("the vocabulary has no {key} `{word}`")))
            }
            _ => Ok(()),
        };
        let has_line = |line: &Option<String>| {
            line.as_ref().is_none_or(|line| vocabulary.lines.contains_key(line))
        };
        known("line", self.line.as_ref(), has_line(&self.line))?;
        if let Said::Labels(filing) = &self.said {
            let has = |list: &BTreeMap<String, Word>, word: &Option<String>| {
                word.as_ref().is_none_or(|word| list.contains_key(word))
            };
            known("line", filing.line.as_ref(), has_line(&filing.line))?;
            let (departments, types) = (&vocabulary.departments, &vocabulary.call_types);
            known("department", filing.department.as_ref(), has(departments, &filing.department))?;
            known("call_type", filing.call_type.as_ref(), has(types, &filing.call_type))?;
            for label in filing.labels.iter().flatten() {
                known("labels", Some(label), vocabulary.labels.contains_key(label))?;
            }
        }
        // A clock that is a little ahead is no lie.
        let latest = now.saturating_add(jiff::SignedDuration::from_mins(5));
        let at = match &self.said {
            Said::Consent(consent) => Some(consent.at),
            Said::Objection(objection) => Some(objection.at),
            Said::Case(case) => Some(case.at),
            _ => None,
        };
        match at.is_some_and(|at| latest.is_ok_and(|latest| at > latest)) {
            true => Err(wrong("at", "a time that has come")),
            false => Ok(()),
        }
    }
}

impl ConsentRecord {
    /// A consent of which only its state and time are known.
    #[must_use]
    pub fn new(state: Consent, at: Timestamp) -> Self {
        Self {
            announcement: None,
            at,
            data: Vec::new(),
            form: None,
            guardian: false,
            jurisdiction: None,
            language: None,
            leg: None,
            notice: None,
            proof: None,
            purposes: Vec::new(),
            state,
            until: None,
            withdraw_by: None,
        }
    }

    fn check(&self) -> Result<(), Unfit> {
        check_list("purposes", &self.purposes, LIST_MAX)?;
        check_list("data", &self.data, LIST_MAX)?;
        for name in self.data.iter().chain(&self.language).chain(&self.withdraw_by) {
            check_name("data, language or withdraw_by", name)?;
        }
        if let Some(heard) = &self.announcement {
            check_name("announcement.id", &heard.id)?;
            check_hash("announcement.sha256", heard.sha256.as_deref())?;
        }
        if let Some(proof) = &self.proof {
            check_hash("proof.sha256", proof.sha256.as_deref())?;
            if let Some(document) = &proof.document {
                check_name("proof.document", document)?;
            }
        }
        let given = self.state == Consent::Given;
        if given && self.form.is_none() {
            return Err(wrong("form", "how consent was given: stayed-on, pressed-key, spoke, wrote or contract"));
        }
        if !given && (self.form.is_some() || self.until.is_some() || self.guardian) {
            return Err(wrong("state", "only consent that is given has a form, an end or a guardian"));
        }
        match self.until.is_some_and(|until| until <= self.at) {
            true => Err(wrong("until", "a time after `at`")),
            false => Ok(()),
        }
    }
}
