//! The notice for programs: its versions and what their sentences became, a question that nobody
//! asked, and a check of a version that somebody writes.

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use super::super::Desk;
use super::super::body::Json;
use super::super::problem::{Body, Problem};
use super::super::visitor::Visitor;
use super::answers::{ToBody, ToPath};
use crate::draft::Checked;
use crate::notice::{Coverage, Notice, NoticeVersion, Plain, Problem as Flaw};
use crate::policy::{
    AdminAction, Citation, Ground, PolicyTest, Scenario, ScenarioRecording, ScenarioRequest, Whose,
};

/// A version of the notice.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Version {
    /// Its name.
    #[schema(value_type = String)]
    version: NoticeVersion,
    /// Its title.
    title: String,
    /// Where it was published.
    published: String,
    /// From when it governs new recordings.
    #[schema(value_type = String, format = DateTime)]
    effective: jiff::Timestamp,
    /// How much of what it says about recordings is covered, in whole percent.
    covered_percent: usize,
}

impl Version {
    fn of(notice: &Notice, coverage: &Coverage) -> Self {
        Self {
            version: notice.version.clone(),
            title: notice.header.title.clone(),
            published: notice.header.published.clone(),
            effective: notice.header.effective,
            covered_percent: coverage.percent(),
        }
    }
}

/// All versions.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Versions {
    /// The oldest first.
    versions: Vec<Version>,
}

/// A version with its sentences and clauses.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Told {
    /// Which.
    #[serde(flatten)]
    version: Version,
    /// Its sentences, in order.
    sentences: Vec<SentenceTold>,
    /// Its clauses, in order.
    clauses: Vec<ClauseTold>,
}

/// A sentence, and what it became.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct SentenceTold {
    /// The line of the published file on which it starts.
    line: usize,
    /// Its words.
    text: String,
    /// `uncovered`, `undecided`, `rule`, `information`, `aside` or `not about recordings`.
    class: &'static str,
    /// The clauses that quote it.
    clauses: Vec<String>,
}

/// A clause, and what it means.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ClauseTold {
    /// Its id.
    id: String,
    /// Its words in the notice.
    quote: String,
    /// What it means, in a sentence.
    means: String,
    /// Its Cedar; empty if it is no rule.
    cedar: String,
}

/// The versions of the notice.
#[utoipa::path(
    get, path = "/api/v1/notices", tag = "notice", operation_id = "notices",
    responses(
        (status = 200, description = "All versions", body = Versions),
        ToPath,
    )
)]
pub(super) async fn notices(
    State(desk): State<Desk>,
    visitor: Visitor,
) -> Result<axum::Json<Versions>, Problem> {
    let _permit = visitor.may(&desk, AdminAction::ReadRegister, Whose::Others).await?;
    let policies = desk.policies();
    let of = |notice| Version::of(notice, &Coverage::of(notice, policies.vocabulary()));
    Ok(axum::Json(Versions { versions: policies.notices().all().iter().map(of).collect() }))
}

/// A version of the notice with what each sentence became.
#[utoipa::path(
    get, path = "/api/v1/notices/{version}", tag = "notice", operation_id = "notice",
    params(("version" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "Its sentences and clauses", body = Told),
        (status = 404, description = "There is no such version", body = Body, content_type = "application/problem+json"),
        ToPath,
    )
)]
pub(super) async fn notice(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(version): Path<String>,
) -> Result<axum::Json<Told>, Problem> {
    let _permit = visitor.may(&desk, AdminAction::ReadRegister, Whose::Others).await?;
    let policies = desk.policies();
    let version: NoticeVersion = version.parse().map_err(|_| Problem::not_found())?;
    let notice = policies.notices().version(&version).ok_or_else(Problem::not_found)?;
    let coverage = Coverage::of(notice, policies.vocabulary());
    let mut sources = policies.sources().notices.iter();
    let source = sources.find(|source| source.version == version.as_str());
    let sentences = coverage.sentences.iter().map(|covered| SentenceTold {
        line: covered.sentence.line,
        text: notice.text.get(covered.sentence.range.clone()).to_owned(),
        class: covered.class.as_str(),
        clauses: covered.clauses.clone(),
    });
    let clauses = notice.clauses.iter().map(|clause| ClauseTold {
        id: clause.id.clone(),
        quote: clause.quote.clone(),
        means: Plain(policies.vocabulary()).clause(clause),
        cedar: source.map(|source| source.cedar_of(&clause.id)).unwrap_or_default(),
    });
    Ok(axum::Json(Told {
        version: Version::of(notice, &coverage),
        sentences: sentences.collect(),
        clauses: clauses.collect(),
    }))
}

