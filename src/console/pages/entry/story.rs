//! What was asked, by whom, what was known of it, and what was heard.

use maud::{Markup, html};
use serde_json::Value;

use super::super::layout::time;
use super::super::said::{self, Saying};
use super::Whole;

/// One thing that is known, if it is.
fn fact(name: &str, value: &str) -> Markup {
    html! { @if !value.is_empty() { dt { (name) } dd { (value) } } }
}

fn at(name: &str, value: &str) -> Markup {
    html! { @if let Ok(at) = value.parse() { dt { (name) } dd { (time(at)) " UTC" } } }
}

/// A list of words at a place of the entry.
fn list(whole: &Whole, pointer: &str) -> String {
    let words = whole.row.entry.pointer(pointer).and_then(Value::as_array);
    let words: Vec<&str> = words.into_iter().flatten().filter_map(Value::as_str).collect();
    words.join(", ")
}

fn opened<'a>(whole: &'a Whole, pointer: &str) -> &'a str {
    let opened = whole.row.opened.as_ref().and_then(|opened| opened.pointer(pointer));
    opened.and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn request(whole: &Whole, saying: Saying<'_>) -> Markup {
    let recording = whole.text("/media/recording");
    let (purpose, recipient) = (whole.text("/purpose"), whole.text("/recipient"));
    let refusal = if whole.text("/t") == "refusal" { whole.text("/reason") } else { "" };
    html! {
        section.sheet {
            h2 { "What was asked" }
            dl {
                (fact("Action", whole.text("/action")))
                @if !recording.is_empty() {
                    dt { "Recording" } dd { a.sid href=(format!("/recordings/{recording}")) { (recording) } }
                }
                (fact("Form", whole.text("/media/form")))
                (fact("Path", whole.text("/media/path")))
                (fact("Account", whole.text("/media/account")))
                @if !purpose.is_empty() {
                    dt { "Purpose" } dd { (saying.purpose(purpose)) " " span.soft { "(" (purpose) ")" } }
                }
                @if !recipient.is_empty() { dt { "Recipient" } dd { (saying.recipient(recipient)) } }
                (fact("Country", whole.text("/country")))
                (fact("Stated", &list(whole, "/circumstances")))
                (fact("Method", whole.text("/method")))
                (fact("Range", whole.text("/range")))
                @if !whole.text("/share").is_empty() {
                    dt { "Share" } dd { a href=(format!("/shares#{}", whole.text("/share"))) { (whole.text("/share")) } }
                }
                (said(whole, saying))
                (fact("Refused because", refusal))
                (fact("Detail", whole.text("/detail")))
            }
        }
    }
}

/// What the caller wrote in their own words; it lies beside the entry, sealed.
fn said(whole: &Whole, saying: Saying<'_>) -> Markup {
    let was_said = whole.row.entry.pointer("/c/said").is_some();
    html! {
        @if was_said && saying.shows {
            (fact("Reference", opened(whole, "/said/reference")))
            (fact("Reason given", opened(whole, "/said/reason")))
            @if whole.row.opened.as_ref().is_none_or(|opened| opened.get("said").is_none()) {
                dt { "Reason given" } dd.soft { "erased" }
            }
        } @else if was_said {
            dt { "Reason given" } dd.soft { "yes; you may not read it" }
        }
    }
}

pub(super) fn caller(whole: &Whole, saying: Saying<'_>) -> Markup {
    let caller = whole.row.entry.get("caller");
    html! {
        section.sheet {
            h2 { "Who asked, and how they proved it" }
            @if caller.is_none() && whole.text("/actor").is_empty() {
                p { "A stranger: nobody was proven." }
            }
            dl {
                (fact("Id", whole.text("/caller/id")))
                (fact("Done by", whole.text("/actor")))
                (fact("In whose right", whole.text("/caller/for")))
                (fact("Roles", &list(whole, "/caller/roles")))
                (fact("Issuer", whole.text("/caller/issuer")))
                (fact("Key", whole.text("/caller/key")))
                (fact("Token", whole.text("/caller/token")))
                (fact("Bound to purpose", whole.text("/caller/bound")))
                @if saying.shows {
                    (fact("Address", opened(whole, "/net/address")))
                    (fact("Program", opened(whole, "/net/agent")))
                } @else if whole.row.entry.pointer("/c/net").is_some() {
                    dt { "Address" } dd.soft { "you may not read it" }
                }
                (fact("Policies that let them", &list(whole, "/cited")))
            }
        }
    }
}

