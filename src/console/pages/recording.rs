//! One recording: what is known of it, who is on it, what they agreed to, how long it is kept and by
//! which sentence, and to whom it was disclosed.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Html;
use maud::{Markup, html};
use serde_json::Value;

use super::super::Desk;
use super::super::api::gather;
use super::super::problem::Problem;
use super::super::visitor::{About, Visitor};
use super::layout::{Part, page, time};
use super::log::Listing;
use super::said::Saying;
use crate::facts::{Base, Facts, Labels, Participant, Recorded, Said, participants};
use crate::ledger::{Field, Filter, Order, Query, Row, Told};
use crate::media::MediaSid;
use crate::policy::{AdminAction, Ground, Retention, Whose};

/// LIMIT: shares and statements that are shown.
const SHOWN_MAX: usize = 100;

/// What is known of a recording.
struct Known {
    facts: Arc<Facts>,
    told: Vec<Told>,
    people: Vec<Participant>,
    retention: Retention,
    /// What the call is filed under, also by its line.
    labels: Labels,
}

/// The page of a recording, or of whatever else was recorded.
pub(super) async fn recording(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(sid): Path<String>,
) -> Result<Html<String>, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadRegister, Whose::Others).await?;
    let sid: MediaSid = sid.parse().map_err(|_| Problem::not_found())?;
    let policies = desk.policies();
    let may = |action| policies.may(&visitor.caller, action, Whose::Others).is_ok();
    let saying = Saying { policies: &policies, shows: may(AdminAction::ReadSubject) };
    let (listing, shares) = match may(AdminAction::ReadLedger) {
        true => {
            let found = desk.review(move |desk, review| {
                let value = sid.to_string();
                let listing = Listing::find(desk, review, Field::Recording, &value)?;
                let is =
                    |field, value: &str| Filter { field, any: vec![value.to_owned()], not: false };
                let all = vec![is(Field::Recording, &value), is(Field::Kind, "share")];
                let query = Query { all, ..Query::default() };
                let (shares, _) = review.find(&query, None, SHOWN_MAX, Order::NewestFirst)?;
                Ok((listing, shares))
            });
            let (listing, shares) = found.await?;
            (Some(listing), shares)
        }
        false => (None, Vec::new()),
    };
    // Where several accounts are served, the one that the ledger tells of.
    let account = listing
        .as_ref()
        .and_then(Listing::newest)
        .and_then(|row| row.entry.pointer("/media/account").and_then(Value::as_str)?.parse().ok());
    let known = match gather(&desk, sid, account, None).await {
        Ok(facts) => Some(know(&desk, saying, facts).await?),
        Err(problem) if listing.as_ref().is_none_or(|listing| listing.newest().is_none()) => {
            return Err(problem);
        }
        Err(_) => None,
    };
    let of = listing.iter().flat_map(Listing::places).collect();
    let statements = known.as_ref().map_or(0, |known| known.told.len() as u64);
    let entries = Some(statements + listing.as_ref().map_or(0, Listing::count));
    let about = About { detail: sid.to_string(), entries, of, ..About::default() };
    visitor.sees(&desk, &permit, &about).await?;
    let body = html! {
        p.soft { a href="/log" { "Access log" } " / Recording" }
        h1 { "Recording " span.sid { (sid) } }
        @match &known {
            Some(known) => {
                div.columns {
                    (facts(known))
                    (kept(known, &desk))
                    (consents(known, saying))
                }
                (stated(known, saying))
            },
            None => p.note.warn { "Twilio tells nothing of it now: it was deleted, is of another account, or cannot be asked at the moment. What was disclosed of it is below." },
        }
        @if let Some(listing) = &listing {
            h2 { "Disclosures" }
            (listing.show(saying))
            h2 { "Shares" }
            (shared(&shares, saying))
        } @else {
            p.note { "To whom it was disclosed is shown to who may read the ledger." }
        }
    };
    Ok(page(&desk, &visitor, Some(Part::Log), "Recording", &body))
}

