//! The form of a question: what can be chosen is what the vocabulary has.

use maud::{Markup, html};

use crate::console::pages::fields::Fields;
use crate::facts::Consent;
use crate::law::ConsentRule;
use crate::media::{Action, Artefact, Direction};
use crate::notice::{Circumstance, ConsentForm};
use crate::policy::Policies;

/// What can be chosen: ids, and how they read.
type Choices = Vec<(String, String)>;

/// The form, as it was sent.
pub(super) fn form(policies: &Policies, fields: &Fields) -> Markup {
    let vocabulary = policies.vocabulary();
    let words = |map: &std::collections::BTreeMap<String, crate::notice::Word>| -> Choices {
        map.iter().map(|(id, word)| (id.clone(), word.name.clone())).collect()
    };
    let roles = words(&vocabulary.roles);
    let purposes: Choices =
        vocabulary.purposes.iter().map(|(id, word)| (id.to_string(), word.name.clone())).collect();
    let recipients: Choices =
        vocabulary.recipients.iter().map(|(id, word)| (id.clone(), word.name.clone())).collect();
    let lines: Choices =
        vocabulary.lines.iter().map(|(id, line)| (id.clone(), line.name.clone())).collect();
    let notices: Choices = policies
        .notices()
        .all()
        .iter()
        .map(|notice| (notice.version.to_string(), notice.header.title.clone()))
        .collect();
    let circumstances = |of_request: bool| -> Choices {
        let all = Circumstance::ALL.iter().filter(|one| one.is_of_request() == of_request);
        all.map(|one| same(one.as_str())).collect()
    };
    html! {
        form.what-if action="/what-if" {
            fieldset {
                legend { "Who, what, why" }
                div.inputs {
                    (many(fields, "role", "Roles", &roles))
                    (input(fields, "person", "or a person, by their id", "text", "test|ana"))
                    (one(fields, "action", "What", &plainly(Action::ALL, |a| a.as_str()), "access"))
                    (one(fields, "purpose", "Purpose", &purposes, "none stated"))
                    (one(fields, "recipient", "Recipient of a share", &recipients, "nobody"))
                    (input(fields, "country", "Their country", "text", "GB"))
                    (input(fields, "at", "When (UTC)", "datetime-local", ""))
                }
                details open[!fields.all("stated").is_empty()] {
                    summary { "What the request states" }
                    (boxes(fields, "stated", &circumstances(true)))
                }
            }
            fieldset {
                legend { "Which recording" }
                div.inputs {
                    (input(fields, "sid", "By its SID", "text", "RE…"))
                    (input(fields, "account", "in account, if there are several", "text", "AC…"))
                }
                p.soft { "Or describe one:" }
                div.inputs {
                    (input(fields, "made", "Made at (UTC)", "datetime-local", ""))
                    (input(fields, "seconds", "Length in seconds", "number", ""))
                    (one(fields, "artefact", "Kind", &plainly(Artefact::ALL, |a| a.as_str()), "audio"))
                    (one(fields, "direction", "Direction", &plainly(Direction::ALL, |d| d.as_str()), "not known"))
                    (one(fields, "line", "Line", &lines, "not known"))
                    (one(fields, "department", "Department", &words(&vocabulary.departments), "not known"))
                    (one(fields, "call-type", "Type of call", &words(&vocabulary.call_types), "not known"))
                    (one(fields, "consent", "Weakest consent", &plainly(Consent::ALL, |c| c.as_str()), "not known"))
                    (one(fields, "consent-form", "Given by", &plainly(ConsentForm::ALL, |f| f.as_str()), "not known"))
                    (one(fields, "consent-rule", "The law demands", &plainly(ConsentRule::ALL, |r| r.as_str()), "one party (assumed)"))
                    (one(fields, "accepted", "Later notice that all accepted", &notices, "none"))
                    (input(fields, "case-closed", "Case closed at (UTC)", "datetime-local", ""))
                }
                details open[!fields.all("known").is_empty()] {
                    summary { "What else is known of it: hold, announcement, open case, …" }
                    (boxes(fields, "known", &circumstances(false)))
                    (boxes(fields, "encrypted", &vec![("yes".to_owned(), "stored encrypted".to_owned())]))
                }
                details open[!fields.all("label").is_empty() || !fields.all("objection").is_empty()] {
                    summary { "Labels and objections" }
                    p { "Labels" }
                    (boxes(fields, "label", &words(&vocabulary.labels)))
                    (boxes(fields, "no-labels", &vec![("yes".to_owned(), "known to have none".to_owned())]))
                    p { "Somebody on the call objected to" }
                    (boxes(fields, "objection", &purposes))
                }
            }
            p { button.main { "Decide" } " " a.button href="/what-if" { "Begin again" } }
        }
    }
}

/// A word that reads as it is written.
fn same(word: &str) -> (String, String) {
    (word.to_owned(), word.replace('-', " "))
}

fn plainly<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> Choices {
    all.iter().map(|one| same(word(*one))).collect()
}

fn input(fields: &Fields, name: &str, label: &str, kind: &str, example: &str) -> Markup {
    html! {
        label { (label)
            input type=(kind) name=(name) value=[fields.text(name)]
                placeholder=[Some(example).filter(|example| !example.is_empty())];
        }
    }
}

fn one(fields: &Fields, name: &str, label: &str, choices: &Choices, none: &str) -> Markup {
    let chosen = fields.text(name);
    html! {
        label { (label)
            select name=(name) {
                option value="" { (none) }
                @for (id, word) in choices {
                    option value=(id) selected[chosen.as_deref() == Some(id)] { (word) }
                }
            }
        }
    }
}

/// A list of which several can be chosen.
fn many(fields: &Fields, name: &str, label: &str, choices: &Choices) -> Markup {
    let chosen = fields.all(name);
    html! {
        label { (label)
            select name=(name) multiple size="5" {
                @for (id, word) in choices {
                    option value=(id) selected[chosen.contains(id)] { (word) }
                }
            }
        }
    }
}

fn boxes(fields: &Fields, name: &str, choices: &Choices) -> Markup {
    let chosen = fields.all(name);
    html! {
        div.boxes {
            @for (id, word) in choices {
                label { input type="checkbox" name=(name) value=(id) checked[chosen.contains(id)]; " " (word) }
            }
        }
    }
}
