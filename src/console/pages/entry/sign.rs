//! What reviewers found, and the form in which the next one says so.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::super::layout::time;
use super::super::said::Saying;
use super::{Whole, gather};
use crate::console::Desk;
use crate::console::form::Form;
use crate::console::problem::Problem;
use crate::console::visitor::Visitor;
use crate::ledger::{Row, Verdict};
use crate::policy::AdminAction;

/// LIMIT: characters of a note. It has to fit into an entry with everything else.
const NOTE_MAX: usize = 2_000;

/// What a reviewer found.
#[derive(Debug, Deserialize)]
pub(in crate::console::pages) struct Found {
    verdict: String,
    #[serde(default)]
    note: String,
    /// Where to go on: the queue that the reviewer works on.
    #[serde(default)]
    to: String,
}

/// Puts on record that somebody looked at an entry, and what they found.
pub(in crate::console::pages) async fn sign(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(name): Path<String>,
    Form(found): Form<Found>,
) -> Result<Response, Problem> {
    let whole = desk.review(move |desk, review| gather(desk, review, &name)).await?;
    let whose = whole.whose(&visitor.caller.id);
    let permit = visitor.may(&desk, AdminAction::Review, whose).await?;
    let verdict = Verdict::read(&found.verdict)
        .ok_or_else(|| Problem::bad_value("choose what you found").about("verdict"))?;
    let note = Some(found.note.trim()).filter(|note| !note.is_empty());
    if note.is_none() && verdict != Verdict::Appropriate {
        let problem = "say why in a note: somebody else will have to understand it";
        return Err(Problem::bad_value(problem).about("note"));
    }
    if note.is_some_and(|note| note.chars().count() > NOTE_MAX) {
        return Err(Problem::bad_value("at most 2,000 characters").about("note"));
    }
    let recorded = desk.gate.ledger.reviewed(&permit, &[whole.row.seq], verdict, note).await;
    recorded.map_err(|error| Problem::ledger(&error))?;
    let to = match found.to.as_str() {
        // Only to a queue of ours.
        to if to.starts_with("/reviews/") && to.bytes().all(is_plain) => to.to_owned(),
        _ => format!("/entries/{}#reviews", whole.row.seq),
    };
    Ok(Redirect::to(&to).into_response())
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-')
}

/// A verdict, as it reads.
pub(in crate::console::pages) fn verdict(word: &str) -> (&'static str, &str) {
    match word {
        "appropriate" => ("good", "appropriate"),
        "needs-explanation" => ("warn", "needs an explanation"),
        "inappropriate" => ("bad", "inappropriate"),
        "escalate" => ("bad", "escalated"),
        other => ("", other),
    }
}

/// The form in which somebody says what they found.
pub(in crate::console::pages) fn form(place: u64, visitor: &Visitor, to: &str) -> Markup {
    html! {
        form.sign method="post" action=(format!("/entries/{place}/review")) {
            (visitor.form_token())
            @if !to.is_empty() { input type="hidden" name="to" value=(to); }
            label {
                "What you found"
                select name="verdict" required {
                    option value="" { "choose" }
                    @for one in Verdict::ALL {
                        option value=(one.as_str()) { (verdict(one.as_str()).1) }
                    }
                }
            }
            label { "Note, sealed in the ledger" textarea name="note" maxlength=(NOTE_MAX) {} }
            button.main { "Put on record" }
        }
    }
}

pub(super) fn show(
    whole: &Whole,
    visitor: &Visitor,
    saying: Saying<'_>,
    may_review: bool,
) -> Markup {
    html! {
        section.sheet #reviews {
            h2 { "Reviews" }
            @if whole.reviews.is_empty() { p { "Nobody has said yet that they looked at it." } }
            @else { ul { @for review in &whole.reviews { li { (one(review, saying)) } } } }
            @if may_review { (form(whole.row.seq, visitor, "")) }
        }
    }
}

fn one(review: &Row, saying: Saying<'_>) -> Markup {
    let text =
        |pointer: &str| review.entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (looks, says) = verdict(text("/reason"));
    let note = review.opened.as_ref().and_then(|opened| opened.pointer("/said/reason"));
    html! {
        span.tag.(looks) { (says) } " by " (text("/actor"))
        @if let Ok(at) = text("/at").parse() { ", " (time(at)) " UTC" }
        ", " a href=(format!("/entries/{}", review.seq)) { "entry " (review.seq) }
        @if let Some(note) = note.and_then(Value::as_str) {
            @if saying.shows { ": " (note) } @else { ", with a note" }
        }
    }
}
