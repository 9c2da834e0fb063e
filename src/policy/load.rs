//! Loading: texts become [`Policies`] as a whole, or a list of everything that is wrong.
//!
//! What is loaded has passed Cedar's validator in strict mode with warnings as errors, and our own
//! rules: every permit cites a clause whose quote stands word for word in its notice, under that
//! notice's version; every policy is bound to what it is filed under; every id is unique. Parsing
//! runs on a thread with a large stack, because the engine recurses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::{
    Effect, Policy, PolicyId, PolicySet, Schema, SchemaFragment, ValidationMode, Validator,
};

use super::request::Names;
use super::shape::{self, PermitShape};
use super::slice::{Forbid, Slices};
use super::source::hex;
use super::{Citation, Ground, NoticeSource, PolicyDigest, PolicySources};
use crate::identity::Role;
use crate::notice::{Notice, NoticeHeader, NoticeText, NoticeVersion, Notices};
use crate::purpose::Purpose;

/// LIMIT: the stack on which policies are parsed and validated. The engine's parser needs about
/// 13 KiB for each level of nesting; `shape::check_text` allows 32.
const STACK_BYTES: usize = 64 << 20;

/// How far a policy may reach through entities: `resource.attribute`, no further.
const LEVEL: u32 = 1;

/// Policies that may decide.
#[derive(Debug)]
pub struct Policies {
    pub(super) digest: PolicyDigest,
    pub(super) notices: Notices,
    pub(super) roles: BTreeSet<Role>,
    pub(super) purposes: BTreeSet<Purpose>,
    pub(super) names: Names,
    pub(super) slices: Slices,
    schema: Schema,
    all: PolicySet,
}

/// Policies that may not decide, with everything that is wrong with them.
#[derive(Debug, thiserror::Error)]
#[error("the policies cannot be used: {}", list(problems))]
pub struct LoadError {
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the policy folder.
    pub file: String,
    /// The line, where it is known.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

impl Policies {
    /// Checks and indexes all policies.
    ///
    /// # Errors
    /// [`LoadError`] with every problem found, never only the first.
    pub fn load(sources: &PolicySources) -> Result<Self, LoadError> {
        let run = || Loader::default().load(sources);
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("policy-load".to_owned())
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, run);
            match thread.map(std::thread::ScopedJoinHandle::join) {
                Ok(Ok(loaded)) => loaded,
                _ => Err(LoadError {
                    problems: vec![problem("policies", None, "the loading thread failed")],
                }),
            }
        })
    }

    /// The digest that entries carry.
    #[must_use]
    pub fn digest(&self) -> &PolicyDigest {
        &self.digest
    }

    /// All versions of the notice.
    #[must_use]
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// The roles of the vocabulary.
    #[must_use]
    pub fn roles(&self) -> &BTreeSet<Role> {
        &self.roles
    }

    /// The purposes of the vocabulary.
    #[must_use]
    pub fn purposes(&self) -> &BTreeSet<Purpose> {
        &self.purposes
    }

    /// How many policies there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all.policies().count()
    }

    /// The full set, for the comparison with slices.
    pub(super) fn all(&self) -> &PolicySet {
        &self.all
    }

    /// The schema, for the comparison with what is built.
    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }
}

#[derive(Default)]
struct Loader {
    problems: Vec<Problem>,
    citations: BTreeMap<PolicyId, Arc<Citation>>,
    permits: Vec<(PermitShape, Policy)>,
    forbids: Vec<Forbid>,
    all: PolicySet,
}

impl Loader {
    fn load(mut self, sources: &PolicySources) -> Result<Policies, LoadError> {
        let schema = self.read_schema(&sources.schema);
        self.read_guardrails(&sources.guardrails);
        let notices: Vec<Notice> =
            sources.notices.iter().filter_map(|source| self.read_notice(source)).collect();
        if sources.notices.is_empty() {
            self.add("notices", None, "there is no notice; without one nothing can be permitted");
        }
        let notices = Notices::new(notices)
            .map_err(|error| self.add("notices", None, error))
            .unwrap_or_default();
        let Some((schema, roles, purposes)) = schema else {
            return Err(LoadError { problems: self.problems });
        };
        self.validate(&schema);
        let names =
            Names::new(&purposes).map_err(|error| self.add("schema.cedarschema", None, error));
        let order = notices.all().iter().map(|notice| notice.version.clone()).collect();
        match names {
            Ok(names) if self.problems.is_empty() => Ok(Policies {
                digest: sources.digest(),
                notices,
                roles,
                purposes,
                names,
                slices: Slices::new(self.permits, self.forbids, order, self.citations),
                schema,
                all: self.all,
            }),
            _ => Err(LoadError { problems: self.problems }),
        }
    }

