//! The filters: those that hold, each with a way to drop it, and a form for others.

use maud::{Markup, html};

use super::super::said::Saying;
use super::asked::{Asked, Show};
use super::facets::{self, Facets};
use crate::ledger::Field;

/// The fields that the form has an input for; others stay as they are.
const INPUTS: [(&str, &str, &str); 8] = [
    ("caller", "Who asked", "issuer|id"),
    ("recording", "Recording", "RE…"),
    ("call", "Call", "CA…"),
    ("role", "Role", ""),
    ("clause", "Sentence", "2026-03-01#quality"),
    ("recipient", "Recipient", ""),
    ("share", "Share", ""),
    ("reason", "Reason", "forbidden"),
];

/// The filters that hold.
pub(super) fn chips(asked: &Asked, saying: Saying<'_>, facets: &Facets) -> Markup {
    let parts: Vec<(&str, &str)> = asked.parts().collect();
    html! {
        @if !parts.is_empty() {
            ul.chips aria-label="Filters that hold" {
                @for (name, value) in parts {
                    li {
                        span { (chip(name, value, saying, facets)) }
                        a href=(asked.without(name, value).href("/log")) aria-label=(format!("Drop the filter {name}")) { "×" }
                    }
                }
            }
        }
    }
}

fn chip(name: &str, value: &str, saying: Saying<'_>, facets: &Facets) -> String {
    match (name, name.parse::<Field>()) {
        ("since", _) => format!("since {}", ago(value)),
        ("until", _) => format!("before {}", ago(value)),
        ("not", _) => format!("not {}", value.replacen('=', " ", 1)),
        ("words", _) => format!("words: {value}"),
        (_, Ok(Field::Person)) => match facets.who(value) {
            Some(who) => format!("Person: {}", saying.who(who)),
            None => format!("Person {value}"),
        },
        (_, Ok(field)) => {
            format!("{}: {}", facets::name(field), facets::label(field, value, saying))
        }
        (name, Err(_)) => format!("{name}: {value}"),
    }
}

fn ago(value: &str) -> String {
    match value.split_at_checked(value.len().saturating_sub(1)) {
        Some((number, "d")) => format!("{number} days ago"),
        Some((number, "h")) => format!("{number} hours ago"),
        Some((number, "m")) => format!("{number} minutes ago"),
        _ => value.to_owned(),
    }
}

/// A form of the common filters.
pub(super) fn form(asked: &Asked, saying: Saying<'_>) -> Markup {
    let purposes = || saying.policies.vocabulary().purposes.iter();
    let shown = |name: &str| {
        let words = name == "words" && saying.shows;
        words
            || matches!(name, "since" | "until" | "purpose")
            || INPUTS.iter().any(|input| input.0 == name)
    };
    // One input holds one value: other values of its field are kept as they are.
    let mut seen: Vec<&str> = Vec::new();
    let kept = asked.parts().filter(|(name, _)| {
        let is_first = !seen.contains(name);
        seen.push(name);
        !(is_first && shown(name))
    });
    let kept: Vec<(&str, &str)> = kept.collect();
    html! {
        details.filters {
            summary { "Filter" }
            form.row method="get" action="/log" {
                @if asked.show != Show::Sessions {
                    input type="hidden" name="show" value=(asked.show.as_str());
                }
                @for (name, value) in &kept {
                    input type="hidden" name=(name) value=(value);
                }
                label { "Since" input name="since" value=(asked.value("since")) placeholder="30d or 2026-11-03" autocomplete="off"; }
                label { "Before" input name="until" value=(asked.value("until")) placeholder="2026-11-04" autocomplete="off"; }
                label {
                    "Purpose"
                    select name="purpose" {
                        option value="" { "any" }
                        @for (id, word) in purposes() {
                            option value=(id) selected[asked.value("purpose") == id.as_str()] { (word.name) }
                        }
                    }
                }
                @for (name, says, example) in INPUTS {
                    label { (says) input name=(name) value=(asked.value(name)) placeholder=(example) autocomplete="off"; }
                }
                @if saying.shows {
                    label { "Words" input name="words" value=(asked.value("words")) placeholder="CASE-1234 compl*" autocomplete="off"; }
                }
                button.main { "Find" }
                a href="/log" { "Clear" }
            }
        }
    }
}
