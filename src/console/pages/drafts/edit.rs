//! Writing a draft: the text and its clauses side by side, and what a check finds. Without a script
//! there is a button that checks; with one, it is checked while it is typed.

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, PreEscaped, html};
use serde::Deserialize;

use super::super::layout::{Part, page};
use super::{findings, state};
use crate::console::Desk;
use crate::console::drafting::{self, Writing};
use crate::console::form::Form;
use crate::console::problem::Problem;
use crate::console::visitor::Visitor;
use crate::draft::{Draft, seal};
use crate::policy::{AdminAction, Whose};

/// What the form of the page sends.
#[derive(Deserialize)]
pub(super) struct Written {
    seen: u64,
    text: String,
    meaning: String,
    #[serde(default)]
    reason: String,
    /// Whether the digest of the text is to be taken into the clauses.
    #[serde(default)]
    seal: Option<String>,
}

impl Written {
    /// What was written, with line ends as they were in the files: a form sends its own.
    fn take(self, base: &Draft) -> Writing {
        let ends = |text: String, like: &str| {
            let text = text.replace("\r\n", "\n");
            if like.contains("\r\n") { text.replace('\n', "\r\n") } else { text }
        };
        let like = base.base.text.as_deref().unwrap_or(&base.text);
        let text = ends(self.text, like);
        let like = base.base.meaning.as_deref().unwrap_or(&base.meaning);
        let meaning = ends(self.meaning, like);
        let meaning = if self.seal.is_some() { seal(&meaning, &text) } else { meaning };
        Writing { text, meaning, reason: self.reason.trim().to_owned() }
    }
}

/// The page.
pub(super) async fn edit(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Html<String>, Problem> {
    let _permit = visitor.may(&desk, AdminAction::Author, Whose::Others).await?;
    let draft = drafting::one(&desk, &id).await?;
    shown(&desk, &visitor, draft, false).await
}

/// The page with what was written, checked and not kept.
pub(super) async fn check(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(written): Form<Written>,
) -> Result<Html<String>, Problem> {
    let _permit = visitor.may(&desk, AdminAction::Author, Whose::Others).await?;
    let mut draft = drafting::one(&desk, &id).await?;
    draft.revision = written.seen;
    let Writing { text, meaning, reason } = written.take(&draft);
    (draft.text, draft.meaning, draft.reason) = (text, meaning, reason);
    shown(&desk, &visitor, draft, true).await
}

/// What a check of what was written finds, alone: for the script of the page.
pub(super) async fn findings(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(written): Form<Written>,
) -> Result<Html<String>, Problem> {
    let _permit = visitor.may(&desk, AdminAction::Author, Whose::Others).await?;
    let draft = drafting::one(&desk, &id).await?;
    let Writing { text, meaning, .. } = written.take(&draft);
    let found = desk.blocking(move |desk| {
        let checked = drafting::check(desk, &draft.version, &text, &meaning);
        Ok(findings::findings(&checked))
    });
    Ok(Html(found.await?.into_string()))
}

/// Keeps what was written.
pub(super) async fn save(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(written): Form<Written>,
) -> Result<Response, Problem> {
    let draft = drafting::one(&desk, &id).await?;
    let seen = written.seen;
    let draft = drafting::write(&desk, &visitor, &id, seen, written.take(&draft)).await?;
    Ok(Redirect::to(&format!("/drafts/{}/edit", draft.id)).into_response())
}

async fn shown(
    desk: &Desk,
    visitor: &Visitor,
    draft: Draft,
    unkept: bool,
) -> Result<Html<String>, Problem> {
    let (draft, found) = desk
        .blocking(move |desk| {
            let checked = drafting::check(desk, &draft.version, &draft.text, &draft.meaning);
            let found = findings::findings(&checked);
            Ok((draft, found))
        })
        .await?;
    let is_new = draft.base.text.is_none();
    let body = html! {
        h1 { "Write notice " (draft.version) }
        p { a href={ "/drafts/" (draft.id) } { "Draft " (draft.id) } " " (state(&draft)) }
        @if unkept { p.note.warn { "This was checked and is not kept yet." } }
        @if draft.submitted.is_some() {
            p.note.warn { "This draft is submitted. If you change its words, it has to be submitted and \
                approved again." }
        }
        form.editor method="post" action={ "/drafts/" (draft.id) "/edit" }
            data-findings={ "/drafts/" (draft.id) "/findings" } {
            (visitor.form_token())
            input type="hidden" name="seen" value=(draft.revision);
            div.columns {
                (area("text", "The text, as it is published", &draft.text))
                (area("meaning", "What it means: clauses.toml", &draft.meaning))
            }
            label.check { input type="checkbox" name="seal" value="yes" checked[is_new];
                " The text is as it is to be published: take its digest into the clauses" }
            label { "Why" input.wide name="reason" value=(draft.reason) maxlength="500"; }
            p {
                button.main { "Keep" } " "
                button formaction={ "/drafts/" (draft.id) "/check" } { "Check" } " "
                a.button href={ "/drafts/" (draft.id) } { "Back" }
            }
        }
        h2 { "What a check finds" }
        p.soft.screen #checking role="status" {}
        div #findings { (found) }
    };
    let title = format!("Write notice {}", draft.version);
    Ok(page(desk, visitor, Some(Part::Drafts), &title, &body))
}

fn area(name: &str, label: &str, text: &str) -> Markup {
    html! {
        label { (label)
            // A browser leaves out the first line end.
            textarea.code.tall #(name) name=(name) spellcheck="false" { (PreEscaped("\n")) (text) }
        }
    }
}
