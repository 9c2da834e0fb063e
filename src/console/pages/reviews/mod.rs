//! Review as work: queues of what somebody should look at, each with how much of it waits; and the
//! summary of a month, to print.

mod queue;
mod summary;

pub(in crate::console) use queue::Kept;
pub(super) use summary::summary;

use axum::extract::{Path, State};
use axum::response::Html;
use maud::{Markup, html};
use serde_json::Value;

use super::super::Desk;
use super::super::problem::Problem;
use super::super::visitor::{About, Visitor};
use super::entry::sign_form;
use super::layout::{Part, page, time};
use super::said::{Saying, number};
use crate::ledger::{Queue, Row};
use crate::policy::{AdminAction, Whose};
use queue::{Waiting, about, waiting};

/// LIMIT: rows of a queue. Each has a form.
const ROWS: usize = 25;

/// All queues.
pub(super) async fn reviews(
    State(desk): State<Desk>,
    visitor: Visitor,
) -> Result<Html<String>, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadLedger, Whose::Others).await?;
    let counts = desk
        .review(|desk, review| {
            let count = |queue: &Queue| Ok((*queue, waiting(desk, review, *queue, 0)?.count));
            Queue::ALL.iter().map(count).collect::<Result<Vec<_>, Problem>>()
        })
        .await?;
    visitor.sees(&desk, &permit, &About::default()).await?;
    let body = html! {
        h1 { "Reviews" }
        p { "What somebody should look at, of the last 30 days, and how much of it nobody has looked at yet. What you find is put on record." }
        ul.queues {
            @for (queue, count) in counts {
                @let (name, says) = about(queue);
                li.sheet {
                    h2 { a href=(format!("/reviews/{}", queue.as_str())) { (name) } " " span.tag.(if count > 0 { "warn" } else { "good" }) { (number(count)) " waiting" } }
                    p.soft { (says) }
                }
            }
        }
        p { a href="/reviews/summary" { "The summary of this month" } ", to print" }
    };
    Ok(page(&desk, &visitor, Some(Part::Reviews), "Reviews", &body))
}

/// One queue.
pub(super) async fn queue(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Html<String>, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadLedger, Whose::Others).await?;
    let queue = Queue::read(&name).ok_or_else(Problem::not_found)?;
    let found = desk.review(move |desk, review| waiting(desk, review, queue, ROWS)).await?;
    let of = found.rows.iter().map(|(row, _)| row.seq).collect();
    let entries = Some(found.count);
    let look = About { detail: queue.as_str().to_owned(), entries, of, ..About::default() };
    visitor.sees(&desk, &permit, &look).await?;
    let policies = desk.policies();
    let may = |action| policies.may(&visitor.caller, action, Whose::Others).is_ok();
    let saying = Saying { policies: &policies, shows: may(AdminAction::ReadSubject) };
    let (title, says) = about(queue);
    let body = html! {
        p.soft { a href="/reviews" { "Reviews" } " / " (title) }
        h1 { (title) }
        p { (says) }
        (rows(&found, queue, &visitor, saying, may(AdminAction::Review)))
    };
    Ok(page(&desk, &visitor, Some(Part::Reviews), title, &body))
}

fn rows(
    found: &Waiting,
    queue: Queue,
    visitor: &Visitor,
    saying: Saying<'_>,
    may_review: bool,
) -> Markup {
    let to = format!("/reviews/{}", queue.as_str());
    html! {
        @if found.rows.is_empty() { p.note.good { "Nothing waits here." } }
        @else {
            div.scroll tabindex="0" role="region" aria-labelledby="waiting" {
                table.log {
                    caption #waiting { (number(found.count)) " waiting, newest first" @if found.count > ROWS as u64 { "; the newest " (ROWS) " are shown" } }
                    thead { tr { @for head in ["When", "What happened", "Why it is here", "What you found"] { th scope="col" { (head) } } } }
                    tbody { @for (row, why) in &found.rows { (one(row, why.as_deref(), &to, visitor, saying, may_review)) } }
                }
            }
        }
    }
}

fn one(
    row: &Row,
    why: Option<&str>,
    to: &str,
    visitor: &Visitor,
    saying: Saying<'_>,
    may_review: bool,
) -> Markup {
    let text =
        |pointer: &str| row.entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let is_own = [text("/caller/id"), text("/caller/for"), text("/actor")]
        .contains(&visitor.caller.id.as_str());
    let reference = row.opened.as_ref().and_then(|opened| opened.pointer("/said/reference"));
    html! {
        tr {
            th.once scope="row" {
                a href=(format!("/entries/{}", row.seq)) { @match text("/at").parse() { Ok(at) => (time(at)), Err(_) => (row.seq) } }
            }
            td {
                (saying.sentence(row))
            }
            td {
                @if let Some(why) = why { (why) }
                @if !text("/country").is_empty() { "to " (text("/country")) }
                @if !text("/reason").is_empty() { (text("/reason")) }
                // What explains it stands beside it.
                @match (reference.and_then(Value::as_str), saying.shows, row.entry.pointer("/c/said").is_some()) {
                    (Some(reference), true, _) => span.more { "reference " (reference) },
                    (_, false, true) => span.more { "a reference or reason was given" },
                    (_, _, false) => span.more { "without a reference" },
                    _ => {},
                }
            }
            td {
                @if is_own { span.soft { "yours: somebody else reviews it" } }
                @else if may_review {
                    details { summary { "Say what you found" } (sign_form(row.seq, visitor, to)) }
                } @else { span.soft { "you may not review" } }
            }
        }
    }
}
