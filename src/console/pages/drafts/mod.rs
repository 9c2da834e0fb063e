//! Drafts of the notice: the list of them (here), writing one (`edit.rs`), looking at one and taking
//! its steps (`look.rs`), and what it would have decided (`replay.rs`).

mod edit;
mod findings;
mod look;
mod replay;

use axum::Router;
use axum::extract::State;
use axum::response::{Html, Redirect};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{Part, page, time};
use crate::console::Desk;
use crate::console::drafting::{self, looks};
use crate::console::form::Form;
use crate::console::problem::Problem;
use crate::console::visitor::Visitor;
use crate::draft::{Draft, State as Standing};
use crate::notice::NoticeVersion;
use crate::policy::{AdminAction, Whose};

/// Where the pages are.
pub(super) fn router() -> Router<Desk> {
    Router::new()
        .route("/drafts", get(list).post(begin))
        .route("/drafts/{id}", get(look::look))
        .route("/drafts/{id}/edit", get(edit::edit).post(edit::save))
        .route("/drafts/{id}/check", post(edit::check))
        .route("/drafts/{id}/findings", post(edit::findings))
        .route("/drafts/{id}/replay", get(replay::replay))
        .route("/drafts/{id}/patch", get(look::patch))
        .route("/drafts/{id}/submit", post(look::submit))
        .route("/drafts/{id}/approve", post(look::approve))
        .route("/drafts/{id}/send-back", post(look::send_back))
        .route("/drafts/{id}/rebase", post(look::rebase))
        .route("/drafts/{id}/withdraw", post(look::withdraw))
        .route("/drafts/{id}/activate", post(look::activate))
}

/// Where a draft stands, in a word.
fn state(draft: &Draft) -> Markup {
    let (class, word) = match draft.state() {
        Standing::Writing => ("", "being written".to_owned()),
        Standing::Waiting(1) => ("warn", "waits for an approval".to_owned()),
        Standing::Waiting(more) => ("warn", format!("waits for {more} approvals")),
        Standing::Approved => ("good", "approved".to_owned()),
        Standing::Activated => ("good", "put in force".to_owned()),
        Standing::Withdrawn => ("", "given up".to_owned()),
    };
    html! { span class={ "tag " (class) } { (word) } }
}

async fn list(State(desk): State<Desk>, visitor: Visitor) -> Result<Html<String>, Problem> {
    let _permit = looks(&desk, &visitor).await?;
    let drafts = drafting::all(&desk).await?;
    let policies = desk.policies();
    let may_write = policies.may(&visitor.caller, AdminAction::Author, Whose::Own).is_ok();
    let versions: Vec<&NoticeVersion> =
        policies.notices().all().iter().rev().map(|notice| &notice.version).collect();
    let body = html! {
        h1 { "Drafts" }
        p { "A change of the notice, or of what its sentences mean, is written here, tried on past \
             decisions, approved by somebody who did not write it, and put in force in one step." }
        @if drafts.is_empty() { p { "There are no drafts." } } @else {
            div.scroll tabindex="0" {
                table {
                    caption { "What was changed last comes first." }
                    thead { tr {
                        th scope="col" { "Draft" }
                        th scope="col" { "Of notice" }
                        th scope="col" { "Why" }
                        th scope="col" { "By" }
                        th scope="col" { "Changed" }
                        th scope="col" { "State" }
                    } }
                    tbody {
                        @for draft in &drafts {
                            tr {
                                th scope="row" { a href={ "/drafts/" (draft.id) } { (draft.id) } }
                                td { (draft.version) @if draft.base.text.is_none() { " (new)" } }
                                td { @if draft.reason.is_empty() { span.soft { "not said yet" } } @else { (draft.reason) } }
                                td { (draft.authors.join(", ")) }
                                td { (time(draft.changed_at)) }
                                td { (state(draft)) }
                            }
                        }
                    }
                }
            }
        }
        @if may_write {
            div.columns {
                form.sheet method="post" action="/drafts" {
                    (visitor.form_token())
                    h2 { "Change what a version means" }
                    p { "Its clauses, where they say too much or too little of a sentence." }
                    div.row {
                        label { "Version" select name="version" {
                            @for version in &versions { option { (version) } }
                        } }
                        button { "Begin a draft" }
                    }
                }
                form.sheet method="post" action="/drafts" {
                    (visitor.form_token())
                    h2 { "Write a new version" }
                    p { "A text with other words is a new version, with a day of its own." }
                    div.row {
                        label { "Its name, such as its day"
                            input name="version" required pattern="[a-z0-9.\\-]{1,32}" placeholder="2027-01-01"; }
                        label { "Begin with the words of" select name="like" {
                            @for version in &versions { option { (version) } }
                        } }
                        button { "Begin a draft" }
                    }
                }
            }
        } @else {
            p.note { "You may look at drafts and approve those of others. Writing one is for authors." }
        }
    };
    Ok(page(&desk, &visitor, Some(Part::Drafts), "Drafts", &body))
}

#[derive(Deserialize)]
struct Begin {
    version: String,
    #[serde(default)]
    like: String,
}

async fn begin(
    State(desk): State<Desk>,
    visitor: Visitor,
    Form(form): Form<Begin>,
) -> Result<Redirect, Problem> {
    let version = form.version.trim().parse::<NoticeVersion>();
    let version =
        version.map_err(|error| Problem::bad_value(error.to_string()).about("version"))?;
    let draft = drafting::begin(&desk, &visitor, version, &form.like).await?;
    Ok(Redirect::to(&format!("/drafts/{}/edit", draft.id)))
}
