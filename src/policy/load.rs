//! Loading: texts become [`Policies`] as a whole, or a list of everything that is wrong.
//!
//! What is loaded has passed Cedar's validator in strict mode with warnings as errors, and our own
//! rules: every quote stands word for word in its notice; the derived files are what the clauses
//! derive; every sentence about recordings has its clause; no clause contradicts another or permits
//! what can never be; every id is unique. Reading, deriving, parsing and validating run on a thread
//! with a large stack, because the engine recurses.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{
    Effect, Policy, PolicyId, PolicySet, Schema, SchemaFragment, ValidationMode, Validator,
};

use super::administration::{self, Administration};
use super::derive::Derived;
use super::draft::{Draft, file};
use super::request::Names;
use super::retention::{Keeping, Keeps};
use super::shape;
use super::slice::{Index, Slices};
use super::{Citation, Ground, PolicyDigest, PolicySources};
use crate::facts::Reading;
use crate::identity::Role;
use crate::law::Law;
use crate::notice::{
    Class, Coverage, Effect as Meaning, Kind, Notice, Notices, Problem, Vocabulary, conflicts,
};
use crate::purpose::Purpose;

/// LIMIT: the stack on which policies are parsed and validated. The engine's parser needs about
/// 13 KiB for each level of nesting; `shape::check_text` allows 32.
const STACK_BYTES: usize = 64 << 20;

/// How far a policy may reach through entities: `resource.attribute`, no further. What lies beyond
/// is not loaded when a question is decided, and a forbid that reached for it would be silent.
const LEVEL: u32 = 1;

const SCHEMA_FILE: &str = "schema.cedarschema";
const GUARDRAILS_FILE: &str = "guardrails.cedar";

/// Policies that may decide.
#[derive(Debug)]
pub struct Policies {
    pub(super) digest: PolicyDigest,
    pub(super) vocabulary: Arc<Vocabulary>,
    pub(super) notices: Notices,
    pub(super) law: Arc<Law>,
    pub(super) roles: BTreeSet<Role>,
    pub(super) names: Names,
    pub(super) slices: Slices,
    pub(super) keeps: Keeps,
    pub(super) administration: Administration,
    schema: Schema,
    all: PolicySet,
    sources: PolicySources,
}

/// Policies that may not decide, with everything that is wrong with them.
#[derive(Debug, thiserror::Error)]
#[error("the policies cannot be used: {}", list(problems))]
pub struct LoadError {
    /// At least one.
    pub problems: Vec<Problem>,
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// Runs on a thread of its own with a stack that the engine cannot exhaust; `None` if there is no
/// such thread.
pub(super) fn on_large_stack<T: Send>(run: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("policy-load".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, run);
        thread.ok()?.join().ok()
    })
}

impl Policies {
    /// Checks and indexes all policies.
    ///
    /// # Errors
    /// [`LoadError`] with every problem found, never only the first.
    pub fn load(sources: &PolicySources) -> Result<Self, LoadError> {
        let loaded = on_large_stack(|| Loader::default().load(sources));
        loaded.unwrap_or_else(|| {
            let problem = Problem::new("policies", None, "the loading thread failed");
            Err(LoadError { problems: vec![problem] })
        })
    }

    /// The digest that entries carry.
    #[must_use]
    pub fn digest(&self) -> &PolicyDigest {
        &self.digest
    }

    /// The texts that they were made of.
    #[must_use]
    pub fn sources(&self) -> &PolicySources {
        &self.sources
    }

    /// The closed lists.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The law of each place.
    #[must_use]
    pub fn law(&self) -> &Law {
        &self.law
    }

    /// What reads statements into facts.
    #[must_use]
    pub fn reading(&self) -> Reading<'_> {
        Reading { vocabulary: &self.vocabulary, law: &self.law, edition: self.digest.as_str() }
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

