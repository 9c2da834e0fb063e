//! Who may administer the gate: state facts, read the record, review, write and approve policies.
//!
//! Decided by Cedar, like everything, but by `administration.cedar` alone: a set of its own under a
//! schema of its own, whose actions and resource are not those of media. So nothing in it can permit
//! that a recording is heard, and no clause of a notice can permit what is asked for here. Written
//! by hand; each policy has an @id and an @reason. Where the file is missing, nobody may anything.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use cedar_policy::{
    Authorizer, Context, Decision as Answer, Effect, Entities, Entity, EntityId, EntityTypeName,
    EntityUid, Policy, PolicyId, PolicySet, Request, RestrictedExpression, Schema, ValidationMode,
    Validator,
};

use super::derive::warning_line;
use super::load::line_of;
use super::{Policies, PolicyDigest, shape};
use crate::identity::{Caller, Role};
use crate::notice::{Problem, VOCABULARY_FILE, Vocabulary};
use crate::words::words;

/// The policies, in the policy folder.
const FILE: &str = "administration.cedar";

/// Their schema, derived from the vocabulary.
pub(super) const SCHEMA_FILE: &str = "administration.cedarschema";

const NAMESPACE: &str = "Administration";

words! {
    /// What somebody may be permitted to do with the gate.
    AdminAction {
        /// State consents, withdrawals and objections of people.
        StateConsent = "state-consent",
        /// State who took part in calls, labels, payments, cases and announcements.
        StateFacts = "state-facts",
        /// Place a legal hold.
        PlaceHold = "place-hold",
        /// Lift one.
        LiftHold = "lift-hold",
        /// Read what was stated of calls, recordings and lines, and which holds there are.
        ReadRegister = "read-register",
        /// Read entries of the ledger.
        ReadLedger = "read-ledger",
        /// Say of entries that they were looked at, and what was found.
        Review = "review",
        /// Take entries out of the gate as a file.
        Export = "export",
        /// Find what is held of one person, and what was disclosed of them.
        ReadSubject = "read-subject",
        /// Write drafts of notices and clauses.
        Author = "author",
        /// Approve a draft.
        Approve = "approve",
        /// Revoke a share.
        RevokeShare = "revoke-share",
    }
}

impl AdminAction {
    /// What is done, as it follows "may".
    #[must_use]
    pub fn plain(self) -> &'static str {
        match self {
            Self::StateConsent => "state consents and objections",
            Self::StateFacts => "state facts about calls",
            Self::PlaceHold => "place a legal hold",
            Self::LiftHold => "lift a legal hold",
            Self::ReadRegister => "read what is stated about calls",
            Self::ReadLedger => "read the ledger",
            Self::Review => "review entries of the ledger",
            Self::Export => "export entries of the ledger",
            Self::ReadSubject => "read what is held about a person",
            Self::Author => "write drafts of the policies",
            Self::Approve => "approve a draft of the policies",
            Self::RevokeShare => "revoke a share",
        }
    }
}

/// Whose thing it is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The caller's own: the draft that they wrote, what they heard, the share that they made.
    Own,
    /// Anybody else's, or nobody's.
    Others,
}

/// Proof that somebody may do something with the gate. Only [`Policies::may`] makes one, and it
/// cannot be copied.
///
/// ```compile_fail,E0599
/// # use noticegate::policy::AdminPermit;
/// fn copy(permit: &AdminPermit) -> AdminPermit {
///     AdminPermit::clone(permit)
/// }
/// ```
#[derive(Debug)]
#[must_use = "a permit is there to be recorded"]
pub struct AdminPermit {
    caller: String,
    action: AdminAction,
    cited: Vec<String>,
    policies: PolicyDigest,
}

impl AdminPermit {
    /// Who may, by their id.
    #[must_use]
    pub fn caller(&self) -> &str {
        &self.caller
    }

    /// What they may do.
    #[must_use]
    pub fn action(&self) -> AdminAction {
        self.action
    }

    /// The policies that permit it, by their ids.
    #[must_use]
    pub fn cited(&self) -> &[String] {
        &self.cited
    }

    /// The policies that were in force.
    #[must_use]
    pub fn policies(&self) -> &PolicyDigest {
        &self.policies
    }
}

/// Why somebody may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct AdminRefusal {
    /// Who asked.
    pub caller: String,
    /// What they wanted to do.
    pub action: AdminAction,
    /// The policies that forbid it, by their ids; none if no policy permits it.
    pub cited: Vec<String>,
    /// Why not: the @reason of what forbids it, or who may instead.
    pub reason: String,
    /// The policies that were in force.
    pub policies: PolicyDigest,
}