    fn read_schema(&mut self, text: &str) -> Option<(Schema, BTreeSet<Role>, BTreeSet<Purpose>)> {
        const FILE: &str = "schema.cedarschema";
        if let Err(error) = shape::check_text(text) {
            self.add(FILE, None, error);
            return None;
        }
        let fragment = match SchemaFragment::from_cedarschema_str(text) {
            Ok((fragment, warnings)) => {
                let warnings: Vec<String> = warnings.map(|w| w.to_string()).collect();
                warnings.into_iter().for_each(|warning| self.add(FILE, None, warning));
                fragment
            }
            Err(error) => {
                self.add(FILE, line_of(text, &error), &error);
                return None;
            }
        };
        let json = fragment.clone().to_json_value().unwrap_or_default();
        let words = |entity: &str| -> Vec<String> {
            let path = format!("/Noticegate/entityTypes/{entity}/enum");
            let list = json.pointer(&path).and_then(|v| v.as_array());
            list.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
        };
        let roles: BTreeSet<Role> = words("Role").iter().map(|word| Role::new(word)).collect();
        let purposes: BTreeSet<Purpose> =
            words("Purpose").iter().filter_map(|word| word.parse().ok()).collect();
        if roles.is_empty() || purposes.len() != words("Purpose").len() || purposes.is_empty() {
            self.add(
                FILE,
                None,
                "`Noticegate::Role` and `Noticegate::Purpose` must be enum entities, and purposes \
                 lower-case words joined by hyphens",
            );
        }
        match Schema::from_schema_fragments([fragment]) {
            Ok(schema) => Some((schema, roles, purposes)),
            Err(error) => {
                self.add(FILE, None, error);
                None
            }
        }
    }

    fn read_guardrails(&mut self, text: &str) {
        const FILE: &str = "guardrails.cedar";
        for policy in self.read_policies(FILE, text) {
            let Some((id, json)) = self.read_shape(FILE, &policy) else { continue };
            let Some(reason) = policy.annotation("reason").filter(|r| !r.is_empty()) else {
                self.add(FILE, None, format!("guardrail `{id}` needs an @reason"));
                continue;
            };
            if policy.effect() == Effect::Permit {
                self.add(FILE, None, format!("`{id}` permits; a guardrail may only forbid"));
                continue;
            }
            let ground = Ground::Guardrail { reason: reason.to_owned() };
            if let Some(policy) = self.take(FILE, &id, &policy, ground) {
                let purpose = shape::forbid_purpose(&json);
                self.forbids.push(Forbid { notice: None, purpose, policy });
            }
        }
    }

