//! The notice, for who answers for it: what each sentence is, says and does (`read.rs`), and what
//! changes from one version to another (`compare.rs`).

mod compare;
mod counts;
mod read;

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::routing::get;
use jiff::Timestamp;
use maud::{Markup, html};

use super::layout::{self, Part, page, time};
use crate::console::Desk;
use crate::console::problem::Problem;
use crate::console::visitor::Visitor;
use crate::notice::{Class, Clause, Coverage, Notice, Notices, Vocabulary};
use crate::policy::{AdminAction, Whose};

pub(super) use compare::told;
pub(super) use counts::{DAYS, since};
pub(super) use read::{Marked, said};

/// Where the pages are.
pub(super) fn router() -> Router<Desk> {
    Router::new()
        .route("/notices", get(list))
        .route("/notices/compare", get(compare::chosen))
        .route("/notices/{version}", get(read::read))
        .route("/notices/{version}/compare/{other}", get(compare::named))
}

/// What a class is called and drawn as, from the gravest on. The word is beside the mark always: no
/// colour alone.
pub(super) const CLASSES: [(Class, &str, &str); 6] = [
    (Class::Uncovered, "uncovered", "!"),
    (Class::Undecided, "undecided", "?"),
    (Class::Rule, "rule", "§"),
    (Class::Information, "information", "i"),
    (Class::Aside, "aside", "–"),
    (Class::NotAboutRecordings, "not about recordings", "·"),
];

/// The word and mark of a class.
pub(super) fn tag(class: Class) -> Markup {
    let (_, word, mark) =
        CLASSES.into_iter().find(|(one, ..)| *one == class).unwrap_or((class, class.as_str(), "·"));
    html! { span class={ "class " (kind(class)) } { span.mark aria-hidden="true" { (mark) } " " (word) } }
}

/// The class of a class in the style.
pub(super) fn kind(class: Class) -> &'static str {
    match class {
        Class::Uncovered => "is-uncovered",
        Class::Undecided => "is-undecided",
        Class::Rule => "is-rule",
        Class::Information => "is-information",
        Class::Aside => "is-aside",
        Class::NotAboutRecordings => "is-other",
    }
}

/// The clauses of a notice by their ids.
pub(super) fn by_id(notice: &Notice) -> BTreeMap<&str, &Clause> {
    notice.clauses.iter().map(|clause| (clause.id.as_str(), clause)).collect()
}

/// How much of a notice is covered: a figure, a bar and how many sentences are what.
pub(super) fn coverage_summary(coverage: &Coverage) -> Markup {
    let percent = coverage.percent();
    html! {
        div.coverage {
            p.figure { strong { (percent) " %" } " of what it says about recordings is covered" }
            svg.meter viewBox="0 0 100 6" preserveAspectRatio="none" role="img"
                aria-label={ (percent) " percent covered" } {
                rect width="100" height="6" {}
                rect.part width=(percent) height="6" {}
            }
            ul.classes {
                @for (class, ..) in CLASSES {
                    @let count = coverage.count(class);
                    @if count > 0 { li { (count) " " (tag(class)) } }
                }
            }
        }
    }
}

/// Where a version stands in time.
fn standing(notices: &Notices, notice: &Notice, now: Timestamp) -> Markup {
    let effective = notice.header.effective;
    let later = notices
        .all()
        .iter()
        .find(|other| other.header.effective > effective && other.header.effective <= now);
    match (effective <= now, later) {
        (false, _) => html! { span.tag.warn { "not yet in force" } },
        (true, None) => html! { span.tag.good { "in force" } },
        (true, Some(later)) => html! {
            span.tag { "for recordings before " (layout::day(later.header.effective)) }
        },
    }
}

/// All versions, the newest first.
async fn list(State(desk): State<Desk>, visitor: Visitor) -> Result<Html<String>, Problem> {
    let _permit = visitor.may(&desk, AdminAction::ReadRegister, Whose::Others).await?;
    let policies = desk.policies();
    let (notices, now) = (policies.notices(), desk.gate.clock.now());
    let body = html! {
        h1 { "The notice" }
        p { "Each version as it was published, with what every sentence of it does. The version in \
             force when a recording was made governs it; a later one can only take away." }
        div.scroll tabindex="0" {
            table {
                caption { "Versions" }
                thead { tr {
                    th scope="col" { "Version" }
                    th scope="col" { "Title" }
                    th scope="col" { "In force from" }
                    th scope="col" { "Covered" }
                    th scope="col" { "Sentences" }
                    th scope="col" { "Now" }
                } }
                tbody {
                    @for notice in notices.all().iter().rev() {
                        @let coverage = Coverage::of(notice, policies.vocabulary());
                        tr {
                            th scope="row" { a href={ "/notices/" (notice.version) } { (notice.version) } }
                            td { (notice.header.title) }
                            td { (time(notice.header.effective)) }
                            td.number { (coverage.percent()) " %" }
                            td { (sentences(&coverage)) }
                            td { (standing(notices, notice, now)) }
                        }
                    }
                }
            }
        }
        @if let [.., before, latest] = notices.all() {
            h2 { "Compare two versions" }
            (compare::form(notices, &before.version, &latest.version))
        }
    };
    Ok(page(&desk, &visitor, Some(Part::Notices), "The notice", &body))
}

fn sentences(coverage: &Coverage) -> String {
    let counts = CLASSES.into_iter().filter_map(|(class, word, _)| {
        let count = coverage.count(class);
        (count > 0).then(|| format!("{count} {word}"))
    });
    counts.collect::<Vec<_>>().join(", ")
}

/// A clause in plain words.
pub(super) fn plain(vocabulary: &Vocabulary, clause: &Clause) -> String {
    crate::notice::Plain(vocabulary).clause(clause)
}
