//! What if: a question that nobody asked, decided as the gate would, with the sentence, the layer
//! that decided, what is missing, and a policy test that holds it fast.
//!
//! A recording is described, or named by its SID; then what is known of it is looked up, on record.

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use maud::{Markup, html};

use self::form::form;
use super::fields::Fields;
use super::layout::{Part, page, time};
use crate::console::Desk;
use crate::console::api::gather;
use crate::console::problem::Problem;
use crate::console::visitor::{About, Visitor};
use crate::ledger::{Field, Filter, Order, Query};
use crate::media::MediaSid;
use crate::notice::Plain;
use crate::policy::{
    AdminAction, AdminPermit, Citation, Explained, Ground, Layer, Policies, PolicyTest, Scenario,
    ScenarioRecording, ScenarioRequest, Whose,
};

mod form;

/// Where the pages are.
pub(super) fn router() -> Router<Desk> {
    Router::new().route("/what-if", get(show)).route("/what-if/test.toml", get(test))
}

/// What was asked and what comes of it.
struct Decided {
    scenario: Scenario,
    explained: Explained,
    layer: Layer,
    at: Timestamp,
}

impl Decided {
    /// The question as a policy test.
    fn test(&self) -> String {
        let word = if self.explained.permitted { "may" } else { "may not" };
        let action = self.scenario.action.as_deref().unwrap_or("access");
        let name = match &self.scenario.purpose {
            Some(purpose) => {
                format!("{} {word} {action} for {purpose}", self.scenario.roles.join(" and "))
            }
            None => format!("{} {word} {action}", self.scenario.roles.join(" and ")),
        };
        PolicyTest::write(&name, &self.scenario, self.at, &self.explained)
    }
}

/// What does not fit in the form, to be told beside it.
enum Unfit {
    /// A field cannot be meant.
    Field(String),
    /// The whole cannot be answered.
    Problem(Problem),
}

impl From<Problem> for Unfit {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

async fn show(
    State(desk): State<Desk>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Html<String>, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadRegister, Whose::Others).await?;
    let fields = Fields::of(query.as_deref());
    let decided = match fields.is_empty() {
        true => None,
        false => match decide(&desk, &visitor, &permit, &fields).await {
            Ok(decided) => Some(Ok(decided)),
            Err(Unfit::Field(message)) => Some(Err(message)),
            Err(Unfit::Problem(problem)) => return Err(problem),
        },
    };
    let policies = desk.policies();
    let body = html! {
        h1 { "What if" }
        p { "Ask what the gate would decide, before anybody asks it. What you leave out is not known, \
             and doubt refuses." }
        @match &decided {
            None => {},
            Some(Err(message)) => p.note.bad role="alert" { (message) },
            Some(Ok(decided)) => (answer(&policies, decided, query.as_deref().unwrap_or_default())),
        }
        (form(&policies, &fields))
    };
    Ok(page(&desk, &visitor, Some(Part::WhatIf), "What if", &body))
}

/// The policy test alone, as a file.
async fn test(
    State(desk): State<Desk>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadRegister, Whose::Others).await?;
    let fields = Fields::of(query.as_deref());
    match decide(&desk, &visitor, &permit, &fields).await {
        Ok(decided) => {
            let headers = [
                (CONTENT_TYPE, "text/plain; charset=utf-8"),
                (CONTENT_DISPOSITION, "attachment; filename=\"what-if.toml\""),
            ];
            Ok((headers, decided.test()).into_response())
        }
        Err(Unfit::Field(message)) => Err(Problem::bad_value(message)),
        Err(Unfit::Problem(problem)) => Err(problem),
    }
}

async fn decide(
    desk: &Desk,
    visitor: &Visitor,
    permit: &AdminPermit,
    fields: &Fields,
) -> Result<Decided, Unfit> {
    let policies = desk.policies();
    let now = desk.gate.clock.now();
    let mut scenario = scenario(fields)?;
    if let Some(person) = fields.text("person") {
        scenario.roles.extend(roles_of(desk, visitor, person).await?);
    }
    if scenario.roles.is_empty() {
        return Err(Unfit::Field("choose a role, or name a person".to_owned()));
    }
    let vocabulary = policies.vocabulary();
    let question = match fields.text("sid") {
        None => scenario.question(vocabulary, now),
        Some(sid) => {
            let sid: MediaSid =
                sid.parse().map_err(|_| Unfit::Field(format!("`{sid}` is not a SID")))?;
            let account = fields.text("account").map(|account| account.parse()).transpose();
            let account = account.map_err(|_| Unfit::Field("this is not an account".to_owned()))?;
            let purpose = scenario.purpose.as_deref().map(str::parse).transpose();
            let purpose = purpose.map_err(|_| Unfit::Field("this is not a purpose".to_owned()))?;
            let facts = gather(desk, sid, account, purpose.as_ref()).await?;
            let about = About { detail: sid.to_string(), entries: Some(1), ..About::default() };
            visitor.sees(desk, permit, &about).await?;
            let mut facts = facts.as_ref().clone();
            let chosen = fields.text("artefact");
            if let Some(artefact) = chosen.as_deref().and_then(crate::media::Artefact::read) {
                facts.artefact = artefact;
            }
            scenario.recording = ScenarioRecording::of(&facts, &policies.labels(&facts));
            scenario.question_about(facts, vocabulary, now)
        }
    };
    let question = question.map_err(Unfit::Field)?;
    let layer = policies.layer(&question);
    let at = question.now;
    let explained = policies.explain(question);
    Ok(Decided { scenario, explained, layer, at })
}

