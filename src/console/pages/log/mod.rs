//! The log: who heard what, when, why, and by which sentence.
//!
//! What is asked stands in the address (`asked.rs`). Disclosures are shown as listening sessions
//! (`table.rs`), with how many there are over time (`timeline.rs`) and by whom and for what
//! (`facets.rs`); every number leads to what it counts.

mod asked;
mod export;
mod facets;
mod filters;
mod table;
mod timeline;

pub(super) use export::file;

use axum::extract::{RawQuery, State};
use axum::response::Html;
use maud::{Markup, html};

use super::super::Desk;
use super::super::problem::Problem;
use super::super::visitor::{About, Visitor};
use super::layout::{Part, page};
use super::said::{Saying, count};
use crate::ledger::{Field, Filter, Order, Query, Review, Row, Session, SessionCursor};
use crate::policy::{AdminAction, Whose};
use asked::{Asked, Show};
use facets::Facets;
use timeline::Timeline;

/// LIMIT: rows on a page. A page stays below 200 KB.
const ROWS: usize = 50;

/// A row of the table.
#[derive(Debug)]
struct Line {
    /// The listening session, if it is one.
    session: Option<Session>,
    /// Its first entry.
    row: Row,
}

/// What was found.
#[derive(Debug)]
struct Found {
    lines: Vec<Line>,
    next: Option<String>,
    count: u64,
    facets: Facets,
    timeline: Timeline,
}

/// The log.
pub(super) async fn log(
    State(desk): State<Desk>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Html<String>, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadLedger, Whose::Others).await?;
    let asked = Asked::read(query.as_deref())?;
    if asked.is_of_people() {
        let _ = visitor.may(&desk, AdminAction::ReadSubject, Whose::Others).await?;
    }
    let wanted = asked.clone();
    let found = desk.review(move |desk, review| find(desk, review, &wanted)).await?;
    let policies = desk.policies();
    let may = |action| policies.may(&visitor.caller, action, Whose::Others).is_ok();
    let saying = Saying { policies: &policies, shows: may(AdminAction::ReadSubject) };
    let about = About {
        detail: asked.told(),
        person: asked.person(),
        entries: Some(found.count),
        of: found.lines.iter().map(|line| line.row.seq).collect(),
    };
    visitor.sees(&desk, &permit, &about).await?;
    let body = html! {
        h1 { "Access log" }
        nav.tabs aria-label="What is shown" {
            @for (show, name) in [
                (Show::Sessions, "Disclosures"), (Show::Refusals, "Refusals"), (Show::All, "Everything"),
            ] {
                a href=(asked.showing(show).href("/log")) aria-current=[(asked.show == show).then_some("page")] { (name) }
            }
        }
        (filters::chips(&asked, saying, &found.facets))
        (filters::form(&asked, saying))
        (found.timeline.draw(&asked, thing(asked.show)))
        div.aside-table {
            (found.facets.show(&asked, saying))
            div {
                (table::show(&asked, saying, &found.lines, found.count))
                (pages(&asked, found.next.as_deref()))
                @if may(AdminAction::Export) { (files(&asked)) }
            }
        }
    };
    Ok(page(&desk, &visitor, Some(Part::Log), "Access log", &body))
}

/// Disclosures with one value in a field, to be shown on another page.
#[derive(Debug)]
pub(super) struct Listing {
    asked: Asked,
    lines: Vec<Line>,
    count: u64,
    more: bool,
}

impl Listing {
    /// The newest disclosures of all time.
    pub(super) fn find(
        desk: &Desk,
        review: &mut Review,
        field: Field,
        value: &str,
    ) -> Result<Self, Problem> {
        let asked = Asked::of_all_time(field, value)?;
        let now = desk.gate.clock.now();
        let query = asked.question()?.query(now, review)?.ok_or_else(Problem::not_found)?;
        let (lines, next) = sessions(review, &query, None)?;
        let count = review.index().count(&counted(Show::Sessions, &query))?;
        Ok(Self { asked, lines, count, more: next.is_some() })
    }

    /// How many requests there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The entries that are shown.
    pub(super) fn places(&self) -> impl Iterator<Item = u64> {
        self.lines.iter().map(|line| line.row.seq)
    }

    /// The newest entry.
    pub(super) fn newest(&self) -> Option<&Row> {
        self.lines.first().map(|line| &line.row)
    }

