//! From typed values to Cedar's request and entities.
//!
//! Values are put in by Cedar's constructors, never through text. What is built here fits
//! `schema.cedarschema` by construction; a test holds it to the schema for every kind of fact.

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
    Schema,
};
use jiff::Timestamp;

use super::Question;
use crate::facts::Facts;
use crate::notice::Notices;
use crate::purpose::Purpose;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The entity types, parsed once.
#[derive(Debug)]
pub(super) struct Names {
    role: EntityTypeName,
    purpose: EntityTypeName,
    direction: EntityTypeName,
    consent: EntityTypeName,
    notice: EntityTypeName,
    caller: EntityTypeName,
    recording: EntityTypeName,
    action: EntityTypeName,
}

fn uid(of_type: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of_type.clone(), EntityId::new(id))
}

fn reference(of_type: &EntityTypeName, id: &str) -> RestrictedExpression {
    RestrictedExpression::new_entity_uid(uid(of_type, id))
}

impl Names {
    pub(super) fn new() -> Result<Self, Failure> {
        let name = |name: &str| -> Result<EntityTypeName, Failure> {
            Ok(format!("Noticegate::{name}").parse()?)
        };
        Ok(Self {
            role: name("Role")?,
            purpose: name("Purpose")?,
            direction: name("Direction")?,
            consent: name("Consent")?,
            notice: name("Notice")?,
            caller: name("Caller")?,
            recording: name("Recording")?,
            action: name("Action")?,
        })
    }

    /// The request; with a schema it is checked against it.
    pub(super) fn request(
        &self,
        question: &Question,
        purpose: &Purpose,
        schema: Option<&Schema>,
    ) -> Result<Request, Failure> {
        let purpose = reference(&self.purpose, purpose.as_str());
        let context = Context::from_pairs([("purpose".to_owned(), purpose)])?;
        Ok(Request::new(
            uid(&self.caller, &question.caller.id),
            uid(&self.action, question.action.as_str()),
            self.recording_uid(&question.facts),
            context,
            schema,
        )?)
    }

    /// The caller with their roles, and the recording with the notices that hold for it.
    pub(super) fn entities(
        &self,
        question: &Question,
        notices: &Notices,
        schema: Option<&Schema>,
    ) -> Result<Entities, Failure> {
        let roles = question.caller.roles.iter().map(|role| uid(&self.role, role.as_str()));
        let caller = uid(&self.caller, &question.caller.id);
        let caller = Entity::new_no_attrs(caller, roles.collect());
        let recording = self.recording(&question.facts, notices, question.now)?;
        Ok(Entities::from_entities([caller, recording], schema)?)
    }

    fn recording_uid(&self, facts: &Facts) -> EntityUid {
        uid(&self.recording, &facts.recording.to_string())
    }

    fn recording(
        &self,
        facts: &Facts,
        notices: &Notices,
        now: Timestamp,
    ) -> Result<Entity, Failure> {
        let long = RestrictedExpression::new_long;
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let mut attributes: HashMap<String, RestrictedExpression> = [
            ("account", text(&facts.account.to_string())),
            ("ageSeconds", long(facts.age_seconds(now))),
            ("durationSeconds", long(i64::from(facts.duration_seconds))),
            ("channels", long(i64::from(facts.channels))),
            ("status", text(facts.status.as_str())),
            ("encrypted", RestrictedExpression::new_bool(facts.encrypted)),
            ("consent", reference(&self.consent, facts.consent.as_str())),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if let Some(direction) = facts.direction {
            let value = reference(&self.direction, direction.as_str());
            attributes.insert("direction".to_owned(), value);
        }
        if let Some(notice) = notices.governing(facts.started_at) {
            let value = reference(&self.notice, notice.version.as_str());
            attributes.insert("notice".to_owned(), value);
        }
        let parents: HashSet<EntityUid> = notices
            .narrowing(facts.started_at, now)
            .map(|notice| uid(&self.notice, notice.version.as_str()))
            .collect();
        Ok(Entity::new(self.recording_uid(facts), attributes, parents)?)
    }
}
