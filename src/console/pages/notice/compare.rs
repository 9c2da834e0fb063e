//! Two versions side by side: what changes for people, in words; which clauses mean something else;
//! and the texts themselves, sentence by sentence.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::Html;
use maud::{Markup, html};
use similar::{Algorithm, ChangeTag, DiffOp, TextDiff, capture_diff_slices};

use super::{by_id, plain};
use crate::console::Desk;
use crate::console::pages::fields::Fields;
use crate::console::pages::layout::{Part, page, time};
use crate::console::problem::Problem;
use crate::console::visitor::Visitor;
use crate::notice::{Notice, NoticeVersion, Notices, Vocabulary};
use crate::policy::{AdminAction, CompareError, Section, Whose, compare_notices};

/// The page, for the two that the form chose.
pub(super) async fn chosen(
    State(desk): State<Desk>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Html<String>, Problem> {
    let fields = Fields::of(query.as_deref());
    let (old, new) = (fields.text("from"), fields.text("to"));
    show(desk, visitor, old.unwrap_or_default(), new.unwrap_or_default()).await
}

/// The page, for the two in its address.
pub(super) async fn named(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path((old, new)): Path<(String, String)>,
) -> Result<Html<String>, Problem> {
    show(desk, visitor, old, new).await
}

async fn show(
    desk: Desk,
    visitor: Visitor,
    old: String,
    new: String,
) -> Result<Html<String>, Problem> {
    let _permit = visitor.may(&desk, AdminAction::ReadRegister, Whose::Others).await?;
    let policies = desk.policies();
    let named = |name: &str| {
        let found = policies.notices().all().iter().find(|one| one.version.as_str() == name);
        found.ok_or_else(Problem::not_found)
    };
    let (before, after) = (named(&old)?, named(&new)?);
    let sections = sections(&desk, old, new).await?;
    let vocabulary = policies.vocabulary();
    let body = html! {
        h1 { "From notice " (before.version) " to " (after.version) }
        (form(policies.notices(), &before.version, &after.version))
        @match sections.as_deref() {
            Some(sections) => (told(sections)),
            None => p.note.warn { "One of these versions cannot stand alone beside the vocabulary and \
                the guardrails of today, so what changes for people cannot be decided. The texts are below." },
        }
        (clauses(vocabulary, before, after))
        (texts(before, after))
    };
    let title = format!("From notice {} to {}", before.version, after.version);
    Ok(page(&desk, &visitor, Some(Part::Notices), &title, &body))
}

/// What changes, decided on both sides once for each pair; `None` if it cannot be decided.
async fn sections(
    desk: &Desk,
    old: String,
    new: String,
) -> Result<Option<Arc<Vec<Section>>>, Problem> {
    desk.blocking(move |desk| {
        let policies = desk.policies();
        let key = (policies.digest().to_string(), old, new);
        if let Some(known) = desk.compared.get(&key) {
            return Ok(Some(known));
        }
        match compare_notices(policies.sources(), &key.1, &key.2) {
            Ok(sections) => {
                let sections = Arc::new(sections);
                desk.compared.insert(key, Arc::clone(&sections));
                Ok(Some(sections))
            }
            Err(CompareError::NoSuchNotice { .. }) => Err(Problem::not_found()),
            Err(CompareError::Load(error)) => {
                tracing::warn!(%error, "two versions cannot be compared");
                Ok(None)
            }
        }
    })
    .await
}

/// The form that chooses two.
pub(super) fn form(notices: &Notices, old: &NoticeVersion, new: &NoticeVersion) -> Markup {
    let choose = |name: &str, label: &str, chosen: &NoticeVersion| {
        html! {
            label { (label)
                select name=(name) {
                    @for notice in notices.all() {
                        option selected[notice.version == *chosen] { (notice.version) }
                    }
                }
            }
        }
    };
    html! {
        form.row action="/notices/compare" {
            (choose("from", "From", old))
            (choose("to", "To", new))
            button { "Compare" }
        }
    }
}

/// What changes for people, in words.
pub(in crate::console::pages) fn told(sections: &[Section]) -> Markup {
    html! {
        @for section in sections {
            h2 { (section.title) }
            @if section.changes.is_empty() { p { "Nothing changes for anybody." } }
            @for (loses, word, class) in [(true, "Lost", "bad"), (false, "Gained", "good")] {
                @let some = section.changes.iter().filter(|change| change.loses == loses);
                @if some.clone().next().is_some() {
                    ul.changes {
                        @for change in some {
                            li { span class={ "tag " (class) } { (word) } " " (change.sentence) }
                        }
                    }
                }
            }
        }
    }
}

/// The clauses that are new, gone, or mean something else.
fn clauses(vocabulary: &Vocabulary, before: &Notice, after: &Notice) -> Markup {
    let (old, new) = (by_id(before), by_id(after));
    let ids: std::collections::BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let rows = ids.into_iter().filter_map(|id| {
        let say = |clause: Option<&&crate::notice::Clause>| {
            clause.map(|clause| plain(vocabulary, clause))
        };
        let (was, is) = (say(old.get(id)), say(new.get(id)));
        (was != is).then_some((id, was, is))
    });
    let rows: Vec<_> = rows.collect();
    html! {
        h2 { "Clauses that mean something else" }
        @if rows.is_empty() { p { "None." } } @else {
            div.scroll tabindex="0" {
                table.side {
                    caption { "In plain words" }
                    thead { tr {
                        th scope="col" { "Clause" }
                        th scope="col" { (before.version) }
                        th scope="col" { (after.version) }
                    } }
                    tbody {
                        @for (id, was, is) in rows {
                            tr {
                                th scope="row" { code { (id) } }
                                @match was { Some(was) => td { (was) }, None => td.soft { "not there" } }
                                @match is { Some(is) => td { (is) }, None => td.soft { "not there" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Sentences and titles, in order.
fn parts(notice: &Notice) -> Vec<&str> {
    let text = &notice.text;
    let sentences = text.sentences();
    let mut parts = Vec::new();
    for block in text.blocks() {
        let from = sentences.partition_point(|one| one.range.start < block.start);
        let to = sentences.partition_point(|one| one.range.start < block.end);
        match sentences.get(from..to).unwrap_or_default() {
            [] => parts.push(text.get(block.clone())),
            some => parts.extend(some.iter().map(|one| text.get(one.range.clone()))),
        }
    }
    parts
}

/// The two texts side by side.
fn texts(before: &Notice, after: &Notice) -> Markup {
    let (old, new) = (parts(before), parts(after));
    let ops = capture_diff_slices(Algorithm::Myers, &old, &new);
    html! {
        h2 { "The texts side by side" }
        div.scroll tabindex="0" {
            table.side {
                caption { "Words that are gone are struck out; words that are new are underlined." }
                thead { tr {
                    th scope="col" { (before.version) " · " (time(before.header.effective)) }
                    th scope="col" { (after.version) " · " (time(after.header.effective)) }
                } }
                tbody { @for op in ops { (rows(&op, &old, &new)) } }
            }
        }
    }
}

fn rows(op: &DiffOp, old: &[&str], new: &[&str]) -> Markup {
    let of = |all: &[&str], range: std::ops::Range<usize>| -> Vec<String> {
        all.get(range).unwrap_or_default().iter().map(|part| (*part).to_owned()).collect()
    };
    let (was, is) = (of(old, op.old_range()), of(new, op.new_range()));
    html! {
        @match op {
            DiffOp::Equal { .. } => {
                @for part in &was { tr.same { td { (part) } td { (part) } } }
            }
            DiffOp::Delete { .. } => { @for part in &was { tr { td { del { (part) } } td {} } } }
            DiffOp::Insert { .. } => { @for part in &is { tr { td {} td { ins { (part) } } } } }
            DiffOp::Replace { .. } => {
                @for at in 0..was.len().max(is.len()) {
                    @match (was.get(at), is.get(at)) {
                        (Some(was), Some(is)) => (reworded(was, is)),
                        (was, is) => tr {
                            td { @if let Some(was) = was { del { (was) } } }
                            td { @if let Some(is) = is { ins { (is) } } }
                        },
                    }
                }
            }
        }
    }
}

/// One sentence in the place of another, with the words that differ.
fn reworded(was: &str, is: &str) -> Markup {
    let diff = TextDiff::from_words(was, is);
    let changes: Vec<_> =
        diff.iter_all_changes().map(|c| (c.tag(), c.value().to_owned())).collect();
    html! {
        tr {
            td { @for (tag, word) in &changes {
                @match tag {
                    ChangeTag::Delete => del { (word) },
                    ChangeTag::Equal => (word),
                    ChangeTag::Insert => "",
                }
            } }
            td { @for (tag, word) in &changes {
                @match tag {
                    ChangeTag::Insert => ins { (word) },
                    ChangeTag::Equal => (word),
                    ChangeTag::Delete => "",
                }
            } }
        }
    }
}