/// What is forbidden or permitted, and why.
#[derive(Debug)]
struct Said {
    id: String,
    reason: String,
}

/// The policies of `administration.cedar`.
#[derive(Debug)]
pub(super) struct Administration {
    all: PolicySet,
    said: BTreeMap<PolicyId, Said>,
    names: Option<Names>,
}

#[derive(Debug)]
struct Names {
    action: EntityTypeName,
    caller: EntityTypeName,
    role: EntityTypeName,
    gate: EntityUid,
}

impl Names {
    fn new() -> Option<Self> {
        let name = |name: &str| format!("{NAMESPACE}::{name}").parse::<EntityTypeName>().ok();
        Some(Self {
            action: name("Action")?,
            caller: name("Caller")?,
            role: name("Role")?,
            gate: uid(&name("Gate")?, "gate"),
        })
    }
}

fn uid(of_type: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of_type.clone(), EntityId::new(id))
}

/// The text of `administration.cedarschema`.
pub(super) fn schema_text(vocabulary: &Vocabulary) -> String {
    let mut text = warning_line(VOCABULARY_FILE);
    let roles: Vec<String> = vocabulary.roles.keys().map(|r| format!("    \"{r}\"")).collect();
    let roles = match roles.is_empty() {
        true => "    \"none\"".to_owned(),
        false => roles.join(",\n"),
    };
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\nnamespace {NAMESPACE} {{\n  // What a caller may be.\n  entity Role enum [\n{roles}\n  ];\n\n  \
         entity Caller in [Role];\n\n  // The gate itself: its register, its ledger, its policies. It \
         is not media.\n  entity Gate;\n"
    );
    for action in AdminAction::ALL {
        let (word, plain) = (action.as_str(), action.plain());
        let _ = write!(
            text,
            "\n  // Who may {plain}.\n  action \"{word}\" appliesTo {{\n    principal: [Caller],\n    \
             resource: [Gate],\n    // True if it is done to what is the caller's own: their draft, \
             their access, their share.\n    context: {{ own: Bool }},\n  }};\n"
        );
    }
    text.push_str("}\n");
    text
}

impl Administration {
    /// Reads and checks the file; what is wrong is added to the problems. An empty text is a file
    /// that is not there.
    pub(super) fn read(text: &str, vocabulary: &Vocabulary, problems: &mut Vec<Problem>) -> Self {
        let mut reading = Reading { text, problems, said: BTreeMap::new(), all: PolicySet::new() };
        for policy in reading.policies() {
            reading.take(&policy);
        }
        reading.validate(&schema_text(vocabulary));
        Self { all: reading.all, said: reading.said, names: Names::new() }
    }

    /// The ids of the policies that speak, and what they answer; `None` if they cannot be asked.
    fn ask(
        &self,
        caller: &str,
        roles: &[Role],
        action: AdminAction,
        whose: Whose,
    ) -> Option<(Answer, Vec<PolicyId>)> {
        let names = self.names.as_ref()?;
        let own = RestrictedExpression::new_bool(whose == Whose::Own);
        let context = Context::from_pairs([("own".to_owned(), own)]).ok()?;
        let principal = uid(&names.caller, caller);
        let action = uid(&names.action, action.as_str());
        let gate = names.gate.clone();
        let request = Request::new(principal.clone(), action, gate, context, None).ok()?;
        let roles: HashSet<EntityUid> =
            roles.iter().map(|role| uid(&names.role, role.as_str())).collect();
        let entity = Entity::new_no_attrs(principal, roles);
        let entities = Entities::from_entities([entity], None).ok()?;
        let response = Authorizer::new().is_authorized(&request, &self.all, &entities);
        // Cedar skips a policy that fails to evaluate, even a forbid: doubt refuses.
        if let Some(error) = response.diagnostics().errors().next() {
            tracing::error!(%error, "a policy of administration.cedar failed to evaluate");
            return None;
        }
        Some((response.decision(), response.diagnostics().reason().cloned().collect()))
    }

    fn said(&self, ids: &[PolicyId]) -> Vec<&Said> {
        let mut said: Vec<&Said> = ids.iter().filter_map(|id| self.said.get(id)).collect();
        said.sort_by(|a, b| a.id.cmp(&b.id));
        said
    }
}

impl Policies {
    /// Decides whether a caller may do something with the gate.
    ///
    /// # Errors
    /// [`AdminRefusal`] says why not, and who may.
    pub fn may(
        &self,
        caller: &Caller,
        action: AdminAction,
        whose: Whose,
    ) -> Result<AdminPermit, AdminRefusal> {
        let policies = self.digest.clone();
        let id = caller.id.clone();
        let refuse = |reason: String, cited| AdminRefusal {
            caller: caller.id.clone(),
            action,
            cited,
            reason,
            policies: self.digest.clone(),
        };
        let Some((answer, ids)) = self.administration.ask(&id, &caller.roles, action, whose) else {
            return Err(refuse("it cannot be decided who may; see the log".to_owned(), Vec::new()));
        };
        let said = self.administration.said(&ids);
        let cited: Vec<String> = said.iter().map(|said| said.id.clone()).collect();
        match answer {
            Answer::Allow if !cited.is_empty() => {
                Ok(AdminPermit { caller: id, action, cited, policies })
            }
            Answer::Deny if !cited.is_empty() => {
                let reasons: Vec<&str> = said.iter().map(|said| said.reason.as_str()).collect();
                Err(refuse(reasons.join("; "), cited))
            }
            Answer::Allow | Answer::Deny => Err(refuse(self.who_may(action), cited)),
        }
    }

    /// Who may do what somebody may not.
    fn who_may(&self, action: AdminAction) -> String {
        let may = |role: &&Role| {
            let one = std::slice::from_ref(*role);
            let asked = self.administration.ask("", one, action, Whose::Others);
            matches!(asked, Some((Answer::Allow, _)))
        };
        let roles: Vec<&str> = self.roles.iter().filter(may).map(Role::as_str).collect();
        match roles.is_empty() {
            true => format!("nobody may {}: no policy permits it", action.plain()),
            false => format!("only {} may {}", roles.join(", "), action.plain()),
        }
    }
}

struct Reading<'a> {
    text: &'a str,
    problems: &'a mut Vec<Problem>,
    said: BTreeMap<PolicyId, Said>,
    all: PolicySet,
}