    /// The purposes of the vocabulary, in order.
    pub fn purposes(&self) -> impl Iterator<Item = &Purpose> {
        self.vocabulary.purposes.keys()
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
    index: Index,
    all: PolicySet,
}

impl Loader {
    fn load(mut self, sources: &PolicySources) -> Result<Policies, LoadError> {
        let mut draft = Draft::read_here(sources);
        // A folder whose clauses are wrong derives nothing; what follows would only add noise.
        match draft.derive() {
            Ok(files) => self.compare(sources, &files),
            Err(problems) => self.problems = problems,
        }
        self.check_notices(&draft.notices, &draft.vocabulary);
        let schema = match self.problems.is_empty() {
            true => self.read_schema(&sources.schema),
            false => None,
        };
        self.read_guardrails(&sources.guardrails);
        let text = &sources.administration;
        let administration = Administration::read(text, &draft.vocabulary, &mut self.problems);
        let derived = std::mem::take(&mut draft.derived);
        let keeps = keeps(draft.notices.all(), &derived, &draft.vocabulary);
        for (notice, derived) in draft.notices.all().iter().zip(derived) {
            for policy in &derived {
                if let Some(clause) = notice.clauses.get(policy.clause) {
                    let ground = Ground::Clause {
                        clause: clause.id.clone(),
                        quote: clause.quote.clone(),
                        notice: notice.version.clone(),
                    };
                    self.take(
                        &file(notice, "clauses.toml"),
                        &policy.terms.id,
                        &policy.policy,
                        ground,
                    );
                }
            }
            self.index.add_notice(&notice.version, derived);
        }
        let Some(schema) = schema else { return Err(LoadError { problems: self.problems }) };
        self.validate(&schema);
        let names = Names::new(draft.vocabulary.purposes.keys());
        let names = names.map_err(|error| self.add(SCHEMA_FILE, None, error));
        let (Ok(names), true) = (names, self.problems.is_empty()) else {
            return Err(LoadError { problems: self.problems });
        };
        let policies = Policies {
            digest: sources.digest(),
            roles: draft.vocabulary.roles.keys().map(|role| Role::new(role)).collect(),
            vocabulary: draft.vocabulary,
            law: draft.law,
            notices: draft.notices,
            names,
            slices: Slices::new(self.index),
            keeps,
            administration,
            schema,
            all: self.all,
            sources: sources.clone(),
        };
        let problems = policies.dead_permits();
        if problems.is_empty() { Ok(policies) } else { Err(LoadError { problems }) }
    }

    /// The derived files must be what the rest derives. Layout counts only in `derive --check`: a
    /// checkout that changed line ends does not change what is permitted.
    fn compare(&mut self, sources: &PolicySources, files: &[super::DerivedFile]) {
        let committed = |path: &str| match path.strip_prefix("notices/") {
            None if path == administration::SCHEMA_FILE => Some(&sources.administration_schema),
            None => Some(&sources.schema),
            Some(path) => {
                let version = path.strip_suffix("/clauses.cedar")?;
                sources.notices.iter().find(|n| n.version == version).map(|n| &n.clauses)
            }
        };
        for derived in files {
            let there = committed(&derived.path).map_or("", String::as_str);
            let same = derived.text.lines().eq(there.lines());
            if !same {
                let differs = derived.text.lines().zip(there.lines()).take_while(|(a, b)| a == b);
                let line = (!there.is_empty()).then(|| differs.count() + 1);
                let message = match there.is_empty() {
                    true => "the derived file is not there",
                    false => "this is not what the clauses and the vocabulary derive",
                };
                let problem = Problem::new(&derived.path, line, message);
                self.problems.push(problem.help("run `noticegate derive`, and read what changes"));
            }
        }
    }