/// A question, in the words of a policy test. What is left out is not known.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhatIf {
    /// The caller's roles.
    #[schema(min_items = 1)]
    roles: Vec<String>,
    /// `access`, if it is left out.
    action: Option<String>,
    /// Why.
    purpose: Option<String>,
    /// When; now, if it is left out.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<jiff::Timestamp>,
    /// What is known of the recording: `made`, `seconds`, `consent` and so on.
    #[serde(default)]
    #[schema(value_type = Object)]
    recording: ScenarioRecording,
    /// What the request states: `circumstances`, `recipient`, `country`.
    #[serde(default)]
    #[schema(value_type = Object)]
    request: ScenarioRequest,
}

/// What the gate would decide, and why.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Answered {
    /// Whether it is permitted.
    permitted: bool,
    /// Why, in a sentence or two.
    sentence: String,
    /// `notice`, `silence`, `guardrail`, `law`, `consent`, `hold` or `doubt`.
    layer: &'static str,
    /// One word for the reason of a refusal.
    reason: Option<&'static str>,
    /// The version that governs the recording.
    #[schema(value_type = Option<String>)]
    notice: Option<NoticeVersion>,
    /// The clauses and guardrails that decided.
    decided_by: Vec<String>,
    /// The clause that comes nearest to permitting it.
    nearest: Option<String>,
    /// What of that one is missing.
    missing: Vec<String>,
    /// The same as a policy test (TOML).
    test: String,
}

/// What the gate would decide.
#[utoipa::path(
    post, path = "/api/v1/what-if", tag = "notice", operation_id = "what_if",
    request_body = WhatIf,
    responses(
        (status = 200, description = "The decision, and why", body = Answered),
        ToBody,
    )
)]
pub(super) async fn what_if(
    State(desk): State<Desk>,
    visitor: Visitor,
    Json(asked): Json<WhatIf>,
) -> Result<axum::Json<Answered>, Problem> {
    let _permit = visitor.may(&desk, AdminAction::ReadRegister, Whose::Others).await?;
    let WhatIf { roles, action, purpose, at, recording, request } = asked;
    if roles.is_empty() {
        return Err(Problem::bad_value("at least one role").about("roles"));
    }
    let scenario = Scenario { roles, action, purpose, at, recording, request };
    let (policies, now) = (desk.policies(), desk.gate.clock.now());
    let question = scenario.question(policies.vocabulary(), now).map_err(Problem::bad_value)?;
    let (at, layer) = (question.now, policies.layer(&question));
    let explained = policies.explain(question);
    let name = |citation: &Citation| match &citation.ground {
        Ground::Clause { clause, notice, .. } => format!("{notice}#{clause}"),
        Ground::Guardrail { .. } => citation.policy.clone(),
    };
    let (nearest, missing) = explained.nearest.clone().unzip();
    Ok(axum::Json(Answered {
        test: PolicyTest::write("what if", &scenario, at, &explained),
        permitted: explained.permitted,
        sentence: explained.sentence,
        layer: layer.as_str(),
        reason: explained.reason,
        notice: explained.notice,
        decided_by: explained.citations.iter().map(|citation| name(citation)).collect(),
        nearest: nearest.map(|citation| name(&citation)),
        missing: missing.unwrap_or_default(),
    }))
}

/// A version that somebody writes.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Writing {
    /// Its name.
    #[schema(value_type = String)]
    version: NoticeVersion,
    /// The text as it is to be published.
    text: String,
    /// `clauses.toml`.
    clauses: String,
}

/// What a check found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Findings {
    /// What is wrong, with its file and line; nothing, if the gate would take it.
    #[schema(value_type = Vec<Object>)]
    problems: Vec<Flaw>,
    /// How much of what it says about recordings is covered, in whole percent.
    covered_percent: Option<usize>,
    /// The Cedar that comes of it; empty if something is wrong.
    cedar: String,
}

/// Check a version among the policies in force. Nothing is kept.
#[utoipa::path(
    post, path = "/api/v1/check", tag = "notice", operation_id = "check",
    request_body = Writing,
    responses(
        (status = 200, description = "What was found", body = Findings),
        ToBody,
    )
)]
pub(super) async fn check(
    State(desk): State<Desk>,
    visitor: Visitor,
    Json(writing): Json<Writing>,
) -> Result<axum::Json<Findings>, Problem> {
    let _permit = visitor.may(&desk, AdminAction::Author, Whose::Own).await?;
    let found = desk.blocking(move |desk| {
        let Writing { version, text, clauses } = writing;
        let checked = Checked::new(&version, &text, &clauses, desk.policies().sources());
        let coverage = |notice| Coverage::of(notice, checked.read.vocabulary()).percent();
        Ok(Findings {
            covered_percent: checked.notice().map(coverage),
            cedar: checked.derived().to_owned(),
            problems: checked.problems,
        })
    });
    Ok(axum::Json(found.await?))
}
