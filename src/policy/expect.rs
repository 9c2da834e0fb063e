//! Policy tests: what the privacy team expects of a folder, and whether it is so.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;
use toml::Spanned;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

use super::scenario::{Scenario, ScenarioRecording, ScenarioRequest};
use super::{Explained, Ground, Policies, Question, Verdict};
use crate::notice::{Lines, Problem, bad_toml};

/// One expectation.
#[derive(Clone, Debug)]
pub struct PolicyTest {
    /// The file, relative to the policy folder.
    pub file: String,
    /// The line of its name.
    pub line: usize,
    /// What it tells.
    pub name: String,
    /// The question.
    pub question: Question,
    permits: bool,
    clauses: Option<Vec<String>>,
    notice: Option<String>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    test: Vec<TestTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestTable {
    name: Spanned<String>,
    roles: Vec<String>,
    action: Option<String>,
    purpose: Option<String>,
    at: Timestamp,
    #[serde(default)]
    recording: ScenarioRecording,
    #[serde(default)]
    request: ScenarioRequest,
    decision: Spanned<String>,
    clauses: Option<Vec<String>>,
    notice: Option<String>,
    reason: Option<String>,
}

impl PolicyTest {
    /// Writes one test as a file of tests has it: that this is decided as it was. `at` is when it
    /// is asked, if the scenario does not say.
    #[must_use]
    pub fn write(name: &str, scenario: &Scenario, at: Timestamp, explained: &Explained) -> String {
        let mut table = Table::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                table.insert(key, Item::Value(value));
            }
        };
        let text = |text: &Option<String>| text.as_deref().map(Value::from);
        put("name", Some(name.into()));
        put("roles", Some(list(&scenario.roles)));
        put("action", text(&scenario.action));
        put("purpose", text(&scenario.purpose));
        put("at", Some(scenario.at.unwrap_or(at).to_string().into()));
        put("recording", inline(recording(&scenario.recording)));
        put("request", inline(request(&scenario.request)));
        put("decision", Some(if explained.permitted { "permit" } else { "refuse" }.into()));
        let cited = explained.citations.iter().map(|citation| match &citation.ground {
            Ground::Clause { clause, .. } => clause.clone(),
            Ground::Guardrail { .. } => citation.policy.clone(),
        });
        let cited: BTreeSet<String> = cited.collect();
        put("clauses", Some(list(&cited)));
        put("notice", explained.notice.as_ref().map(|notice| notice.as_str().into()));
        put("reason", explained.reason.map(Value::from));
        let mut tests = ArrayOfTables::new();
        tests.push(table);
        let mut file = DocumentMut::new();
        file.insert("test", Item::ArrayOfTables(tests));
        file.to_string()
    }

    /// Reads a file of tests. What is wrong is added to `problems`; what is right is returned.
    #[must_use]
    pub fn read(
        file: &str,
        text: &str,
        policies: &Policies,
        problems: &mut Vec<Problem>,
    ) -> Vec<Self> {
        let tables: File = match toml::from_str(text) {
            Ok(tables) => tables,
            Err(error) => {
                problems.push(bad_toml(file, text, &error));
                return Vec::new();
            }
        };
        let lines = Lines::of(text);
        let mut found = Vec::new();
        for table in tables.test {
            let line = lines.at(table.name.span().start);
            let scenario = Scenario {
                roles: table.roles,
                action: table.action,
                purpose: table.purpose,
                at: Some(table.at),
                recording: table.recording,
                request: table.request,
            };
            let permits = match table.decision.get_ref().as_str() {
                "permit" => true,
                "refuse" => false,
                other => {
                    let message = format!("a decision is `permit` or `refuse`, not `{other}`");
                    let line = lines.at(table.decision.span().start);
                    problems.push(Problem::new(file, Some(line), message));
                    continue;
                }
            };
            match scenario.question(policies.vocabulary(), table.at) {
                Ok(question) => found.push(Self {
                    file: file.to_owned(),
                    line,
                    name: table.name.into_inner(),
                    question,
                    permits,
                    clauses: table.clauses,
                    notice: table.notice,
                    reason: table.reason,
                }),
                Err(message) => problems.push(Problem::new(file, Some(line), message)),
            }
        }
        found
    }

    /// Decides it.
    ///
    /// # Errors
    /// What came out otherwise, one difference a line.
    pub fn run(&self, policies: &Policies) -> Result<(), Vec<String>> {
        let verdict = policies.decide(self.question.clone());
        let (permits, decision, code, said) = match &verdict {
            Verdict::Permit(permit) => (true, permit.decision(), None, None),
            Verdict::Refuse(refusal) => {
                (false, &refusal.decision, Some(refusal.code()), Some(refusal.to_string()))
            }
        };
        let cited: BTreeSet<&str> = decision
            .citations
            .iter()
            .map(|citation| match &citation.ground {
                Ground::Clause { clause, .. } => clause.as_str(),
                Ground::Guardrail { .. } => citation.policy.as_str(),
            })
            .collect();
        let list = cited.iter().copied().collect::<Vec<_>>().join(", ");
        let mut wrong = Vec::new();
        let word = |permits| if permits { "permit" } else { "refuse" };
        if permits != self.permits {
            let by = if list.is_empty() { String::new() } else { format!(" by {list}") };
            wrong.push(format!("expected {}, came {}{by}", word(self.permits), word(permits)));
            wrong.extend(said);
        }
        for clause in self.clauses.iter().flatten() {
            if !cited.contains(clause.as_str()) {
                let came = if list.is_empty() { "none" } else { &list };
                wrong.push(format!("expected clause `{clause}` to decide, came {came}"));
            }
        }
        let governing = decision.notice.as_ref().map(crate::notice::NoticeVersion::as_str);
        if self.notice.is_some() && self.notice.as_deref() != governing {
            let expected = self.notice.as_deref().unwrap_or_default();
            let came = governing.unwrap_or("none");
            wrong.push(format!("expected notice {expected} to govern, came {came}"));
        }
        if self.reason.is_some() && self.reason.as_deref() != code {
            let expected = self.reason.as_deref().unwrap_or_default();
            wrong.push(format!("expected reason `{expected}`, came `{}`", code.unwrap_or("none")));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

type Pairs = Vec<(&'static str, Option<Value>)>;

/// What of a recording a test says.
fn recording(of: &ScenarioRecording) -> Pairs {
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let some = |all: &[String]| (!all.is_empty()).then(|| list(all));
    let time = |at: Option<Timestamp>| at.map(|at| Value::from(at.to_string()));
    vec![
        ("made", time(of.made)),
        ("seconds", of.seconds.map(|seconds| i64::from(seconds).into())),
        ("direction", text(&of.direction)),
        ("line", text(&of.line)),
        ("department", text(&of.department)),
        ("call-type", text(&of.call_type)),
        ("labels", of.labels.as_ref().map(list)),
        ("consent", text(&of.consent)),
        ("consent-form", text(&of.consent_form)),
        ("consent-rule", text(&of.consent_rule)),
        ("artefact", text(&of.artefact)),
        ("circumstances", some(&of.circumstances)),
        ("objections", some(&of.objections)),
        ("case-closed", time(of.case_closed)),
        ("accepted", text(&of.accepted)),
        ("encrypted", of.encrypted.then(|| true.into())),
        ("status", text(&of.status)),
    ]
}

/// What of a request a test says.
fn request(of: &ScenarioRequest) -> Pairs {
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    vec![
        ("circumstances", (!of.circumstances.is_empty()).then(|| list(&of.circumstances))),
        ("recipient", text(&of.recipient)),
        ("country", text(&of.country)),
    ]
}

fn list<'a>(all: impl IntoIterator<Item = &'a String>) -> Value {
    Value::Array(all.into_iter().map(String::as_str).collect::<Array>())
}

/// A table on one line; none, if nothing stands in it.
fn inline(pairs: Pairs) -> Option<Value> {
    let there = pairs.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let table: InlineTable = there.collect();
    (!table.is_empty()).then_some(Value::InlineTable(table))
}