async fn know(desk: &Desk, saying: Saying<'_>, facts: Arc<Facts>) -> Result<Known, Problem> {
    let told = desk.gate.ledger.told_under(facts.basis.names.to_vec()).await;
    let told = told.map_err(|error| Problem::facts(&error))?;
    let said: Vec<Recorded> = told.iter().map(|told| told.recorded.clone()).collect();
    let ends = facts.basis.ends.as_deref();
    let base = Base { started_at: facts.started_at, ends, medium: None };
    let now = desk.gate.clock.now();
    let people = participants(&base, &said, None, &saying.policies.reading(), now);
    let retention = saying.policies.retention(&facts, now);
    let labels = saying.policies.labels(&facts);
    Ok(Known { facts, told, people, retention, labels })
}

fn fact(name: &str, value: &str) -> Markup {
    html! { @if !value.is_empty() { dt { (name) } dd { (value) } } }
}

fn facts(known: &Known) -> Markup {
    let facts = &known.facts;
    let labels = &known.labels;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let call = facts.call.map(|call| call.to_string()).unwrap_or_default();
    let held = facts.register.circumstances.iter().map(|one| one.as_str());
    html! {
        section.sheet {
            h2 { "What is known" }
            p.soft { "Twilio’s metadata, as of " (time(facts.as_of)) " UTC, and what was stated to the gate." }
            dl {
                dt { "Recorded" } dd { (time(facts.started_at)) " UTC" }
                dt { "Length" } dd { (facts.duration_seconds) " seconds" }
                (fact("Status", facts.status.as_str()))
                (fact("Direction", facts.direction.map(|direction| direction.as_str()).unwrap_or_default()))
                (fact("Call", &call))
                (fact("Encrypted", if facts.encrypted { "yes" } else { "no" }))
                (fact("Line", &text(&labels.line)))
                (fact("Department", &text(&labels.department)))
                (fact("Call type", &text(&labels.call_type)))
                dt { "Labels" }
                dd {
                    @match labels.labels.as_deref() {
                        None => "not known",
                        Some([]) => "none",
                        Some(labels) => (labels.join(", ")),
                    }
                }
                (fact("What holds", &held.collect::<Vec<_>>().join(", ")))
                @if let Some(law) = &facts.register.law {
                    dt { "Law" } dd { (law.rule.as_str()) ", of " (law.place) }
                }
            }
        }
    }
}

/// How long it is kept, and by which words; what keeps it longer.
fn kept(known: &Known, desk: &Desk) -> Markup {
    let now = desk.gate.clock.now();
    let holds = known.told.iter().filter_map(|told| match &told.recorded.statement.said {
        Said::Hold(hold) => Some((told, hold)),
        _ => None,
    });
    let holds: Vec<_> = holds.collect();
    html! {
        section.sheet {
            h2 { "How long it is kept" }
            @match known.retention.due {
                None => p { "No clause says when its time is over." },
                Some(due) if due <= now => p { span.tag.warn { "over" } " Its time was over on " (time(due)) " UTC." },
                Some(due) => p { "Until " (time(due)) " UTC; then nobody may use it, and it is to be deleted." },
            }
            @for citation in &known.retention.clauses {
                @if let Ground::Clause { clause, quote, notice } = &citation.ground {
                    blockquote { "“" (quote) "”" span.more { (clause) " of notice " (notice) } }
                }
            }
            h3 { "Legal holds" }
            @if holds.is_empty() { p { "None." } }
            @else {
                ul {
                    @for (told, hold) in holds {
                        li {
                            (hold.id) ", case " (hold.case) ": "
                            @if hold.lifted { "lifted" } @else { "placed" }
                            " by " (told.actor) ", " (time(told.at)) " UTC. " (hold.reason)
                        }
                    }
                }
            }
        }
    }
}

