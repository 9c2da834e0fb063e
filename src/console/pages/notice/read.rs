//! One version of the notice: its text as published, and beside each sentence what it is, what it
//! says, its Cedar, and how often it decided.

use axum::extract::{Path, State};
use axum::response::Html;
use maud::{Markup, html};

use super::counts::{Counts, DAYS};
use super::{by_id, compare, coverage_summary, kind, plain, standing, tag};
use crate::console::Desk;
use crate::console::pages::layout::{Part, page, time};
use crate::console::problem::Problem;
use crate::console::visitor::{About, Visitor};
use crate::notice::{Coverage, Covered, Notice, NoticeText, Vocabulary};
use crate::policy::{AdminAction, NoticeSource, Whose};

/// A notice with everything that can be said beside it.
pub(in crate::console::pages) struct Marked<'a> {
    /// The notice.
    pub(in crate::console::pages) notice: &'a Notice,
    /// What its sentences are.
    pub(in crate::console::pages) coverage: &'a Coverage,
    /// The words in which clauses are said.
    pub(in crate::console::pages) vocabulary: &'a Vocabulary,
    /// Its texts, the derived file among them.
    pub(in crate::console::pages) source: Option<&'a NoticeSource>,
    /// How often its clauses decided.
    counts: Option<&'a Counts>,
}

impl<'a> Marked<'a> {
    /// One that decided nothing yet.
    pub(in crate::console::pages) fn new(
        notice: &'a Notice,
        coverage: &'a Coverage,
        vocabulary: &'a Vocabulary,
        source: Option<&'a NoticeSource>,
    ) -> Self {
        Self { notice, coverage, vocabulary, source, counts: None }
    }
}

/// The page.
pub(super) async fn read(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(version): Path<String>,
) -> Result<Html<String>, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadRegister, Whose::Others).await?;
    let policies = desk.policies();
    let all = policies.notices().all().iter();
    let notice = all.clone().find(|notice| notice.version.as_str() == version);
    let notice = notice.ok_or_else(Problem::not_found)?;
    let now = desk.gate.clock.now();
    // Without the index the notice can still be read; without a record of the look it cannot.
    let counts = desk.review(move |_, review| Ok(Counts::of(review, now)?)).await.ok();
    let about = About { detail: notice.version.to_string(), ..About::default() };
    visitor.sees(&desk, &permit, &about).await?;
    let coverage = Coverage::of(notice, policies.vocabulary());
    let sources = policies.sources().notices.iter();
    let source = sources.clone().find(|source| source.version == version);
    let marked = Marked {
        notice,
        coverage: &coverage,
        vocabulary: policies.vocabulary(),
        source,
        counts: counts.as_ref(),
    };
    let before = all.clone().rev().find(|one| one.header.effective < notice.header.effective);
    let body = html! {
        h1 { "Notice " (notice.version) }
        p { (notice.header.title) " " (standing(policies.notices(), notice, now)) }
        div.columns {
            dl.sheet {
                dt { "In force from" } dd { (time(notice.header.effective)) }
                @if let Some(day) = notice.header.announced { dt { "Announced" } dd { (day) } }
                dt { "Published at" } dd { (notice.header.published) }
                dt { "Clauses" } dd { (notice.clauses.len()) }
                @if let Some(before) = before {
                    dt { "Before it" }
                    dd { a href={ "/notices/" (before.version) "/compare/" (notice.version) } {
                        "what changed since " (before.version)
                    } }
                }
            }
            div.sheet { (coverage_summary(&coverage)) }
        }
        @if counts.is_none() {
            p.note.warn { "How often each sentence decided cannot be told at the moment." }
        }
        h2 { "The text, and what each sentence does" }
        p.soft { "On the left the words as they were published. On the right what the gate makes of \
            them, and how often that allowed and refused in the last " (DAYS) " days." }
        (said(&marked))
        @if policies.notices().all().len() > 1 {
            h2 { "Compare with another version" }
            (compare::form(
                policies.notices(),
                before.map_or(&notice.version, |before| &before.version),
                &notice.version,
            ))
        }
    };
    let title = format!("Notice {}", notice.version);
    Ok(page(&desk, &visitor, Some(Part::Notices), &title, &body))
}

/// The text with what each sentence does beside it.
pub(in crate::console::pages) fn said(marked: &Marked<'_>) -> Markup {
    let text = &marked.notice.text;
    let sentences = &marked.coverage.sentences;
    html! {
        div.notice {
            @for block in text.blocks() {
                @let from = sentences.partition_point(|one| one.sentence.range.start < block.start);
                @let to = sentences.partition_point(|one| one.sentence.range.start < block.end);
                @match sentences.get(from..to).unwrap_or_default() {
                    [] => h3 { (text.get(block.clone())) },
                    within => div.block { @for one in within { (sentence(marked, one)) } },
                }
            }
        }
    }
}

fn sentence(marked: &Marked<'_>, covered: &Covered) -> Markup {
    let Marked { notice, vocabulary, source, counts, .. } = marked;
    let clauses = by_id(notice);
    // Of one that is quoted twice in a sentence, once.
    let mut ids: Vec<&str> = covered.clauses.iter().map(String::as_str).collect();
    ids.dedup();
    html! {
        div class={ "sentence " (kind(covered.class)) } {
            p.words { (words(&notice.text, covered)) }
            div.means {
                p.what { (tag(covered.class)) " " span.soft { "line " (covered.sentence.line) } }
                @if covered.rest.is_some() {
                    p { "The marked words are in no clause: write one that quotes them, or an aside \
                        that says why they promise nothing." }
                }
                @for id in &ids {
                    @if let Some(clause) = clauses.get(id) {
                        p.plain { (plain(vocabulary, clause)) }
                        @if let Some(counts) = counts {
                            @let (allowed, refused) = counts.clause(notice.version.as_str(), id);
                            p.counts { code { (id) } " " (times(allowed, refused)) }
                        } @else {
                            p.counts { code { (id) } }
                        }
                        @let cedar = source.map(|source| source.cedar_of(id)).unwrap_or_default();
                        @if !cedar.is_empty() {
                            details { summary { "Cedar of " (id) } pre tabindex="0" { (cedar) } }
                        }
                    }
                }
            }
        }
    }
}

/// How often a clause decided.
fn times(allowed: u64, refused: u64) -> Markup {
    html! {
        @if allowed == 0 && refused == 0 { span.soft { "decided nothing" } }
        @if allowed > 0 { span.tag.good { "allowed " (allowed) } " " }
        @if refused > 0 { span.tag.bad { "refused " (refused) } }
    }
}

/// A sentence; of an uncovered one, what no clause quotes is marked.
fn words(text: &NoticeText, covered: &Covered) -> Markup {
    let range = covered.sentence.range.clone();
    match &covered.rest {
        None => html! { (text.get(range)) },
        Some(rest) => html! {
            (text.get(range.start..rest.start)) mark { (text.get(rest.clone())) } (text.get(rest.end..range.end))
        },
    }
}