pub(super) fn people(whole: &Whole, saying: Saying<'_>) -> Markup {
    html! {
        @if !whole.row.subjects.is_empty() {
            section.sheet {
                h2 { "Who is on the call" }
                ul {
                    @for (person, who) in &whole.row.subjects {
                        li {
                            @let name = saying.who(who.as_ref());
                            @if saying.shows && saying.is_person(who.as_ref()) {
                                a href=(format!("/people/{person}")) { (name) }
                            } @else { (name) }
                            " · " a href=(format!("/log?since=&person={person}")) { "all of theirs" }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn facts(whole: &Whole) -> Markup {
    let number = |pointer: &str| {
        let number = whole.row.entry.pointer(pointer).and_then(Value::as_u64);
        number.map(|number| number.to_string()).unwrap_or_default()
    };
    let is_encrypted = whole.row.entry.pointer("/facts/encrypted") == Some(&Value::Bool(true));
    html! {
        @if whole.row.entry.get("facts").is_some() {
            section.sheet {
                h2 { "What was known" }
                p.soft {
                    "Twilio’s metadata"
                    @if let Ok(asked) = whole.text("/facts/as_of").parse() { ", as of " (time(asked)) " UTC" }
                    ", and what was stated to the gate before it decided."
                }
                dl {
                    (at("Recorded", whole.text("/facts/started_at")))
                    @if whole.row.entry.pointer("/facts/duration_seconds").is_some() {
                        dt { "Length" } dd { (number("/facts/duration_seconds")) " seconds, " (said::count(whole.row.entry.pointer("/facts/channels").and_then(Value::as_u64).unwrap_or(1), "channel")) }
                    }
                    (fact("Direction", whole.text("/facts/direction")))
                    (fact("Call", whole.text("/facts/call")))
                    (fact("Status", whole.text("/facts/status")))
                    (fact("Encrypted", if is_encrypted { "yes" } else { "" }))
                    (fact("Consent", whole.text("/facts/consent")))
                    (fact("Form of consent", whole.text("/facts/consent_form")))
                    (fact("Accepted notice", whole.text("/facts/accepted")))
                    (fact("Objections", &list(whole, "/facts/objections")))
                    (fact("What held", &list(whole, "/facts/circumstances")))
                    (at("Case closed", whole.text("/facts/case_closed_at")))
                    (fact("Law", whole.text("/facts/law/rule")))
                    (fact("Law of", whole.text("/facts/law/place")))
                    (fact("Line", whole.text("/decision/labels/line")))
                    (fact("Department", whole.text("/decision/labels/department")))
                    (fact("Call type", whole.text("/decision/labels/call_type")))
                    (fact("Labels", &list(whole, "/decision/labels/labels")))
                }
            }
        }
    }
}

/// What was handed over: by this request, and in the listening session that it is of.
pub(super) fn heard(whole: &Whole) -> Markup {
    let Some(session) = &whole.session else { return html! {} };
    let outcome = whole.row.outcome.as_ref();
    let number = |key: &str| outcome.and_then(|o| o.get(key)).and_then(Value::as_u64);
    let (first, bytes) = (number("first").unwrap_or(0), number("bytes").unwrap_or(0));
    let ending = outcome.and_then(|o| o.get("ending")).and_then(Value::as_str);
    let heard = said::heard(session);
    let own = [(first, first.saturating_add(bytes))];
    html! {
        section.sheet {
            h2 { "What was heard" }
            @if let Some(ending) = ending {
                @let (looks, says) = said::ending(ending);
                p {
                    "By this request: " (said::bytes(bytes))
                    @if let Some(length) = session.length { " of " (said::bytes(length)) }
                    ", from byte " (said::number(first)) ". "
                    span.tag.(looks) { (says) }
                }
                @if bytes > 0 && let Some(bar) = said::bar(&own, session.length, "the part that this request handed over") { (bar) }
            } @else {
                p { "It is under way, or its end is not known yet." }
            }
            p {
                "In the whole listening session: " (said::count(session.requests, "request"))
                ", " (said::bytes(session.bytes)) ", " (heard) ", from " (time(session.started)) " to " (time(session.ended)) " UTC."
            }
            @if let Some(bar) = said::bar(&session.heard, session.length, &format!("the parts that the session handed over: {heard}")) { (bar) }
        }
    }
}
