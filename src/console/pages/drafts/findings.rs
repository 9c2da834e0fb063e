//! What a check found of a draft: what is wrong and where, how much is covered, what each sentence
//! says, and the Cedar that comes of it.

use maud::{Markup, html};

use super::super::notice::{Marked, coverage_summary, said};
use crate::draft::{Checked, FileCheck};
use crate::notice::{Coverage, Problem};

/// LIMIT: problems that are shown. Whoever has more mends the first ones first.
const PROBLEMS_MAX: usize = 50;

/// Everything that was found.
pub(super) fn findings(checked: &Checked) -> Markup {
    let errors = checked.errors().count();
    let problems = &checked.problems;
    html! {
        @if problems.is_empty() {
            p.note.good { "Nothing is wrong: the gate would take these policies." }
        } @else {
            p.note.bad { (counted(errors, "thing is", "things are")) " wrong." }
            ol.problems {
                @for problem in problems.iter().take(PROBLEMS_MAX) { (told(checked, problem)) }
            }
            @if problems.len() > PROBLEMS_MAX {
                p { "and " (problems.len() - PROBLEMS_MAX) " more" }
            }
        }
        @if let Some(notice) = checked.notice() {
            @let coverage = Coverage::of(notice, checked.read.vocabulary());
            (coverage_summary(&coverage))
            details {
                summary { "What each sentence says" }
                (said(&Marked::new(notice, &coverage, checked.read.vocabulary(), None)))
            }
        }
        @if !checked.derived().is_empty() {
            details {
                summary { "The Cedar that comes of it" }
                pre tabindex="0" { (checked.derived()) }
            }
        }
    }
}

/// `1 thing is`, `2 things are`.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn told(checked: &Checked, problem: &Problem) -> Markup {
    let (field, file) = match checked.file_of(problem) {
        FileCheck::Text => (Some("text"), "the text"),
        FileCheck::Meaning => (Some("meaning"), "the clauses"),
        FileCheck::Other => (None, problem.file.as_str()),
    };
    html! {
        li {
            @let class = if problem.warning { "warn" } else { "bad" };
            span class={ "tag " (class) } { @if problem.warning { "warning" } @else { "error" } } " "
            @match (field, problem.line) {
                (Some(field), Some(line)) => a href={ "#" (field) } data-field=(field) data-line=(line) {
                    (file) ", line " (line)
                },
                (Some(field), None) => a href={ "#" (field) } { (file) },
                (None, Some(line)) => { (file) ", line " (line) },
                (None, None) => (file),
            }
            ": " (problem.message)
            @if !problem.notes.is_empty() {
                dl { @for note in &problem.notes { dt { (note.label) } dd { (note.text) } } }
            }
            @if let Some(help) = &problem.help { p.soft { "What to do: " (help) } }
        }
    }
}
