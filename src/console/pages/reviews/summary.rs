//! The summary of a month: what was disclosed and refused, and how much of it was looked at.

use axum::extract::State;
use axum::response::Html;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use maud::{Markup, html};
use serde::Deserialize;

use super::queue::about;
use crate::console::Desk;
use crate::console::api::Query as Strict;
use crate::console::pages::layout::{Part, page, time};
use crate::console::pages::said::{Saying, number};
use crate::console::problem::Problem;
use crate::console::visitor::{About, Visitor};
use crate::ledger::{Field, Filter, Query, Queue, Review};
use crate::policy::{AdminAction, Whose};

/// LIMIT: values of a table.
const TOP: usize = 15;

/// Which month.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::console::pages) struct Which {
    /// As in `2026-11`; this month if it is left out.
    month: Option<String>,
}

/// A table: what it counts, and the counts.
type Counts = (&'static str, Vec<(String, u64)>);

#[derive(Debug)]
struct Month {
    tables: Vec<Counts>,
    /// Each queue: all of it, and what nobody has looked at.
    queues: Vec<(Queue, u64, u64)>,
}

/// The summary.
pub(in crate::console::pages) async fn summary(
    State(desk): State<Desk>,
    visitor: Visitor,
    Strict(which): Strict<Which>,
) -> Result<Html<String>, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadLedger, Whose::Others).await?;
    let now = desk.gate.clock.now();
    let this = TimeZone::UTC.to_datetime(now).date().first_of_month();
    let month = which.month.as_deref().filter(|month| !month.is_empty());
    let month = month.map(|month| format!("{month}-01").parse::<Date>());
    let month = month.transpose().map_err(|_| wrong())?.unwrap_or(this);
    let end = month.checked_add(1.month()).map_err(|_| wrong())?;
    let at = |date: Date| TimeZone::UTC.to_timestamp(date.into()).map_err(|_| wrong());
    let (since, until) = (at(month)?, at(end)?);
    let found = desk.review(move |desk, review| count(desk, review, since, until)).await?;
    let look = About { detail: month.strftime("%Y-%m").to_string(), ..About::default() };
    visitor.sees(&desk, &permit, &look).await?;
    let policies = desk.policies();
    let saying = Saying { policies: &policies, shows: false };
    let before = month.checked_sub(1.month()).map_err(|_| wrong())?;
    let body = html! {
        p.soft.screen { a href="/reviews" { "Reviews" } " / Summary" }
        h1 { "Access to recordings in " (month.strftime("%B %Y").to_string()) }
        p.soft { "As the ledger " code { (desk.ledger.origin) } " had it on " (time(now)) " UTC." }
        p.screen {
            a href=(format!("/reviews/summary?month={}", before.strftime("%Y-%m"))) { "The month before" }
            @if end <= this { " · " a href=(format!("/reviews/summary?month={}", end.strftime("%Y-%m"))) { "The month after" } }
        }
        (queues(&found))
        div.columns { @for (name, counts) in &found.tables { (table(name, counts, saying)) } }
    };
    Ok(page(&desk, &visitor, Some(Part::Reviews), "Summary", &body))
}

fn wrong() -> Problem {
    Problem::bad_value("a month, such as 2026-11").about("month")
}

fn count(
    desk: &Desk,
    review: &mut Review,
    since: Timestamp,
    until: Timestamp,
) -> Result<Month, Problem> {
    let index = review.index();
    let of = |field, value: &str| Query {
        since: Some(since),
        until: Some(until),
        all: vec![Filter { field, any: vec![value.to_owned()], not: false }],
        ..Query::default()
    };
    let (heard, refused) = (of(Field::Kind, "intent"), of(Field::Decision, "refuse"));
    let (shared, reviewed) = (of(Field::Kind, "share"), of(Field::Kind, "review"));
    let mut tables = Vec::new();
    for (name, query, field) in [
        ("Requests permitted, by purpose", &heard, Field::Purpose),
        ("Requests permitted, by sentence", &heard, Field::Clause),
        ("Requests permitted, by role", &heard, Field::Role),
        ("Requests permitted, by who asked", &heard, Field::Caller),
        ("Requests refused, by reason", &refused, Field::Reason),
        ("Shares, by recipient", &shared, Field::Recipient),
        ("Reviews, by what was found", &reviewed, Field::Reason),
    ] {
        tables.push((name, index.facets(query, field, TOP)?));
    }
    let policies = desk.policies();
    let mut queues = Vec::new();
    for queue in [Queue::Sampled, Queue::Refusals, Queue::Emergencies, Queue::Abroad] {
        let all = Query { until: Some(until), ..queue.query(&policies, since) };
        queues.push((queue, index.count(&all)?, index.count(&all.unreviewed())?));
    }
    Ok(Month { tables, queues })
}

fn queues(month: &Month) -> Markup {
    html! {
        div.scroll {
            table {
                caption { "What should be looked at, and what was" }
                thead { tr { th scope="col" { "Queue" } @for head in ["In it", "Reviewed", "Waiting"] { th.number scope="col" { (head) } } } }
                tbody {
                    @for (queue, all, left) in &month.queues {
                        tr {
                            th scope="row" { (about(*queue).0) }
                            td.number { (number(*all)) }
                            td.number { (number(all.saturating_sub(*left))) }
                            td.number { (number(*left)) }
                        }
                    }
                }
            }
        }
    }
}

fn table(name: &str, counts: &[(String, u64)], saying: Saying<'_>) -> Markup {
    let says = |value: &str| match name.rsplit(' ').next() {
        Some("purpose") => saying.purpose(value),
        Some("recipient") => saying.recipient(value),
        _ => value.to_owned(),
    };
    html! {
        div.scroll {
            table {
                caption { (name) }
                thead { tr { th scope="col" { "What" } th.number scope="col" { "How many" } } }
                tbody {
                    @if counts.is_empty() { tr { td colspan="2" { "none" } } }
                    @for (value, count) in counts {
                        tr { th scope="row" { (says(value)) } td.number { (number(*count)) } }
                    }
                }
            }
        }
    }
}
