//! One person: what is held of them, what was disclosed, and the accounting to hand over.
//!
//! They are found by a form, so that no number or name stands in an address; their page is named by
//! the number that tells nothing.

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::header::CONTENT_SECURITY_POLICY;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::Desk;
use super::super::api::Query;
use super::super::form::Form;
use super::super::problem::Problem;
use super::super::visitor::{About, Visitor};
use super::layout::{Part, page};
use super::log::Listing;
use super::recording::statements;
use super::said::Saying;
use crate::facts::{Key, Said, Who};
use crate::ledger::{
    Accounting, AccountingHead, Field, Filter, Order, Query as Asked, Review, Shape, Told,
    disclosures, e164,
};
use crate::policy::{AdminAction, Whose};

/// LIMIT: entries that are looked through for who somebody is. Any that tells of them says so.
const LOOKED_THROUGH: usize = 16;

/// Who is looked for.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    number: String,
    #[serde(default)]
    name: String,
}

/// The form by which people are found.
pub(super) async fn ask(
    State(desk): State<Desk>,
    visitor: Visitor,
) -> Result<Html<String>, Problem> {
    let _ = visitor.may(&desk, AdminAction::ReadSubject, Whose::Others).await?;
    Ok(page(&desk, &visitor, Some(Part::People), "People", &form(&visitor, None)))
}

fn form(visitor: &Visitor, note: Option<&str>) -> Markup {
    html! {
        h1 { "People" }
        p { "What is held of one person and was disclosed of their calls. Each look is on record." }
        @if let Some(note) = note { p.note.warn role="status" { (note) } }
        form.row method="post" action="/people" {
            (visitor.form_token())
            label { "Telephone number" input name="number" type="tel" placeholder="+1 404 555 0123" autocomplete="off"; }
            label { "or the name that you gave them" input name="name" autocomplete="off"; }
            button.main { "Find" }
        }
    }
}

/// Finds somebody.
pub(super) async fn find(
    State(desk): State<Desk>,
    visitor: Visitor,
    Form(wanted): Form<Wanted>,
) -> Result<Response, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadSubject, Whose::Others).await?;
    let who = match (wanted.number.trim(), wanted.name.trim()) {
        ("", "") => return Err(Problem::bad_value("a number or a name").about("number")),
        (number, "") => Who::Number(e164(number)?),
        (_, name) => Who::Name(name.to_owned()),
    };
    let person = desk.review(move |_, review| Ok(review.participant(&who)?)).await?;
    let Some(person) = person else {
        visitor.sees(&desk, &permit, &About { entries: Some(0), ..About::default() }).await?;
        let note = "The ledger tells of nobody by this number or name, or they were erased.";
        let body = form(&visitor, Some(note));
        return Ok(page(&desk, &visitor, Some(Part::People), "People", &body).into_response());
    };
    Ok(Redirect::to(&format!("/people/{person}")).into_response())
}

/// Who a person is, by any entry that tells.
fn who(review: &mut Review, person: u64) -> Result<Option<Who>, Problem> {
    let is = Filter { field: Field::Person, any: vec![person.to_string()], not: false };
    let query = Asked { all: vec![is], ..Asked::default() };
    let (rows, _) = review.find(&query, None, LOOKED_THROUGH, Order::NewestFirst)?;
    let mut subjects = rows.into_iter().flat_map(|row| row.subjects);
    Ok(subjects.find_map(|(subject, who)| if subject == person { who } else { None }))
}

/// The page of one person.
pub(super) async fn person(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(person): Path<String>,
) -> Result<Html<String>, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadSubject, Whose::Others).await?;
    let person: u64 = person.parse().map_err(|_| Problem::not_found())?;
    let (who, listing) = desk
        .review(move |desk, review| {
            let who = who(review, person)?;
            Ok((who, Listing::find(desk, review, Field::Person, &person.to_string())?))
        })
        .await?;
    let who = who.ok_or_else(nobody)?;
    let keys = [Key::Person(who.clone()), Key::Mentioned(who.clone())];
    let told = desk.gate.ledger.told(&keys).await.map_err(|error| Problem::facts(&error))?;
    let entries = Some(told.len() as u64 + listing.count());
    let of = listing.places().collect();
    let about = About { person: Some(person), entries, of, ..About::default() };
    visitor.sees(&desk, &permit, &about).await?;
    let policies = desk.policies();
    let saying = Saying { policies: &policies, shows: true };
    let body = html! {
        p.soft { a href="/people" { "People" } " / One person" }
        h1 { (saying.who(Some(&who))) }
        section.sheet.screen {
            h2 { "The accounting of disclosures" }
            p { "To read, to print, to hand over. Each is an entry of the ledger." }
            p {
                a.button.main href=(format!("/people/{person}/accounting")) { "The person’s copy" } " "
                a.button href=(format!("/people/{person}/accounting?full=true")) { "Full, with who asked" }
            }
        }
        h2 { "Disclosures" }
        (listing.show(saying))
        (statements(&told, saying))
    };
    Ok(page(&desk, &visitor, Some(Part::People), "One person", &body))
}