    fn read_notice(&mut self, source: &NoticeSource) -> Option<Notice> {
        let folder = format!("notices/{}", source.version);
        let file = format!("{folder}/clauses.toml");
        let version: NoticeVersion =
            source.version.parse().map_err(|error| self.add(&folder, None, error)).ok()?;
        let header: NoticeHeader = toml::from_str(&source.header)
            .map_err(|error| self.add(&file, None, error.message()))
            .ok()?;
        // Decisions of one second share what was built for them.
        if header.effective.subsec_nanosecond() != 0 {
            self.add(&file, None, "`effective` must be a whole second");
        }
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, source.text.as_bytes());
        let digest = hex(digest.as_ref());
        if digest != header.sha256 {
            let message = format!(
                "the text in `{}` is not the one that was published: its SHA-256 is {digest}; a \
                 changed notice is a new version in a folder of its own",
                header.text
            );
            self.add(&file, None, message);
        }
        let notice = Notice { text: NoticeText::new(&source.text), version, header };
        self.read_clauses(&format!("{folder}/clauses.cedar"), &source.clauses, &notice);
        Some(notice)
    }

    fn read_clauses(&mut self, file: &str, text: &str, notice: &Notice) {
        for policy in self.read_policies(file, text) {
            let Some((id, json)) = self.read_shape(file, &policy) else { continue };
            let Some(ground) = self.read_ground(file, &id, &policy, notice) else { continue };
            let bound_to = match policy.effect() {
                Effect::Permit => {
                    shape::read_permit(&json).map(|shape| (shape.notice.clone(), Some(shape)))
                }
                Effect::Forbid => shape::read_forbid(&json).map(|notice| (notice, None)),
            };
            let (version, permit) = match bound_to {
                Ok(bound) => bound,
                Err(error) => {
                    self.add(file, None, format!("policy `{id}`: {error}"));
                    continue;
                }
            };
            if version != notice.version {
                let message = format!("policy `{id}` holds for notice {version}, not for its own");
                self.add(file, None, message);
            }
            if let Some(shape) = &permit
                && policy.annotation("purpose") != Some(shape.purpose.as_str())
            {
                let message = format!("policy `{id}`: @purpose must be `{}`", shape.purpose);
                self.add(file, None, message);
            }
            if let Some(policy) = self.take(file, &id, &policy, ground) {
                match permit {
                    Some(shape) => self.permits.push((shape, policy)),
                    None => {
                        let purpose = shape::forbid_purpose(&json);
                        self.forbids.push(Forbid { notice: Some(version), purpose, policy });
                    }
                }
            }
        }
    }

    /// Reads the annotations by which a policy cites its clause, and looks the quote up.
    fn read_ground(
        &mut self,
        file: &str,
        id: &str,
        policy: &Policy,
        notice: &Notice,
    ) -> Option<Ground> {
        let mut read = |name: &str| {
            let value = policy.annotation(name).filter(|value| !value.is_empty());
            if value.is_none() {
                self.add(file, None, format!("policy `{id}` needs an @{name}"));
            }
            value.map(str::to_owned)
        };
        let (clause, quote, said) = (read("clause"), read("quote"), read("notice"));
        let (clause, quote, said) = (clause?, quote?, said?);
        if said != notice.version.as_str() {
            self.add(file, None, format!("policy `{id}`: @notice must be `{}`", notice.version));
        }
        if let Err(error) = notice.text.contains(&quote) {
            let message = format!("policy `{id}`, clause `{clause}`: {error}: \"{quote}\"");
            self.add(file, None, message);
        }
        Some(Ground::Clause { clause, quote, notice: notice.version.clone() })
    }

    fn read_policies(&mut self, file: &str, text: &str) -> Vec<Policy> {
        if let Err(error) = shape::check_text(text) {
            self.add(file, None, error);
            return Vec::new();
        }
        match text.parse::<PolicySet>() {
            Ok(set) => {
                if set.templates().next().is_some() {
                    self.add(file, None, "templates are not used here; write one policy a role");
                }
                let mut policies: Vec<Policy> = set.policies().cloned().collect();
                // The engine numbers them in the order of the text: policy0, policy1, policy10.
                policies.sort_by_key(|policy| {
                    let id = policy.id().to_string();
                    (id.len(), id)
                });
                policies
            }
            Err(error) => {
                self.add(file, line_of(text, &error), &error);
                Vec::new()
            }
        }
    }

    /// The policy's own id and its JSON form, if it is not too deep.
    fn read_shape(&mut self, file: &str, policy: &Policy) -> Option<(String, serde_json::Value)> {
        let Some(id) = policy.annotation("id").filter(|id| !id.is_empty()) else {
            self.add(file, None, format!("{} (in order of the file) needs an @id", policy.id()));
            return None;
        };
        let json = policy.to_json().map_err(|error| error.to_string());
        let checked = json.and_then(|json| shape::check_depth(&json).map(|()| json));
        match checked {
            Ok(json) => Some((id.to_owned(), json)),
            Err(error) => {
                self.add(file, None, format!("policy `{id}`: {error}"));
                None
            }
        }
    }

    fn take(&mut self, file: &str, id: &str, policy: &Policy, ground: Ground) -> Option<Policy> {
        let policy = policy.new_id(PolicyId::new(id));
        if self.all.add(policy.clone()).is_err() {
            self.add(file, None, format!("the id `{id}` is used twice"));
            return None;
        }
        let citation = Citation { policy: id.to_owned(), ground };
        self.citations.insert(policy.id().clone(), Arc::new(citation));
        Some(policy)
    }

    fn validate(&mut self, schema: &Schema) {
        let validator = Validator::new(schema.clone());
        let result = validator.validate_with_level(&self.all, ValidationMode::Strict, LEVEL);
        let errors = result.validation_errors().map(ToString::to_string);
        let warnings = result.validation_warnings().map(ToString::to_string);
        for message in errors.chain(warnings) {
            self.add("policies", None, message);
        }
    }

    fn add(&mut self, file: &str, line: Option<usize>, message: impl std::fmt::Display) {
        self.problems.push(problem(file, line, message));
    }
}

fn problem(file: &str, line: Option<usize>, message: impl std::fmt::Display) -> Problem {
    Problem { file: file.to_owned(), line, message: message.to_string() }
}

/// The line of the first place that one of the engine's errors points at.
fn line_of(text: &str, error: &dyn miette::Diagnostic) -> Option<usize> {
    let offset = error.labels()?.next()?.offset();
    Some(1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count())
}