    pub(super) fn show(&self, saying: Saying<'_>) -> Markup {
        html! {
            @if self.lines.is_empty() { p { "Nothing of it was disclosed." } }
            @else { (table::show(&self.asked, saying, &self.lines, self.count)) }
            p {
                a href=(self.asked.href("/log")) { @if self.more { "All of them in the access log" } @else { "In the access log" } }
                " · "
                a href=(self.asked.showing(Show::Refusals).href("/log")) { "What was refused" }
            }
        }
    }
}

/// What is counted.
fn thing(show: Show) -> &'static str {
    match show {
        Show::Sessions => "request",
        Show::Refusals => "refusal",
        Show::All => "thing",
    }
}

/// What is on the page, whole, as files.
fn files(asked: &Asked) -> Markup {
    let asked = asked.showing(asked.show);
    html! {
        p.soft.screen {
            "All of it as a file, without what tells of people: "
            a href=(asked.href("/log.csv")) download { "CSV" } ", "
            a href=(asked.href("/log.jsonl")) download { "JSON lines" } ", "
            a href=(asked.href("/log.parquet")) download { "Parquet" } ". It is put on record."
        }
    }
}

fn pages(asked: &Asked, next: Option<&str>) -> Markup {
    html! {
        nav.pages aria-label="Pages" {
            @if asked.after.is_some() {
                a.button href=(asked.showing(asked.show).href("/log")) { "Newest" }
            }
            @if let Some(next) = next {
                a.button rel="next" href=(asked.after(next).href("/log")) { "Older" }
            }
        }
    }
}

fn find(desk: &Desk, review: &mut Review, asked: &Asked) -> Result<Found, Problem> {
    let now = desk.gate.clock.now();
    let query = asked.question()?.query(now, review)?.ok_or_else(Problem::not_found)?;
    let counted = counted(asked.show, &query);
    let (lines, next) = match asked.show {
        Show::Sessions => sessions(review, &query, asked.after.as_deref())?,
        Show::Refusals | Show::All => entries(review, &counted, asked.after.as_deref())?,
    };
    Ok(Found {
        lines,
        next,
        count: review.index().count(&counted)?,
        facets: Facets::count(review, &counted, asked.show)?,
        timeline: Timeline::count(review, &counted)?,
    })
}

/// The entries that a question counts.
fn counted(show: Show, query: &Query) -> Query {
    let only = |field, value: &str| Filter { field, any: vec![value.to_owned()], not: false };
    let mut query = query.clone();
    query.all.extend(match show {
        Show::Sessions => Some(only(Field::Kind, "intent")),
        Show::Refusals => Some(only(Field::Decision, "refuse")),
        Show::All => None,
    });
    query
}

fn sessions(
    review: &mut Review,
    query: &Query,
    after: Option<&str>,
) -> Result<(Vec<Line>, Option<String>), Problem> {
    let cursor = |text: &str| {
        let (ceiling, below) = text.split_once('-')?;
        Some(SessionCursor { ceiling: ceiling.parse().ok()?, below: below.parse().ok()? })
    };
    let cursor = after.map(|after| cursor(after).ok_or_else(no_such_page)).transpose()?;
    let page = review.index().sessions(query, cursor, ROWS)?;
    let places: Vec<u64> = page.sessions.iter().map(|session| session.first_seq).collect();
    let mut rows = review.rows(&places)?.into_iter().peekable();
    let lines = page.sessions.into_iter().filter_map(|session| {
        // In the same order; what was pruned meanwhile is left out.
        let row = rows.next_if(|row| row.seq == session.first_seq)?;
        Some(Line { session: Some(session), row })
    });
    let next = page.next.map(|next| format!("{}-{}", next.ceiling, next.below));
    Ok((lines.collect(), next))
}

fn entries(
    review: &mut Review,
    query: &Query,
    after: Option<&str>,
) -> Result<(Vec<Line>, Option<String>), Problem> {
    let after = after.map(|after| after.parse::<u64>().map_err(|_| no_such_page())).transpose()?;
    let (rows, next) = review.find(query, after, ROWS, Order::NewestFirst)?;
    let lines = rows.into_iter().map(|row| Line { session: None, row }).collect();
    Ok((lines, next.map(|next| next.to_string())))
}

fn no_such_page() -> Problem {
    Problem::bad_value("a link of the page before").about("after")
}

/// How many things match, in words.
fn found(show: Show, all: u64) -> String {
    match show {
        Show::Sessions => {
            format!("{} permitted, by listening session", count(all, "request"))
        }
        Show::Refusals => count(all, "refusal"),
        Show::All => match all {
            1 => "1 entry".to_owned(),
            _ => format!("{} entries", super::said::number(all)),
        },
    }
}
