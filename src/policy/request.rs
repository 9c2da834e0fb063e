//! From typed values to Cedar's request and entities.
//!
//! Values are put in by Cedar's constructors, never through text. What is built here fits
//! `schema.cedarschema` by construction; a test holds it to the schema for every kind of fact.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
    Schema,
};
use jiff::Timestamp;

use super::{Action, Question};
use crate::facts::Facts;
use crate::identity::Caller;
use crate::notice::Notices;
use crate::purpose::Purpose;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// LIMIT: sets of entities that are kept. Each serves one caller and one recording for a second,
/// which is how the range requests of one listening session come.
const ENTITIES_MAX: u64 = 10_000;

/// The entity types, actions and contexts, made once; and the entities of this second.
#[derive(Debug)]
pub(super) struct Names {
    role: EntityTypeName,
    direction: EntityTypeName,
    consent: EntityTypeName,
    notice: EntityTypeName,
    caller: EntityTypeName,
    recording: EntityTypeName,
    access: EntityUid,
    describe: EntityUid,
    contexts: HashMap<Purpose, Context>,
    /// By the addresses of caller and facts. A value keeps both alive, so an address that is
    /// found means the same caller and facts as when it was put in.
    entities: moka::sync::Cache<(usize, usize), Arc<Built>>,
}

/// What was built for one caller and one recording, and when.
#[derive(Debug)]
struct Built {
    _caller: Arc<Caller>,
    _facts: Arc<Facts>,
    second: i64,
    entities: Entities,
}

fn uid(of_type: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of_type.clone(), EntityId::new(id))
}

fn reference(of_type: &EntityTypeName, id: &str) -> RestrictedExpression {
    RestrictedExpression::new_entity_uid(uid(of_type, id))
}

impl Names {
    pub(super) fn new(purposes: &BTreeSet<Purpose>) -> Result<Self, Failure> {
        let name = |name: &str| -> Result<EntityTypeName, Failure> {
            Ok(format!("Noticegate::{name}").parse()?)
        };
        let (of_purpose, of_action) = (name("Purpose")?, name("Action")?);
        let context = |purpose: &Purpose| -> Result<_, Failure> {
            let value = reference(&of_purpose, purpose.as_str());
            Ok((purpose.clone(), Context::from_pairs([("purpose".to_owned(), value)])?))
        };
        Ok(Self {
            role: name("Role")?,
            direction: name("Direction")?,
            consent: name("Consent")?,
            notice: name("Notice")?,
            caller: name("Caller")?,
            recording: name("Recording")?,
            access: uid(&of_action, Action::Access.as_str()),
            describe: uid(&of_action, Action::Describe.as_str()),
            contexts: purposes.iter().map(context).collect::<Result<_, _>>()?,
            entities: moka::sync::Cache::builder()
                .max_capacity(ENTITIES_MAX)
                .time_to_live(Duration::from_secs(2))
                .build(),
        })
    }

    /// The request; with a schema it is checked against it.
    pub(super) fn request(
        &self,
        question: &Question,
        purpose: &Purpose,
        schema: Option<&Schema>,
    ) -> Result<Request, Failure> {
        let context = self.contexts.get(purpose).cloned().ok_or("the purpose is not known")?;
        let action = match question.action {
            Action::Access => self.access.clone(),
            Action::Describe => self.describe.clone(),
        };
        Ok(Request::new(
            uid(&self.caller, &question.caller.id),
            action,
            self.recording_uid(&question.facts),
            context,
            schema,
        )?)
    }

    /// The entities, perhaps those that were built for this caller and these facts in this second.
    pub(super) fn entities(
        &self,
        question: &Question,
        notices: &Notices,
    ) -> Result<Entities, Failure> {
        let (caller, facts) = (&question.caller, &question.facts);
        let second = question.now.as_second();
        let key = (Arc::as_ptr(caller) as usize, Arc::as_ptr(facts) as usize);
        if let Some(built) = self.entities.get(&key).filter(|built| built.second == second) {
            return Ok(built.entities.clone());
        }
        let entities = self.build(question, notices, None)?;
        let (_caller, _facts) = (Arc::clone(caller), Arc::clone(facts));
        let built = Built { _caller, _facts, second, entities: entities.clone() };
        self.entities.insert(key, Arc::new(built));
        Ok(entities)
    }

    /// The caller with their roles, and the recording with the notices that hold for it.
    pub(super) fn build(
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
