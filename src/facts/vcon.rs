//! Consent in the form of a vCon: one conversation with its parties, and a lawful-basis attachment for
//! what each of them agreed to.
//!
//! After draft-ietf-vcon-vcon-core-03 (the container) and draft-howe-vcon-lawful-basis-02 (the
//! attachment). It holds no sound: that stays behind the gate. A reader takes the strictest of all
//! grants for a purpose, so of each person and purpose only the last word is in it. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::fold::Participant;
use super::statement::{ConsentRecord, Who};
use super::{Consent, Facts};
use crate::notice::{ConsentForm, Vocabulary};
use crate::purpose::Purpose;

/// The version of the container's syntax.
const SYNTAX: &str = "0.4.0";

/// A consent that is on record.
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    /// Of whom.
    pub who: &'a Who,
    /// What it says.
    pub record: &'a ConsentRecord,
    /// The id of its entry.
    pub entry: String,
    /// When it was put on record.
    pub recorded_at: Timestamp,
}

/// What a container is made of.
#[derive(Clone, Copy, Debug)]
pub struct Vcon<'a> {
    /// Its own id.
    pub uuid: uuid::Uuid,
    /// When it is made.
    pub now: Timestamp,
    /// The ledger that has the entries.
    pub ledger: &'a str,
    /// The conversation.
    pub facts: &'a Facts,
    /// Everybody on it, and what holds for them.
    pub participants: &'a [Participant],
    /// The consents on record, in their order.
    pub evidence: &'a [Evidence<'a>],
    /// The organisation's words.
    pub vocabulary: &'a Vocabulary,
}

impl Vcon<'_> {
    /// The container.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Self { uuid, now, facts, .. } = self;
        let parties: Vec<Value> = self.participants.iter().map(party).collect();
        let everybody: Vec<usize> = (0..parties.len()).collect();
        json!({
            "vcon": SYNTAX,
            "uuid": uuid,
            "created_at": now,
            "extensions": ["lawful_basis"],
            "subject": facts.recording.to_string(),
            "parties": parties,
            "dialog": [{
                "type": "recording",
                "start": facts.started_at,
                "duration": facts.duration_seconds,
                "parties": everybody,
            }],
            "attachments": self.attachments(),
        })
    }

    fn attachments(&self) -> Vec<Value> {
        let mut attachments = Vec::new();
        for (index, participant) in self.participants.iter().enumerate() {
            let Some(who) = &participant.who else { continue };
            // By the place in the list: the purposes for which it is the last word.
            let mut last: BTreeMap<usize, Vec<&Purpose>> = BTreeMap::new();
            for purpose in self.vocabulary.purposes.keys() {
                let of = self.evidence.iter().enumerate();
                let of = of.filter(|(_, one)| one.who == who && self.covers(one.record, purpose));
                if let Some((at, _)) = of.max_by_key(|(_, one)| one.record.at) {
                    last.entry(at).or_default().push(purpose);
                }
            }
            for (at, purposes) in last {
                let Some(evidence) = self.evidence.get(at) else { continue };
                attachments.push(json!({
                    "purpose": "lawful_basis",
                    "start": evidence.record.at,
                    "party": index,
                    "dialog": 0,
                    "mediatype": "application/json",
                    "encoding": "json",
                    "body": self.body(participant, evidence, &purposes),
                }));
            }
        }
        attachments
    }

    fn covers(&self, record: &ConsentRecord, purpose: &Purpose) -> bool {
        let covers = |said: &Purpose| self.vocabulary.covered_by(said).contains(purpose);
        record.purposes.is_empty() || record.purposes.iter().any(covers)
    }

    fn body(
        &self,
        participant: &Participant,
        evidence: &Evidence<'_>,
        purposes: &[&Purpose],
    ) -> Value {
        let record = evidence.record;
        let holds = |purpose: &Purpose| {
            let of = participant.consents.iter().find(|(known, ..)| known == purpose);
            record.state == Consent::Given && of.is_some_and(|(_, now, _)| *now == Consent::Given)
        };
        let grants = purposes.iter().map(|purpose| {
            json!({ "purpose": purpose, "granted": holds(purpose), "granted_at": record.at })
        });
        let basis = match record.form {
            Some(ConsentForm::Contract) => "contract",
            _ => "consent",
        };
        let mut body = Map::new();
        body.insert("lawful_basis".to_owned(), json!(basis));
        body.insert("expiration".to_owned(), json!(record.until));
        body.insert("purpose_grants".to_owned(), grants.collect::<Vec<_>>().into());
        body.insert("proof_mechanisms".to_owned(), self.proofs(evidence).into());
        body.insert("metadata".to_owned(), metadata(record));
        body.into()
    }

    /// The entry proves it, and what the record itself names.
    fn proofs(&self, evidence: &Evidence<'_>) -> Vec<Value> {
        let record = evidence.record;
        let proof = |kind: &str, data: Value| json!({ "proof_type": kind, "timestamp": record.at, "proof_data": data });
        let mut proofs = vec![proof(
            "external_system",
            json!({
                "system": self.ledger,
                "entry": &evidence.entry,
                "recorded_at": evidence.recorded_at,
            }),
        )];
        let Some(named) = &record.proof else { return proofs };
        if let Some(document) = &named.document {
            let data = json!({ "document": document, "sha256": named.sha256 });
            proofs.push(proof("signed_document", data));
        }
        if named.recording.is_some() || named.offset_ms.is_some() {
            let own = named.recording.is_none_or(|recording| recording == self.facts.recording);
            let data = json!({
                "dialog_reference": own.then_some(0),
                "recording": named.recording,
                "time_offset": named.offset_ms.map(offset),
            });
            proofs.push(proof("verbal_confirmation", data));
        }
        proofs
    }
}

fn party(participant: &Participant) -> Value {
    let role = if participant.agent { "agent" } else { "customer" };
    match &participant.who {
        Some(Who::Number(number)) => json!({ "tel": number, "role": role }),
        Some(Who::Name(name)) => json!({ "name": name, "role": role }),
        None => json!({ "role": role }),
    }
}

/// What the attachment has no place for.
fn metadata(record: &ConsentRecord) -> Value {
    let mut all = serde_json::to_value(record).unwrap_or_default();
    if let Some(all) = all.as_object_mut() {
        for told in ["at", "proof", "purposes", "until"] {
            all.shift_remove(told);
        }
    }
    all
}

/// `00:01:23`, as the draft has it.
fn offset(ms: u32) -> String {
    let seconds = SignedDuration::from_millis(i64::from(ms)).as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
