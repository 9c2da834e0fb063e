//! The table of what was found.

use maud::{Markup, html};
use serde_json::Value;

use super::super::layout::time;
use super::super::said::{self, Saying};
use super::asked::{Asked, Show};
use super::{Line, found};
use crate::ledger::{Row, Session, happened};

/// The table, or that there is nothing in it.
pub(super) fn show(asked: &Asked, saying: Saying<'_>, lines: &[Line], all: u64) -> Markup {
    if lines.is_empty() {
        return html! {
            p.note { "Nothing matches. Drop a filter above, or ask for a longer time." }
        };
    }
    let heads: &[&str] = match asked.show {
        Show::Sessions => &["When", "Who", "Recording", "Person", "Why", "Heard", "Ending"],
        Show::Refusals => &["When", "Who", "Recording", "Person", "Why", "Refused because"],
        Show::All => &["When", "Entry", "What happened"],
    };
    html! {
        div.scroll tabindex="0" role="region" aria-labelledby="found" {
            table.log {
                caption #found { (found(asked.show, all)) ", newest first" }
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody {
                    @for line in lines {
                        tr {
                            @match (&line.session, asked.show) {
                                (Some(session), _) => (disclosed(asked, saying, session, &line.row)),
                                (None, Show::All) => (anything(&line.row)),
                                (None, _) => (refused(asked, saying, &line.row)),
                            }
                        }
                    }
                }
            }
        }
    }
}

fn text<'a>(row: &'a Row, pointer: &str) -> &'a str {
    row.entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// When, as a link to the entry.
fn when(row: &Row) -> Markup {
    let at = text(row, "/at").parse();
    html! {
        th.once scope="row" {
            a href=(format!("/entries/{}", row.seq)) {
                @match at { Ok(at) => (time(at)), Err(_) => { "entry " (row.seq) } }
            }
        }
    }
}

fn who(asked: &Asked, row: &Row) -> Markup {
    let caller = text(row, "/caller/id");
    let roles = row.entry.pointer("/caller/roles").and_then(Value::as_array);
    let roles: Vec<&str> = roles.into_iter().flatten().filter_map(Value::as_str).collect();
    let maker = text(row, "/caller/for");
    html! {
        td.who-asked {
            @if caller.is_empty() { "a stranger" }
            @else { a href=(asked.with("caller", caller).href("/log")) { (caller) } }
            @if !maker.is_empty() { span.more { "by a link of " (maker) } }
            @if !roles.is_empty() { span.more { (roles.join(", ")) } }
        }
    }
}

fn recording(row: &Row) -> Markup {
    let sid = text(row, "/media/recording");
    html! {
        td {
            @if !sid.is_empty() {
                a.sid href=(format!("/recordings/{sid}")) { (sid) }
                span.more { (text(row, "/media/form")) }
            }
        }
    }
}

fn person(asked: &Asked, saying: Saying<'_>, row: &Row) -> Markup {
    let people = row.subjects.iter().filter(|(_, who)| saying.is_person(who.as_ref()));
    html! {
        td {
            @for (place, (person, who)) in people.enumerate() {
                @if place > 0 { br; }
                a href=(asked.with("person", &person.to_string()).href("/log")) { (saying.who(who.as_ref())) }
            }
        }
    }
}

/// Purpose, recipient, and the sentence that decided.
fn why(asked: &Asked, saying: Saying<'_>, row: &Row) -> Markup {
    let (purpose, recipient) = (text(row, "/purpose"), text(row, "/recipient"));
    html! {
        td.why {
            @if purpose.is_empty() { span.soft { "no purpose" } }
            @else { a href=(asked.with("purpose", purpose).href("/log")) { (saying.purpose(purpose)) } }
            @if !recipient.is_empty() { " for " (saying.recipient(recipient)) }
            (sentence(saying, row))
        }
    }
}

/// The clause that was cited first, with its words.
fn sentence(saying: Saying<'_>, row: &Row) -> Markup {
    let (clause, notice) =
        (text(row, "/decision/cited/0/clause"), text(row, "/decision/cited/0/notice"));
    let policy = text(row, "/decision/cited/0/policy");
    html! {
        @if !clause.is_empty() {
            span.more title=[saying.quote(notice, clause)] { (clause) " of " (notice) }
            @if let Some(quote) = saying.quote(notice, clause) {
                span.quote { "“" (start(quote)) "”" }
            }
        } @else if !policy.is_empty() {
            span.more { (policy) }
        }
    }
}

/// The beginning of a sentence; the whole of it is one click away.
fn start(quote: &str) -> String {
    match quote.char_indices().nth(90) {
        Some((end, _)) => {
            let start = quote.get(..end).unwrap_or_default();
            let words = start.rsplit_once(' ').map_or(start, |(words, _)| words);
            format!("{words} …")
        }
        None => quote.to_owned(),
    }
}

fn disclosed(asked: &Asked, saying: Saying<'_>, session: &Session, row: &Row) -> Markup {
    let heard = said::heard(session);
    let requests = said::count(session.requests, "request");
    let open = session.requests.saturating_sub(session.endings.values().sum());
    html! {
        (when(row))
        (who(asked, row))
        (recording(row))
        (person(asked, saying, row))
        (why(asked, saying, row))
        td.heard {
            (heard)
            @if session.form != "metadata" {
                @let says = format!("parts that were heard: {heard}");
                @if let Some(bar) = said::bar(&session.heard, session.length, &says) { (bar) }
            }
            span.more { (said::bytes(session.bytes)) ", " (requests) }
        }
        td {
            @for ending in session.endings.keys() {
                @let (looks, says) = said::ending(ending);
                span.tag.(looks) { (says) } " "
            }
            @if open > 0 { span.tag { "under way" } }
        }
    }
}

fn refused(asked: &Asked, saying: Saying<'_>, row: &Row) -> Markup {
    html! {
        (when(row))
        (who(asked, row))
        (recording(row))
        (person(asked, saying, row))
        (why(asked, saying, row))
        td {
            span.tag.bad { (text(row, "/reason")) }
            @let detail = text(row, "/detail");
            @if !detail.is_empty() { span.more { (detail) } }
        }
    }
}

fn anything(row: &Row) -> Markup {
    html! {
        (when(row))
        td { span.tag { (text(row, "/t")) } span.more { "number " (row.seq) } }
        td { (happened(row)) }
    }
}