fn consents(known: &Known, saying: Saying<'_>) -> Markup {
    html! {
        section.sheet {
            h2 { "Who is on it, and what they agreed to" }
            @if known.people.is_empty() { p { "Nobody is known." } }
            @for one in &known.people {
                @let name = match &one.who { Some(who) => saying.who(Some(who)), None => "somebody unknown".to_owned() };
                h3 {
                    (name)
                    @if one.agent { " " span.tag { "agent" } }
                    @if one.minor == Some(true) { " " span.tag.warn { "minor" } }
                }
                @for place in places(known, one) { p.soft { (place) } }
                ul {
                    @for (state, purposes) in by_state(one, saying) { li { b { (state) } ": " (purposes) } }
                }
            }
        }
    }
}

/// Where somebody is, as it was stated.
fn places(known: &Known, one: &Participant) -> Vec<String> {
    let theirs = known
        .told
        .iter()
        .filter(|told| one.who.is_some() && told.recorded.statement.participant == one.who);
    let places = theirs.filter_map(|told| match &told.recorded.statement.said {
        Said::Party(party) => Some([
            party.address.map(|place| format!("registered in {place}")),
            party.stated.map(|place| format!("said to be in {place}")),
        ]),
        _ => None,
    });
    places.flatten().flatten().collect()
}

/// What holds, and for which purposes.
fn by_state(one: &Participant, saying: Saying<'_>) -> Vec<(String, String)> {
    let mut states: Vec<(String, Vec<String>)> = Vec::new();
    for (purpose, consent, form) in &one.consents {
        let form = form.map(|form| format!(" ({})", form.as_str())).unwrap_or_default();
        let state = format!("{}{form}", consent.as_str());
        let purpose = saying.purpose(purpose.as_str());
        match states.iter_mut().find(|(known, _)| *known == state) {
            Some((_, purposes)) => purposes.push(purpose),
            None => states.push((state, vec![purpose])),
        }
    }
    let all = one.consents.len();
    let each = states.into_iter().map(|(state, purposes)| match purposes.len() == all {
        true => (state, "every purpose".to_owned()),
        false => (state, purposes.join("; ")),
    });
    each.collect()
}

fn stated(known: &Known, saying: Saying<'_>) -> Markup {
    statements(&known.told, saying)
}

/// Everything that was stated, newest first.
pub(super) fn statements(told: &[Told], saying: Saying<'_>) -> Markup {
    html! {
        h2 { "What was stated" }
        @if told.is_empty() { p { "Nothing." } }
        @else {
            div.scroll tabindex="0" role="region" aria-labelledby="stated" {
                table {
                    caption #stated { (super::said::count(told.len() as u64, "statement")) ", newest first" @if told.len() > SHOWN_MAX { "; the newest " (SHOWN_MAX) " are shown" } }
                    thead { tr { @for head in ["When", "By", "Of", "What"] { th scope="col" { (head) } } } }
                    tbody {
                        @for told in told.iter().rev().take(SHOWN_MAX) {
                            @let statement = &told.recorded.statement;
                            tr {
                                th.once scope="row" { a href=(format!("/entries/{}", told.recorded.seq)) { (time(told.at)) } }
                                td { (told.actor) }
                                td {
                                    @if statement.participant.is_some() { (saying.who(statement.participant.as_ref())) }
                                    @else if told.recorded.erased { "somebody who was erased" }
                                    @else if let Some(line) = &statement.line { "line " (line) }
                                }
                                td { (statement.kind()) (statement.in_words()) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn shared(shares: &[Row], saying: Saying<'_>) -> Markup {
    let text = |row: &Row, pointer: &str| {
        row.entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    html! {
        @if shares.is_empty() { p { "It was not shared by a link." } }
        @else {
            ul {
                @for row in shares {
                    li {
                        @let id = text(row, "/share");
                        a href=(format!("/shares?show=all#{id}")) { "Share " (id) }
                        " to " (saying.recipient(&text(row, "/recipient")))
                        @if let Ok(at) = text(row, "/at").parse() { ", made " (time(at)) " UTC" }
                        " by " (text(row, "/caller/id"))
                    }
                }
            }
        }
    }
}