/// The roles that somebody had when they last asked for something; that is in the ledger.
async fn roles_of(desk: &Desk, visitor: &Visitor, person: String) -> Result<Vec<String>, Unfit> {
    let permit = visitor.may(desk, AdminAction::ReadLedger, Whose::Others).await?;
    let about =
        About { detail: "the roles of a caller".to_owned(), entries: Some(1), ..About::default() };
    visitor.sees(desk, &permit, &about).await?;
    let found = desk.review(move |_, review| {
        let is = Filter { field: Field::Caller, any: vec![person], not: false };
        let query = Query { all: vec![is], ..Query::default() };
        let (rows, _) = review.find(&query, None, 1, Order::NewestFirst)?;
        let roles = rows.first().and_then(|row| row.entry.pointer("/caller/roles")?.as_array());
        let text = |role: &serde_json::Value| role.as_str().map(str::to_owned);
        Ok(roles.map(|roles| roles.iter().filter_map(text).collect::<Vec<String>>()))
    });
    let none = "nobody of this name has asked the gate for anything yet; choose roles instead";
    found.await?.filter(|roles| !roles.is_empty()).ok_or_else(|| Unfit::Field(none.to_owned()))
}

/// What the form says.
fn scenario(fields: &Fields) -> Result<Scenario, Unfit> {
    let labels = fields.all("label");
    let labels = match (labels.is_empty(), fields.text("no-labels").is_some()) {
        (false, _) => Some(labels),
        (true, true) => Some(Vec::new()),
        (true, false) => None,
    };
    let seconds = fields.text("seconds").map(|seconds| seconds.parse::<u32>()).transpose();
    let seconds =
        seconds.map_err(|_| Unfit::Field("the length is a number of seconds".to_owned()))?;
    Ok(Scenario {
        roles: fields.all("role"),
        action: fields.text("action"),
        purpose: fields.text("purpose"),
        at: moment(fields, "at")?,
        recording: ScenarioRecording {
            made: moment(fields, "made")?,
            seconds,
            direction: fields.text("direction"),
            line: fields.text("line"),
            department: fields.text("department"),
            call_type: fields.text("call-type"),
            labels,
            consent: fields.text("consent"),
            consent_form: fields.text("consent-form"),
            consent_rule: fields.text("consent-rule"),
            artefact: fields.text("artefact"),
            circumstances: fields.all("known"),
            objections: fields.all("objection"),
            case_closed: moment(fields, "case-closed")?,
            accepted: fields.text("accepted"),
            encrypted: fields.text("encrypted").is_some(),
            status: None,
        },
        request: ScenarioRequest {
            circumstances: fields.all("stated"),
            recipient: fields.text("recipient"),
            country: fields.text("country").map(|country| country.to_uppercase()),
        },
    })
}

/// A moment as people write it, in UTC.
fn moment(fields: &Fields, name: &str) -> Result<Option<Timestamp>, Unfit> {
    let Some(text) = fields.text(name) else { return Ok(None) };
    let exact = text.parse::<Timestamp>().ok();
    let civil = || {
        let read = text.parse::<DateTime>().ok();
        let read = read.or_else(|| Some(text.parse::<Date>().ok()?.at(0, 0, 0, 0)));
        TimeZone::UTC.to_timestamp(read?).ok()
    };
    let moment = exact.or_else(civil);
    let unfit = || Unfit::Field(format!("`{text}` is not a time such as 2026-11-23T12:00"));
    moment.map(Some).ok_or_else(unfit)
}

/// What is decided, and why.
fn answer(policies: &Policies, decided: &Decided, query: &str) -> Markup {
    let Decided { explained, layer, at, .. } = decided;
    let (word, class) = match explained.permitted {
        true => ("Permitted", "good"),
        false => ("Refused", "bad"),
    };
    html! {
        section.sheet.answer aria-labelledby="answer" {
            h2 #answer { span class={ "tag " (class) } { (word) } }
            p { (explained.sentence) }
            dl {
                dt { "Decided by" } dd { (layer.plain()) }
                dt { "As of" } dd { (time(*at)) }
                dt { "Governed by" }
                dd { @match &explained.notice {
                    Some(version) => a href={ "/notices/" (version) } { "notice " (version) },
                    None => "no notice: none was in force when it was made",
                } }
                @if let Some(reason) = explained.reason { dt { "Reason" } dd { code { (reason) } } }
            }
            @if !explained.citations.is_empty() {
                h3 { "What decided" }
                @for citation in &explained.citations { (cited(policies, citation)) }
            }
            @if let Some((citation, missing)) = &explained.nearest {
                h3 { "What comes nearest to permitting it" }
                (cited(policies, citation))
                @if !missing.is_empty() {
                    p { "What is missing:" }
                    ul { @for one in missing { li { (one) } } }
                }
            }
            details {
                summary { "Save it as a policy test" }
                p { "Put this into a file of " code { "tests/" } " in the policy folder: " code { "noticegate test" }
                    " then fails as soon as the policies decide otherwise." }
                pre tabindex="0" { (decided.test()) }
                p { a.button href={ "/what-if/test.toml?" (query) } download="what-if.toml" { "Download" } }
            }
        }
    }
}

/// A policy that decided, in its own words.
fn cited(policies: &Policies, citation: &Citation) -> Markup {
    match &citation.ground {
        Ground::Guardrail { reason } => html! {
            p { "Guardrail " code { (citation.policy) } ": " (reason) }
        },
        Ground::Clause { clause, quote, notice } => {
            let version = policies.notices().version(notice);
            let found = version.and_then(|n| n.clauses.iter().find(|known| known.id == *clause));
            html! {
                blockquote { (quote) }
                p { @if let Some(found) = found { (Plain(policies.vocabulary()).clause(found)) " " }
                    span.soft { "Clause " code { (clause) } " of " a href={ "/notices/" (notice) } {
                        "notice " (notice) } } }
            }
        }
    }
}
