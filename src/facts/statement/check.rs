//! What a statement must be before it is taken: of one kind, about something, and in the
//! organisation's own words.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{ConsentRecord, Filing, Said, Statement, Who};
use crate::facts::Consent;
use crate::notice::{Vocabulary, likely};
use crate::purpose::Purpose;

/// LIMIT: bytes of a text in a statement, such as the words of an announcement. An entry holds 16 KiB.
const TEXT_BYTES_MAX: usize = 8_000;

/// LIMIT: bytes of a name in a statement: of a case, a hold, a participant, a document.
const NAME_BYTES_MAX: usize = 200;

/// LIMIT: calls and recordings that one statement is about.
const ABOUT_MAX: usize = 200;

/// LIMIT: members of any other list in a statement.
const LIST_MAX: usize = 100;

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

/// A number in E.164 form: a plus sign and up to 15 digits.
#[must_use]
pub fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (4..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

/// A word that the organisation does not have, with the one that may have been meant.
fn unknown<'a>(
    key: &'static str,
    what: &str,
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Unfit {
    let meant = likely(word, known).map(|meant| format!("; did you mean `{meant}`?"));
    let meant = meant.unwrap_or_default();
    wrong(key, format!("the vocabulary has no {what} `{word}`{meant}"))
}

fn known<T>(
    key: &'static str,
    what: &str,
    word: Option<&String>,
    list: &BTreeMap<String, T>,
) -> Result<(), Unfit> {
    match word {
        Some(word) if !list.contains_key(word) => {
            Err(unknown(key, what, word, list.keys().map(String::as_str)))
        }
        _ => Ok(()),
    }
}

fn check_name(key: &'static str, name: &str) -> Result<(), Unfit> {
    let unclean = name.chars().any(char::is_control) || name.trim() != name;
    match name.is_empty() || name.len() > NAME_BYTES_MAX || unclean {
        true => Err(wrong(
            key,
            "1 to 200 bytes without control characters, and no white space at either end",
        )),
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
    pub(in crate::facts) fn check_form(&self) -> Result<(), Unfit> {
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
            Said::Party(_) => (calls && person && !line)
                .then_some(())
                .ok_or("one `participant` of the calls in `about`"),
            Said::Consent(_) | Said::Objection(_) => (person && !line)
                .then_some(())
                .ok_or("one `participant`, in the calls in `about` or in all"),
            Said::Announcement(_) => (line && !calls && !person).then_some(()).ok_or("one `line`"),
            Said::Labels(_) | Said::Payment(_) | Said::Case(_) => (calls && !line && !person)
                .then_some(())
                .ok_or("the calls or recordings in `about`"),
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

    /// Checks it in itself, and against the organisation's words and the time.
    ///
    /// # Errors
    /// [`Unfit`] names the key and what would be right.
    pub fn check(&self, vocabulary: &Vocabulary, now: Timestamp) -> Result<(), Unfit> {
        self.check_form()?;
        let purposes: &[Purpose] = match &self.said {
            Said::Consent(consent) => &consent.purposes,
            Said::Objection(objection) => &objection.purposes,
            Said::Announcement(announcement) => &announcement.purposes,
            Said::Hold(hold) => &hold.purposes,
            _ => &[],
        };
        for purpose in purposes {
            if !vocabulary.purposes.contains_key(purpose) {
                let known = vocabulary.purposes.keys().map(Purpose::as_str);
                return Err(unknown("purposes", "purpose", purpose.as_str(), known));
            }
        }
        known("line", "line", self.line.as_ref(), &vocabulary.lines)?;
        if let Said::Labels(filing) = &self.said {
            let Filing { line, department, call_type, labels } = filing;
            known("line", "line", line.as_ref(), &vocabulary.lines)?;
            known("department", "department", department.as_ref(), &vocabulary.departments)?;
            known("call_type", "call type", call_type.as_ref(), &vocabulary.call_types)?;
            for label in labels.iter().flatten() {
                known("labels", "label", Some(label), &vocabulary.labels)?;
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
            return Err(wrong(
                "form",
                "how consent was given: stayed-on, pressed-key, spoke, wrote or contract",
            ));
        }
        if !given && (self.form.is_some() || self.until.is_some() || self.guardian) {
            return Err(wrong(
                "state",
                "only consent that is given has a form, an end or a guardian",
            ));
        }
        match self.until.is_some_and(|until| until <= self.at) {
            true => Err(wrong("until", "a time after `at`")),
            false => Ok(()),
        }
    }
}
