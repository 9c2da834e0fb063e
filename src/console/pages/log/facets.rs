//! How often each value of a field is among what was found, as links that keep to it.

use maud::{Markup, html};

use super::super::said::{Saying, number};
use super::asked::{Asked, Show};
use crate::console::problem::Problem;
use crate::facts::Who;
use crate::ledger::{Field, Filter, Order, Query, Review};

/// LIMIT: values of a field.
const TOP: usize = 8;

/// LIMIT: entries among which people are counted: each has people of its own, so that more of them
/// would be read than a page has time for.
const PEOPLE_AMONG_MAX: u64 = 100_000;

/// LIMIT: people who are looked at; callers are among them, and left out.
const PEOPLE_LOOKED_AT: usize = 16;

/// What was counted.
#[derive(Debug)]
pub(super) struct Facets {
    each: Vec<(Field, Vec<(String, u64)>)>,
    people: Vec<Somebody>,
}

/// A person on calls, and how often.
#[derive(Debug)]
struct Somebody {
    person: u64,
    who: Option<Who>,
    count: u64,
}

impl Facets {
    pub(super) fn count(review: &mut Review, query: &Query, show: Show) -> Result<Self, Problem> {
        let fields: &[Field] = match show {
            Show::Sessions => &[
                Field::Caller,
                Field::Purpose,
                Field::Clause,
                Field::Recipient,
                Field::Form,
                Field::Ending,
            ],
            Show::Refusals => {
                &[Field::Reason, Field::Caller, Field::Purpose, Field::Clause, Field::Role]
            }
            Show::All => &[Field::Kind, Field::Caller, Field::Action, Field::Reason],
        };
        let mut each = Vec::with_capacity(fields.len());
        for field in fields {
            each.push((*field, review.index().facets(query, *field, TOP)?));
        }
        let people = match review.index().count(query)? <= PEOPLE_AMONG_MAX {
            true => people(review, query)?,
            false => Vec::new(),
        };
        Ok(Self { each, people })
    }

    /// Who a person is, if they were counted.
    pub(super) fn who(&self, person: &str) -> Option<Option<&Who>> {
        let is_them = |one: &&Somebody| one.person.to_string() == person;
        self.people.iter().find(is_them).map(|one| one.who.as_ref())
    }

    pub(super) fn show(&self, asked: &Asked, saying: Saying<'_>) -> Markup {
        html! {
            section.facets aria-label="Counts" {
                @for (field, values) in self.each.iter().filter(|(_, values)| !values.is_empty()) {
                    details open {
                        summary { (name(*field)) }
                        ul {
                            @for (value, count) in values {
                                (one(asked, field.as_str(), value, &label(*field, value, saying), *count))
                            }
                        }
                    }
                }
                @if !self.people.is_empty() {
                    details open {
                        summary { "Person on the call" }
                        ul {
                            @for somebody in self.people.iter().filter(|one| saying.is_person(one.who.as_ref())) {
                                @let person = somebody.person.to_string();
                                (one(asked, "person", &person, &saying.who(somebody.who.as_ref()), somebody.count))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn one(asked: &Asked, name: &str, value: &str, label: &str, count: u64) -> Markup {
    let is_asked = asked.values(name).any(|its| its == value);
    html! {
        li {
            @if is_asked {
                span.value { (label) }
            } @else {
                a.value href=(asked.with(name, value).href("/log")) { (label) }
            }
            span.number { (number(count)) }
        }
    }
}

/// The people on most of the calls, without lines of the organisation and callers.
fn people(review: &mut Review, query: &Query) -> Result<Vec<Somebody>, Problem> {
    let counted = review.index().facets(query, Field::Person, PEOPLE_LOOKED_AT)?;
    let mut people = Vec::new();
    for (text, count) in counted {
        let Ok(person) = text.parse::<u64>() else { continue };
        let mut query = query.clone();
        query.all.push(Filter { field: Field::Person, any: vec![text], not: false });
        let (rows, _) = review.find(&query, None, 1, Order::NewestFirst)?;
        let subjects = rows.first().map(|row| row.subjects.as_slice()).unwrap_or_default();
        let Some((_, who)) = subjects.iter().find(|(subject, _)| *subject == person) else {
            continue;
        };
        people.push(Somebody { person, who: who.clone(), count });
        if people.len() == TOP {
            break;
        }
    }
    Ok(people)
}

/// A field, as the head of a list.
pub(super) fn name(field: Field) -> &'static str {
    match field {
        Field::Kind => "Kind of entry",
        Field::Decision => "Decision",
        Field::Caller => "Who asked",
        Field::Role => "Role",
        Field::Recipient => "Recipient",
        Field::Recording => "Recording",
        Field::Call => "Call",
        Field::Account => "Account",
        Field::Person => "Person on the call",
        Field::Purpose => "Purpose",
        Field::Clause => "Sentence",
        Field::Policy => "Policies",
        Field::Notice => "Notice",
        Field::Share => "Share",
        Field::Address => "Address",
        Field::Reason => "Reason",
        Field::Ending => "Ending",
        Field::Action => "Action",
        Field::Form => "Form",
        Field::Artefact => "What was made known",
        Field::Word => "Word",
        Field::Writer => "Gate",
        Field::Key => "Key of the token",
        Field::Country => "Country",
        Field::Reviewed => "Review",
        Field::Of => "Review of",
        Field::Sample => "Sample",
    }
}

/// A value, as it reads.
pub(super) fn label(field: Field, value: &str, saying: Saying<'_>) -> String {
    match field {
        Field::Purpose => saying.purpose(value),
        Field::Recipient => saying.recipient(value),
        Field::Clause => value.replace('#', ": "),
        Field::Ending => super::super::said::ending(value).1.to_owned(),
        _ => value.to_owned(),
    }
}
