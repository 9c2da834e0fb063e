//! A question in the words of the folder: what policy tests and `explain` ask.
//!
//! Everything that is left out is unknown, so that a scenario never assumes more than it says.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use super::trial::{bare_facts, caller, media};
use super::{Question, Stated};
use crate::facts::{Consent, Facts, Labels, LawOfCall, RecordingStatus, Register};
use crate::identity::Role;
use crate::law::{ConsentRule, Place};
use crate::media::{Action, Artefact, Direction};
use crate::notice::{Circumstance, ConsentForm, Vocabulary, likely};
use crate::purpose::Purpose;

/// Who, what, why, when, and what is known.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The caller's roles.
    pub roles: Vec<String>,
    /// What they want to do; `access` if it is left out.
    pub action: Option<String>,
    /// Why.
    pub purpose: Option<String>,
    /// When.
    pub at: Option<Timestamp>,
    /// The recording.
    #[serde(default)]
    pub recording: ScenarioRecording,
    /// What the request states.
    #[serde(default)]
    pub request: ScenarioRequest,
}

/// What is known of the recording.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ScenarioRecording {
    /// When it was made; if it is left out, when it is asked for.
    pub made: Option<Timestamp>,
    /// How long it is.
    pub seconds: Option<u32>,
    /// Who called whom.
    pub direction: Option<String>,
    /// On which line.
    pub line: Option<String>,
    /// In which department.
    pub department: Option<String>,
    /// What kind of call.
    pub call_type: Option<String>,
    /// Its labels; an empty list means that it is known to have none.
    pub labels: Option<Vec<String>>,
    /// The weakest consent on the call.
    pub consent: Option<String>,
    /// How it was given.
    pub consent_form: Option<String>,
    /// Whose consent the law demands; `one-party` if it is left out.
    pub consent_rule: Option<String>,
    /// Of which kind it is.
    pub artefact: Option<String>,
    /// What else is known to hold.
    #[serde(default)]
    pub circumstances: Vec<String>,
    /// The purposes that somebody objected to.
    #[serde(default)]
    pub objections: Vec<String>,
    /// When the case about the call was closed.
    pub case_closed: Option<Timestamp>,
    /// The later notice that everybody accepted.
    pub accepted: Option<String>,
    /// Whether Twilio stores it encrypted.
    #[serde(default)]
    pub encrypted: bool,
    /// Twilio's status; `completed` if it is left out.
    pub status: Option<String>,
}

/// What the request states.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioRequest {
    /// What is known to hold of it.
    #[serde(default)]
    pub circumstances: Vec<String>,
    /// To whom it shares.
    pub recipient: Option<String>,
    /// In which country they are.
    pub country: Option<String>,
}

impl Scenario {
    /// The question it asks; `now` is when, if it does not say.
    ///
    /// # Errors
    /// The first word that nobody knows.
    pub fn question(&self, vocabulary: &Vocabulary, now: Timestamp) -> Result<Question, String> {
        let facts = self.recording.facts(vocabulary, self.at.unwrap_or(now))?;
        self.question_about(facts, vocabulary, now)
    }

    /// The question it asks about a recording of which these facts are known; what it says itself
    /// of a recording does not count.
    ///
    /// # Errors
    /// The first word that nobody knows.
    pub fn question_about(
        &self,
        facts: Facts,
        vocabulary: &Vocabulary,
        now: Timestamp,
    ) -> Result<Question, String> {
        let roles = self.roles.iter().map(|role| {
            known("role", role, vocabulary.roles.keys())?;
            Ok(Role::new(role))
        });
        let roles: Vec<Role> = roles.collect::<Result<_, String>>()?;
        let action = self.action.as_deref().unwrap_or(Action::Access.as_str());
        let action = word("action", action, Action::read, Action::ALL.iter().map(|a| a.as_str()))?;
        let now = self.at.unwrap_or(now);
        let circumstances = circumstances(&self.request.circumstances, true)?;
        if let Some(recipient) = &self.request.recipient {
            known("recipient", recipient, vocabulary.recipients.keys())?;
        }
        if action == Action::Share && self.request.recipient.is_none() {
            return Err("a share needs a recipient".to_owned());
        }
        // A purpose that the vocabulary does not have is a question, too: it is refused.
        let purpose = self.purpose.as_deref().map(str::parse::<Purpose>).transpose();
        Ok(Question {
            caller: caller(roles),
            action,
            media: media(action, &facts),
            purpose: purpose.map_err(|error| error.to_string())?,
            stated: Stated {
                circumstances,
                recipient: self.request.recipient.clone(),
                country: self.request.country.clone(),
            },
            facts: Arc::new(facts),
            now,
        })
    }
}

impl ScenarioRecording {
    /// What a test has to say of a recording to be about one like this: nothing that tells who was
    /// on the call.
    #[must_use]
    pub fn of(facts: &Facts, labels: &Labels) -> Self {
        let Register { circumstances, objections, case_closed_at, accepted, law, .. } =
            &facts.register;
        let word = |text: &str| text.to_owned();
        Self {
            made: Some(facts.started_at),
            seconds: Some(facts.duration_seconds),
            direction: facts.direction.map(|one| word(one.as_str())),
            line: labels.line.clone(),
            department: labels.department.clone(),
            call_type: labels.call_type.clone(),
            labels: labels.labels.clone(),
            consent: Some(word(facts.consent.as_str())),
            consent_form: facts.register.consent_form.map(|one| word(one.as_str())),
            // Nobody looked, which counts as everybody's consent.
            consent_rule: Some(word(law.map_or(ConsentRule::AllParty, |law| law.rule).as_str())),
            artefact: Some(word(facts.artefact.as_str())),
            circumstances: circumstances.iter().map(|one| word(one.as_str())).collect(),
            objections: objections.iter().map(ToString::to_string).collect(),
            case_closed: *case_closed_at,
            accepted: accepted.as_ref().map(ToString::to_string),
            encrypted: facts.encrypted,
            status: Some(word(facts.status.as_str())),
        }
    }