    fn check_notices(&mut self, notices: &Notices, vocabulary: &Vocabulary) {
        let mut before: Option<&Notice> = None;
        for notice in notices.all() {
            let path = file(notice, "clauses.toml");
            self.problems.extend(conflicts(&path, notice, before, vocabulary));
            for covered in Coverage::of(notice, vocabulary).sentences {
                if covered.class == Class::Uncovered {
                    let sentence = notice.text.get(covered.sentence.range);
                    let rest = notice.text.get(covered.rest.unwrap_or_default());
                    let problem = Problem::new(
                        &file(notice, &notice.header.text),
                        Some(covered.sentence.line),
                        "no clause says what this sentence about recordings means",
                    );
                    let problem = problem.note("the sentence", sentence);
                    let problem = match rest == sentence {
                        true => problem,
                        false => problem.note("not quoted", rest),
                    };
                    self.problems.push(problem.help(
                        "write a [[clause]] that quotes it, or an [[aside]] with the reason why \
                         it needs none",
                    ));
                }
            }
            before = Some(notice);
        }
    }

    fn read_schema(&mut self, text: &str) -> Option<Schema> {
        let fragment = match SchemaFragment::from_cedarschema_str(text) {
            Ok((fragment, warnings)) => {
                let warnings: Vec<String> = warnings.map(|w| w.to_string()).collect();
                warnings.into_iter().for_each(|warning| self.add(SCHEMA_FILE, None, warning));
                fragment
            }
            Err(error) => {
                self.add(SCHEMA_FILE, line_of(text, &error), &error);
                return None;
            }
        };
        let schema = Schema::from_schema_fragments([fragment]);
        schema.map_err(|error| self.add(SCHEMA_FILE, None, error)).ok()
    }

    fn read_guardrails(&mut self, text: &str) {
        const FILE: &str = GUARDRAILS_FILE;
        for policy in self.read_policies(FILE, text) {
            let Some(id) = self.read_id(FILE, &policy) else { continue };
            let Some(reason) = policy.annotation("reason").filter(|r| !r.is_empty()) else {
                self.add(FILE, None, format!("guardrail `{id}` needs an @reason"));
                continue;
            };
            if policy.effect() == Effect::Permit {
                self.add(FILE, None, format!("`{id}` permits; a guardrail may only forbid"));
                continue;
            }
            let ground = Ground::Guardrail { reason: reason.to_owned() };
            let policy = policy.new_id(PolicyId::new(&id));
            if self.take(FILE, &id, &policy, ground) {
                self.index.add_guardrail(policy);
            }
        }
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

    /// The policy's own id, if it is not too deep.
    fn read_id(&mut self, file: &str, policy: &Policy) -> Option<String> {
        let Some(id) = policy.annotation("id").filter(|id| !id.is_empty()) else {
            self.add(file, None, format!("{} (in order of the file) needs an @id", policy.id()));
            return None;
        };
        let json = policy.to_json().map_err(|error| error.to_string());
        match json.and_then(|json| shape::check_depth(&json)) {
            Ok(()) => Some(id.to_owned()),
            Err(error) => {
                self.add(file, None, format!("policy `{id}`: {error}"));
                None
            }
        }
    }

    /// Adds a policy to the full set; false if its id is taken.
    fn take(&mut self, file: &str, id: &str, policy: &Policy, ground: Ground) -> bool {
        if self.all.add(policy.clone()).is_err() {
            self.add(file, None, format!("the id `{id}` is used twice"));
            return false;
        }
        let citation = Citation { policy: id.to_owned(), ground };
        self.index.cite(policy.id().clone(), citation);
        true
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
        self.problems.push(Problem::new(file, line, message));
    }
}

/// What the clauses that say how long derive.
fn keeps(notices: &[Notice], derived: &[Vec<Derived>], vocabulary: &Vocabulary) -> Keeps {
    let mut keeping = Keeping::default();
    for (notice, derived) in notices.iter().zip(derived) {
        for one in derived {
            let clause = notice.clauses.get(one.clause);
            if let Some(Meaning::Rule(rule)) = clause.map(|clause| &clause.effect)
                && rule.kind == Kind::Keep
            {
                keeping.take(rule, notice.header.effective, (&one.terms, &one.policy));
            }
        }
    }
    keeping.done(vocabulary)
}

/// The line of the first place that one of the engine's errors points at.
pub(super) fn line_of(text: &str, error: &dyn miette::Diagnostic) -> Option<usize> {
    let offset = error.labels()?.next()?.offset();
    Some(1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count())
}