impl Reading<'_> {
    /// The policies in the order of the text.
    fn policies(&mut self) -> Vec<Policy> {
        if let Err(error) = shape::check_text(self.text) {
            self.add(None, error);
            return Vec::new();
        }
        match self.text.parse::<PolicySet>() {
            Ok(set) => {
                if set.templates().next().is_some() {
                    self.add(None, "templates are not used here; write one policy a role");
                }
                let mut policies: Vec<Policy> = set.policies().cloned().collect();
                policies.sort_by_key(|policy| self.line(policy));
                policies
            }
            Err(error) => {
                self.add(line_of(self.text, &error), &error);
                Vec::new()
            }
        }
    }

    /// The line on which a policy begins.
    fn line(&self, policy: &Policy) -> Option<usize> {
        let offset = self.text.find(&policy.to_string())?;
        Some(1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count())
    }

    fn take(&mut self, policy: &Policy) {
        let line = self.line(policy);
        let there = |name: &str| policy.annotation(name).filter(|text| !text.is_empty());
        let kind = match policy.effect() {
            Effect::Permit => "permit",
            Effect::Forbid => "forbid",
        };
        let Some(id) = there("id") else {
            return self.add(line, format!("this {kind} needs an @id"));
        };
        let Some(reason) = there("reason") else {
            return self.add(line, format!("`{id}` needs an @reason"));
        };
        let json = policy.to_json().map_err(|error| error.to_string());
        if let Err(error) = json.and_then(|json| shape::check_depth(&json)) {
            return self.add(line, format!("policy `{id}`: {error}"));
        }
        let said = Said { id: id.to_owned(), reason: reason.to_owned() };
        let policy = policy.new_id(PolicyId::new(id));
        if self.all.add(policy.clone()).is_err() {
            return self.add(line, format!("the id `{}` is used twice", said.id));
        }
        self.said.insert(policy.id().clone(), said);
    }

    /// Cedar's own checks, in strict mode, with warnings as errors.
    fn validate(&mut self, schema: &str) {
        let schema = match Schema::from_cedarschema_str(schema) {
            Ok((schema, _)) => schema,
            Err(error) => return self.problems.push(Problem::new(SCHEMA_FILE, None, error)),
        };
        let result = Validator::new(schema).validate(&self.all, ValidationMode::Strict);
        let errors = result.validation_errors().map(|e| (e.policy_id().clone(), e.to_string()));
        let warnings = result.validation_warnings();
        let warnings = warnings.map(|w| (w.policy_id().clone(), w.to_string()));
        let all: Vec<_> = errors.chain(warnings).collect();
        for (id, message) in all {
            let line = self.all.policy(&id).and_then(|policy| self.line(policy));
            self.add(line, message);
        }
    }

    fn add(&mut self, line: Option<usize>, message: impl std::fmt::Display) {
        self.problems.push(Problem::new(FILE, line, message));
    }
}