    fn facts(&self, vocabulary: &Vocabulary, now: Timestamp) -> Result<Facts, String> {
        for (kind, given, ids) in [
            ("department", &self.department, &vocabulary.departments),
            ("call-type", &self.call_type, &vocabulary.call_types),
        ] {
            if let Some(id) = given {
                known(kind, id, ids.keys())?;
            }
        }
        if let Some(line) = &self.line {
            known("line", line, vocabulary.lines.keys())?;
        }
        for label in self.labels.iter().flatten() {
            known("label", label, vocabulary.labels.keys())?;
        }
        let objections = self.objections.iter().map(|purpose| {
            known("purpose", purpose, vocabulary.purposes.keys().map(Purpose::as_str))?;
            purpose.parse().map_err(|error: crate::purpose::NotAPurpose| error.to_string())
        });
        let mut facts = bare_facts(self.made.unwrap_or(now));
        facts.duration_seconds = self.seconds.unwrap_or(0);
        facts.encrypted = self.encrypted;
        facts.direction = maybe("direction", self.direction.as_ref(), Direction::read, || {
            Direction::ALL.iter().map(|d| d.as_str())
        })?;
        let consent = maybe("consent", self.consent.as_ref(), Consent::read, || {
            Consent::ALL.iter().map(|c| c.as_str())
        })?;
        facts.consent = consent.unwrap_or(Consent::Unknown);
        let artefact = maybe("artefact", self.artefact.as_ref(), Artefact::read, || {
            Artefact::ALL.iter().map(|a| a.as_str())
        })?;
        facts.artefact = artefact.unwrap_or(Artefact::Audio);
        let status = maybe("status", self.status.as_ref(), RecordingStatus::read, || {
            RecordingStatus::ALL.iter().map(|s| s.as_str())
        })?;
        facts.status = status.unwrap_or(RecordingStatus::Completed);
        let form = maybe("consent-form", self.consent_form.as_ref(), ConsentForm::read, || {
            ConsentForm::ALL.iter().map(|f| f.as_str())
        })?;
        let rule = maybe("consent-rule", self.consent_rule.as_ref(), ConsentRule::read, || {
            ConsentRule::ALL.iter().map(|rule| rule.as_str())
        })?;
        let law = rule.map(|rule| LawOfCall { place: Place::UNKNOWN, rule });
        facts.register = Register {
            law: law.or(facts.register.law),
            held_for: Vec::new(),
            labels: Labels {
                line: self.line.clone(),
                department: self.department.clone(),
                call_type: self.call_type.clone(),
                labels: self.labels.clone(),
            },
            consent_form: form,
            objections: objections.collect::<Result<_, String>>()?,
            circumstances: circumstances(&self.circumstances, false)?,
            case_closed_at: self.case_closed,
            accepted: match &self.accepted {
                Some(version) => Some(
                    version
                        .parse()
                        .map_err(|_| format!("`{version}` is not the name of a notice"))?,
                ),
                None => None,
            },
        };
        Ok(facts)
    }
}

fn circumstances(words: &[String], of_request: bool) -> Result<Vec<Circumstance>, String> {
    let fits = |c: &&Circumstance| c.is_of_request() == of_request;
    let all = || Circumstance::ALL.iter().filter(fits).map(|c| c.as_str());
    let read = |text: &str| Circumstance::read(text).filter(|c| fits(&c));
    let of = if of_request { "circumstance of a request" } else { "circumstance of a recording" };
    words.iter().map(|text| word(of, text, read, all())).collect()
}

fn maybe<T, I: Iterator<Item = &'static str>>(
    kind: &str,
    text: Option<&String>,
    read: impl Fn(&str) -> Option<T>,
    all: impl Fn() -> I,
) -> Result<Option<T>, String> {
    text.map(|text| word(kind, text, read, all())).transpose()
}

fn word<T>(
    kind: &str,
    text: &str,
    read: impl Fn(&str) -> Option<T>,
    all: impl Iterator<Item = &'static str>,
) -> Result<T, String> {
    read(text).ok_or_else(|| unknown(kind, text, all))
}

fn known<'a, S: AsRef<str> + ?Sized + 'a>(
    kind: &str,
    text: &str,
    ids: impl Iterator<Item = &'a S>,
) -> Result<(), String> {
    let ids: Vec<&str> = ids.map(AsRef::as_ref).collect();
    if ids.contains(&text) { Ok(()) } else { Err(unknown(kind, text, ids)) }
}

fn unknown<'a>(kind: &str, text: &str, all: impl IntoIterator<Item = &'a str>) -> String {
    let all: Vec<&str> = all.into_iter().collect();
    match likely(text, all.iter().copied()) {
        Some(likely) => format!("there is no {kind} `{text}`; did you mean `{likely}`?"),
        None if all.len() <= 20 => {
            format!("there is no {kind} `{text}`; there are {}", all.join(", "))
        }
        None => format!("there is no {kind} `{text}`"),
    }
}
