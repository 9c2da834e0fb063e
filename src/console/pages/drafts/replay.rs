//! What a draft would have decided: the real decisions of the last days, made again by it.

use axum::extract::{Path, State};
use axum::response::Html;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::super::layout::{Part, page, time};
use super::super::notice::{DAYS, since};
use super::findings::counted;
use crate::console::Desk;
use crate::console::drafting::{self, looks};
use crate::console::problem::Problem;
use crate::console::visitor::{About, Visitor};
use crate::ledger::{self, Field, Filter, Query, Replayed, Review, ReviewError, Shift};

/// LIMIT: decisions that are made again for a page. Where there are more, the newest are taken; the
/// command `noticegate replay` takes them all.
const DECISIONS_MAX: u64 = 50_000;

/// LIMIT: how often the days are halved to get there.
const HALVINGS_MAX: usize = 12;

/// The page.
pub(super) async fn replay(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Html<String>, Problem> {
    let permit = looks(&desk, &visitor).await?;
    let draft = drafting::one(&desk, &id).await?;
    let now = desk.gate.clock.now();
    let done = desk.review(move |desk, review| {
        let checked = drafting::check(desk, &draft.version, &draft.text, &draft.meaning);
        let Some(policies) = &checked.policies else { return Ok((draft, None)) };
        let (from, query) = few(review, now)?;
        let again = ledger::replay(review, &query, policies, |_| {})?;
        Ok((draft, Some((from, again))))
    });
    let (draft, replayed) = done.await?;
    let Some((from, replayed)) = replayed else {
        return Err(Problem::conflict("something is wrong with the draft, so it decides nothing"));
    };
    let detail = format!("decisions by draft {}", draft.id);
    let entries = Some(replayed.decisions + replayed.undecided);
    visitor.sees(&desk, &permit, &About { detail, entries, ..About::default() }).await?;
    let body = html! {
        h1 { "What draft " (draft.id) " would have decided" }
        p { a href={ "/drafts/" (draft.id) } { "Back to the draft" } }
        (told(&replayed, from, now))
    };
    let title = format!("Draft {} on past decisions", draft.id);
    Ok(page(&desk, &visitor, Some(Part::Drafts), &title, &body))
}

/// The query for the last days, or for so many of them that there are not too many decisions.
fn few(review: &Review, now: Timestamp) -> Result<(Timestamp, Query), ReviewError> {
    let decided = ["permit", "refuse"].map(str::to_owned).to_vec();
    let of_days = |from| Query {
        since: Some(from),
        all: vec![Filter { field: Field::Decision, any: decided.clone(), not: false }],
        ..Query::default()
    };
    let mut from = since(now);
    let mut query = of_days(from);
    for _ in 0..HALVINGS_MAX {
        if review.index().count(&query)? <= DECISIONS_MAX {
            break;
        }
        let half = now.as_second().saturating_sub(from.as_second()) / 2;
        from = now.checked_sub(SignedDuration::from_secs(half)).unwrap_or(from);
        query = of_days(from);
    }
    Ok((from, query))
}

fn told(replayed: &Replayed, from: Timestamp, now: Timestamp) -> Markup {
    let Replayed { decisions, same, undecided, groups, examples } = replayed;
    html! {
        p {
            (counted(usize::try_from(*decisions).unwrap_or(usize::MAX), "real decision was", "real decisions were"))
            " made again, from " (time(from)) " to " (time(now)) "; " strong { (same) } " come out the same."
        }
        @if from > since(now) {
            p.note.warn { "The last " (DAYS) " days hold more decisions than a page makes again; these are the \
                newest. " code { "noticegate replay" } " makes all of them again." }
        }
        @if *undecided > 0 {
            p { (undecided) " refusals had no proven caller or no facts, and stay refused." }
        }
        @if groups.is_empty() {
            p.note.good { "Nothing that was asked in this time would have been decided otherwise." }
        }
        @for (shift, title, class, word) in [
            (Shift::Lost, "Who loses: permitted then, refused by the draft", "bad", "lost"),
            (Shift::Gained, "Who gains: refused then, permitted by the draft", "good", "gained"),
        ] {
            @let some = groups.iter().filter(|(group, _)| group.shift == shift);
            @if some.clone().next().is_some() {
                h2 { (title) }
                div.scroll tabindex="0" {
                    table {
                        caption { span class={ "tag " (class) } { (word) } " by roles and purpose" }
                        thead { tr {
                            th scope="col" { "How many" }
                            th scope="col" { "Roles" }
                            th scope="col" { "Purpose" }
                            th scope="col" { "The draft decides by" }
                        } }
                        tbody {
                            @for (group, count) in some {
                                tr {
                                    td.number { (count) }
                                    td { (group.roles) }
                                    td { @if group.purpose.is_empty() { "none" } @else { (group.purpose) } }
                                    td { (group.by) }
                                }
                            }
                        }
                    }
                }
                @if let Some(places) = examples.get(&shift) {
                    p.soft { "For example entries "
                        (places.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")) "." }
                }
            }
        }
    }
}