fn nobody() -> Problem {
    Problem::not_found().saying("the ledger tells of nobody by this number, or they were erased")
}

/// What is held, a sentence each. The person's copy tells neither who put it on record nor what a hold
/// is for.
fn held(told: &[Told], full: bool) -> Vec<String> {
    let kept = told.iter().filter(|told| !told.recorded.erased);
    let each = kept.map(|told| {
        let (statement, day) = (&told.recorded.statement, told.at.strftime("%d %b %Y"));
        let about: Vec<String> = statement.about.iter().map(ToString::to_string).collect();
        let about = match about.is_empty() {
            true => String::new(),
            false => format!(", in {}", about.join(", ")),
        };
        match &statement.said {
            Said::Hold(hold) if !full => {
                let what = if hold.lifted { "lifted" } else { "placed" };
                format!("{day}: a legal hold was {what}{about}")
            }
            _ if full => {
                format!(
                    "{day}, by {}: {}{}{about}",
                    told.actor,
                    statement.kind(),
                    statement.in_words()
                )
            }
            _ => format!("{day}: {}{}{about}", statement.kind(), statement.in_words()),
        }
    });
    let all: Vec<String> = each.collect();
    match all.is_empty() {
        true => vec!["Nothing is held of this person beside that.".to_owned()],
        false => all,
    }
}

/// How an accounting is made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// With the ids of who asked.
    #[serde(default)]
    full: bool,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// The accounting, as a page to print.
pub(super) async fn accounting(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(person): Path<String>,
    Query(which): Query<Which>,
) -> Result<Response, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadSubject, Whose::Others).await?;
    let person: u64 = person.parse().map_err(|_| Problem::not_found())?;
    let Which { full, since, until } = which;
    let (who, lines, first) = desk
        .review(move |_, review| {
            let who = who(review, person)?.ok_or_else(nobody)?;
            let lines = disclosures(review, person, since, until)?;
            let first = review.from(0, 1)?.first().and_then(|row| {
                row.entry.get("at").and_then(|at| at.as_str()).and_then(|at| at.parse().ok())
            });
            Ok((who, lines, first))
        })
        .await?;
    let keys = [Key::Person(who.clone()), Key::Mentioned(who.clone())];
    let told = desk.gate.ledger.told(&keys).await.map_err(|error| Problem::facts(&error))?;
    let now = desk.gate.clock.now();
    let count = Some((lines.len() + told.len()) as u64);
    let about = About { person: Some(person), entries: count, ..About::default() };
    let entry = visitor.sees(&desk, &permit, &about).await?;
    // Its number, which stands on the page.
    let entry = desk
        .review(move |_, review| {
            let id = entry.to_string().parse().map_err(|_| Problem::ours())?;
            Ok(review.named(id)?.map(|row| row.seq))
        })
        .await?;
    let policies = desk.policies();
    let head = AccountingHead {
        person: match who {
            Who::Number(number) => number,
            Who::Name(name) => name,
        },
        from: since.or(first).unwrap_or(Timestamp::UNIX_EPOCH),
        to: until.unwrap_or(now),
        made_at: now,
        made_by: visitor.caller.id.clone(),
        organisation: desk.gate.shares.organisation().to_owned(),
        origin: desk.ledger.origin.clone(),
        entry: entry.ok_or_else(Problem::too_slow)?,
        policies: policies.digest().as_str().to_owned(),
    };
    let shape = match full {
        true => Shape::Full { summarised: false },
        false => Shape::Subject,
    };
    let text = Accounting::new(head, shape, lines).holding(held(&told, full)).to_html();
    let own_style = format!(
        "default-src 'none'; style-src {}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        Accounting::style_source()
    );
    Ok(([(CONTENT_SECURITY_POLICY, own_style)], Html(text)).into_response())
}
