//! From typed values to Cedar's request and entities.
//!
//! Values are put in by Cedar's constructors, never through text. What is built here fits
//! `schema.cedarschema` by construction; a test holds it to the schema for every kind of fact.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
    Schema,
};
use jiff::Timestamp;

use super::condition::NAMESPACE;
use super::{Policies, Question};
use crate::facts::{Facts, Labels};
use crate::identity::Caller;
use crate::law::ConsentRule;
use crate::media::Action;
use crate::notice::{Circumstance, Line};
use crate::purpose::Purpose;

/// What Cedar objects to.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// LIMIT: sets of entities that are kept. Each serves one caller and one recording for a second,
/// which is how the range requests of one listening session come.
const ENTITIES_MAX: u64 = 10_000;

/// The entity types, actions and contexts, made once; and the entities of this second.
#[derive(Debug)]
pub(super) struct Names {
    role: EntityTypeName,
    purpose: EntityTypeName,
    recipient: EntityTypeName,
    line: EntityTypeName,
    department: EntityTypeName,
    call_type: EntityTypeName,
    label: EntityTypeName,
    artefact: EntityTypeName,
    direction: EntityTypeName,
    consent: EntityTypeName,
    consent_form: EntityTypeName,
    consent_rule: EntityTypeName,
    circumstance: EntityTypeName,
    notice: EntityTypeName,
    caller: EntityTypeName,
    recording: EntityTypeName,
    actions: HashMap<Action, EntityUid>,
    /// The context of each purpose when a request states nothing else.
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
    pub(super) fn new<'a>(purposes: impl Iterator<Item = &'a Purpose>) -> Result<Self, Failure> {
        let name = |name: &str| -> Result<EntityTypeName, Failure> {
            Ok(format!("{NAMESPACE}::{name}").parse()?)
        };
        let (of_purpose, of_action) = (name("Purpose")?, name("Action")?);
        let context = |purpose: &Purpose| -> Result<_, Failure> {
            let context = Context::from_pairs([
                ("purpose".to_owned(), reference(&of_purpose, purpose.as_str())),
                ("circumstances".to_owned(), RestrictedExpression::new_set([])),
            ])?;
            Ok((purpose.clone(), context))
        };
        let actions = Action::ALL.iter().map(|action| (*action, uid(&of_action, action.as_str())));
        Ok(Self {
            role: name("Role")?,
            recipient: name("Recipient")?,
            line: name("Line")?,
            department: name("Department")?,
            call_type: name("CallType")?,
            label: name("Label")?,
            artefact: name("Artefact")?,
            direction: name("Direction")?,
            consent: name("Consent")?,
            consent_form: name("ConsentForm")?,
            consent_rule: name("ConsentRule")?,
            circumstance: name("Circumstance")?,
            notice: name("Notice")?,
            caller: name("Caller")?,
            recording: name("Recording")?,
            actions: actions.collect(),
            contexts: purposes.map(context).collect::<Result<_, _>>()?,
            purpose: of_purpose,
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
        let action = self.actions.get(&question.action).cloned().ok_or("an unknown action")?;
        Ok(Request::new(
            uid(&self.caller, &question.caller.id),
            action,
            self.recording_uid(&question.facts),
            self.context(question, purpose)?,
            schema,
        )?)
    }

    fn context(&self, question: &Question, purpose: &Purpose) -> Result<Context, Failure> {
        let known = self.contexts.get(purpose).ok_or("the purpose is not known")?;
        let stated = &question.stated;
        let shares = question.action == Action::Share;
        if stated.circumstances.is_empty() && !shares {
            return Ok(known.clone());
        }
        let mut pairs = vec![
            ("purpose".to_owned(), reference(&self.purpose, purpose.as_str())),
            ("circumstances".to_owned(), self.circumstances(&stated.circumstances)),
        ];
        if shares {
            let recipient = stated.recipient.as_deref().ok_or("a share without a recipient")?;
            pairs.push(("recipient".to_owned(), reference(&self.recipient, recipient)));
            if let Some(country) = &stated.country {
                let country = RestrictedExpression::new_string(country.clone());
                pairs.push(("country".to_owned(), country));
            }
        }
        Ok(Context::from_pairs(pairs)?)
    }

    fn circumstances(&self, list: &[Circumstance]) -> RestrictedExpression {
        let each = list.iter().map(|c| reference(&self.circumstance, c.as_str()));
        RestrictedExpression::new_set(each)
    }

    /// The entities, perhaps those that were built for this caller and these facts in this second.
    pub(super) fn entities(
        &self,
        question: &Question,
        policies: &Policies,
    ) -> Result<Entities, Failure> {
        let (caller, facts) = (&question.caller, &question.facts);
        let second = question.now.as_second();
        let key = (Arc::as_ptr(caller) as usize, Arc::as_ptr(facts) as usize);
        if let Some(built) = self.entities.get(&key).filter(|built| built.second == second) {
            return Ok(built.entities.clone());
        }
        let entities = self.build(question, policies, None)?;
        let (_caller, _facts) = (Arc::clone(caller), Arc::clone(facts));
        let built = Built { _caller, _facts, second, entities: entities.clone() };
        self.entities.insert(key, Arc::new(built));
        Ok(entities)
    }

    /// The caller with their roles, and the recording with the notices that hold for it.
    pub(super) fn build(
        &self,
        question: &Question,
        policies: &Policies,
        schema: Option<&Schema>,
    ) -> Result<Entities, Failure> {
        let roles = question.caller.roles.iter().map(|role| uid(&self.role, role.as_str()));
        let caller = uid(&self.caller, &question.caller.id);
        let caller = Entity::new_no_attrs(caller, roles.collect());
        let recording = self.recording(&question.facts, policies, question.now)?;
        Ok(Entities::from_entities([caller, recording], schema)?)
    }

    fn recording_uid(&self, facts: &Facts) -> EntityUid {
        uid(&self.recording, &facts.recording.to_string())
    }

    fn recording(
        &self,
        facts: &Facts,
        policies: &Policies,
        now: Timestamp,
    ) -> Result<Entity, Failure> {
        let long = RestrictedExpression::new_long;
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let register = &facts.register;
        // Whoever objects to a purpose objects to what lies below it.
        let vocabulary = &policies.vocabulary;
        let objections = register.objections.iter().flat_map(|p| vocabulary.covered_by(p));
        let objections = objections.map(|p| reference(&self.purpose, p.as_str()));
        // What nobody looked up may be the strictest.
        let consent_rule = register.law.map_or(ConsentRule::AllParty, |law| law.rule);
        let mut attributes: HashMap<String, RestrictedExpression> = [
            ("account", text(&facts.account.to_string())),
            ("artefact", reference(&self.artefact, facts.artefact.as_str())),
            ("ageSeconds", long(facts.age_seconds(now))),
            ("durationSeconds", long(i64::from(facts.duration_seconds))),
            ("channels", long(i64::from(facts.channels))),
            ("status", text(facts.status.as_str())),
            ("encrypted", RestrictedExpression::new_bool(facts.encrypted)),
            ("consent", reference(&self.consent, facts.consent.as_str())),
            ("consentRule", reference(&self.consent_rule, consent_rule.as_str())),
            ("objections", RestrictedExpression::new_set(objections)),
            ("circumstances", self.circumstances(&register.circumstances)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let labels = policies.labels(facts);
        let set = labels.labels.as_ref().map(|labels| {
            RestrictedExpression::new_set(labels.iter().map(|id| reference(&self.label, id)))
        });
        let direction = facts.direction.map(|d| reference(&self.direction, d.as_str()));
        let form = register.consent_form.map(|form| reference(&self.consent_form, form.as_str()));
        let governing = policies.notices.governing(facts.made(), now);
        let one = |of_type, id: &Option<String>| id.as_ref().map(|id| reference(of_type, id));
        let known = [
            ("direction", direction),
            ("line", one(&self.line, &labels.line)),
            ("department", one(&self.department, &labels.department)),
            ("callType", one(&self.call_type, &labels.call_type)),
            ("labels", set),
            ("consentForm", form),
            ("caseAgeSeconds", facts.case_age_seconds(now).map(long)),
            ("notice", governing.map(|notice| reference(&self.notice, notice.version.as_str()))),
        ];
        let known = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        attributes.extend(known);
        let parents: HashSet<EntityUid> = policies
            .notices
            .narrowing(facts.made(), now)
            .map(|notice| uid(&self.notice, notice.version.as_str()))
            .collect();
        Ok(Entity::new(self.recording_uid(facts), attributes, parents)?)
    }
}

/// The labels that are known from either side.
fn both(registered: Option<Vec<String>>, of_line: Option<Vec<String>>) -> Option<Vec<String>> {
    match (registered, of_line) {
        (Some(mut labels), Some(more)) => {
            labels.extend(more);
            labels.sort_unstable();
            labels.dedup();
            Some(labels)
        }
        (labels, more) => labels.or(more),
    }
}

impl Policies {
    /// What a call is filed under: what is registered for it, else what its line tells. Labels
    /// add up.
    #[must_use]
    pub fn labels(&self, facts: &Facts) -> Labels {
        let Labels { line, department, call_type, labels } = facts.register.labels.clone();
        let line = line.or_else(|| self.line(facts).map(str::to_owned));
        let told: Option<&Line> = line.as_ref().and_then(|id| self.vocabulary.lines.get(id));
        Labels {
            department: department.or_else(|| told?.department.clone()),
            call_type: call_type.or_else(|| told?.call_type.clone()),
            labels: both(labels, told.and_then(|line| line.labels.clone())),
            line,
        }
    }

    /// The line of a call, if one of its ends is on one of ours and the other is not.
    fn line(&self, facts: &Facts) -> Option<&str> {
        let mut lines = facts.numbers.iter().filter_map(|number| self.vocabulary.line_of(number));
        match (lines.next(), lines.next()) {
            (Some(line), None) => Some(line),
            // Between two of our lines, nobody can say which notice's line it is.
            _ => None,
        }
    }
}
