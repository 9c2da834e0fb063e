//! One entry of the ledger: the whole story of a disclosure or a refusal.
//!
//! `story.rs` tells what was asked, by whom and what was known of it; `ground.rs` the sentence in its
//! notice and the policies that decided, then and today; `proof.rs` that it stands in the ledger; and
//! `sign.rs` takes what a reviewer found.

mod ground;
mod proof;
mod sign;
mod story;

pub(super) use proof::proof;
pub(super) use sign::{form as sign_form, sign};

use axum::extract::{Path, State};
use axum::response::Html;
use maud::{Markup, html};
use serde_json::Value;
use uuid::Uuid;

use super::super::Desk;
use super::super::problem::Problem;
use super::super::visitor::{About, Visitor};
use super::layout::{Part, page, time};
use super::said::Saying;
use crate::ledger::{Field, Filter, Order, Query, Review, Row, Session};
use crate::policy::{AdminAction, Whose};
use ground::Ground;

/// LIMIT: reviews of one entry that are shown.
const REVIEWS_MAX: usize = 20;

/// Everything that is shown of an entry.
#[derive(Debug)]
struct Whole {
    row: Row,
    session: Option<Session>,
    ground: Option<Ground>,
    reviews: Vec<Row>,
}

impl Whole {
    fn text(&self, pointer: &str) -> &str {
        self.row.entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether a caller looks at what they did themselves.
    fn whose(&self, caller: &str) -> Whose {
        let is_theirs = [self.text("/caller/id"), self.text("/caller/for"), self.text("/actor")]
            .contains(&caller);
        if is_theirs { Whose::Own } else { Whose::Others }
    }
}

/// An entry by its number or its id.
pub(super) fn find(review: &mut Review, name: &str) -> Result<Row, Problem> {
    let row = match (name.parse::<u64>(), name.parse::<Uuid>()) {
        (Ok(place), _) => review.rows(&[place])?.pop(),
        (_, Ok(id)) => review.named(id)?,
        _ => None,
    };
    row.ok_or_else(|| Problem::not_found().saying("there is no entry with this number or id"))
}

/// The page of one entry.
pub(super) async fn entry(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Html<String>, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadLedger, Whose::Others).await?;
    let whole = desk.review(move |desk, review| gather(desk, review, &name)).await?;
    let of = vec![whole.row.seq];
    let about = About { detail: whole.row.seq.to_string(), of, ..About::default() };
    visitor.sees(&desk, &permit, &about).await?;
    let policies = desk.policies();
    let may = |action, whose| policies.may(&visitor.caller, action, whose).is_ok();
    let saying =
        Saying { policies: &policies, shows: may(AdminAction::ReadSubject, Whose::Others) };
    let may_review = may(AdminAction::Review, whole.whose(&visitor.caller.id));
    let title = format!("Entry {}", whole.row.seq);
    let body = html! {
        p.soft { a href="/log" { "Access log" } " / " (title) }
        (head(&whole, saying))
        div.columns {
            (story::request(&whole, saying))
            (story::caller(&whole, saying))
            (story::people(&whole, saying))
            (story::facts(&whole))
        }
        (story::heard(&whole))
        @if let Some(ground) = &whole.ground { (ground.show(saying)) }
        (sign::show(&whole, &visitor, saying, may_review))
        (proof::show(&whole.row))
    };
    Ok(page(&desk, &visitor, Some(Part::Log), &title, &body))
}

fn gather(desk: &Desk, review: &mut Review, name: &str) -> Result<Whole, Problem> {
    let row = find(review, name)?;
    let session = match row.entry.get("t").and_then(Value::as_str) {
        Some("intent") => review.index().session_of(row.seq)?,
        _ => None,
    };
    let ground = Ground::of(desk, review, &row)?;
    let of = Filter { field: Field::Of, any: vec![row.seq.to_string()], not: false };
    let query = Query { all: vec![of], ..Query::default() };
    let (reviews, _) = review.find(&query, None, REVIEWS_MAX, Order::NewestFirst)?;
    Ok(Whole { row, session, ground, reviews })
}

fn head(whole: &Whole, saying: Saying<'_>) -> Markup {
    let (looks, says) = match whole.text("/t") {
        "intent" => ("good", "permitted"),
        "share" => ("good", "share"),
        "refusal" => ("bad", "refused"),
        other => ("", other),
    };
    let kind = match whole.text("/t") {
        "intent" => "A disclosure",
        "share" => "A share",
        "refusal" => "A refusal",
        "deletion" => "A deletion",
        _ => "An entry",
    };
    html! {
        h1 { (kind) " " span.tag.(looks) { (says) } }
        p {
            (saying.sentence(&whole.row)) ". "
            @if let Ok(at) = whole.text("/at").parse() { "Recorded on " (time(at)) " UTC" }
            " as entry " (whole.row.seq) ", " code { (whole.text("/id")) } "."
        }
    }
}
