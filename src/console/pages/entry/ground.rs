//! The sentence in its notice and the policies that decided, and what they would decide today.

use std::sync::Arc;

use maud::{Markup, html};
use serde_json::Value;

use super::super::said::Saying;
use crate::console::Desk;
use crate::console::problem::Problem;
use crate::ledger::{Review, Row, recall};
use crate::notice::{Notice, Plain};
use crate::policy::{Explained, Policies, Question};

/// LIMIT: bytes of a notice that are shown on each side of a sentence.
const AROUND: usize = 500;

/// On what a decision stood.
#[derive(Debug)]
pub(super) struct Ground {
    digest: String,
    /// The policies of that time; `None` if the ledger has not kept them.
    policies: Option<Arc<Policies>>,
    cited: Vec<Cited>,
    again: Option<Again>,
}

/// A policy that decided.
#[derive(Debug)]
struct Cited {
    policy: String,
    clause: String,
    notice: String,
}

/// The decision, made again.
#[derive(Debug)]
struct Again {
    permitted: bool,
    /// Whether the policies of that time give the same answer; `None` if they are not there.
    agrees: Option<bool>,
    /// What the policies of today say of it today.
    today: Explained,
}

impl Ground {
    /// `None` of an entry that is no decision.
    pub(super) fn of(desk: &Desk, review: &mut Review, row: &Row) -> Result<Option<Self>, Problem> {
        let text = |value: &Value, pointer: &str| {
            value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        if row.entry.get("decision").is_none() {
            return Ok(None);
        }
        let digest = text(&row.entry, "/decision/policies");
        let policies = desk.policies_of(review, &digest)?;
        let cited = row.entry.pointer("/decision/cited").and_then(Value::as_array);
        let cited = cited.into_iter().flatten().map(|cited| Cited {
            policy: text(cited, "/policy"),
            clause: text(cited, "/clause"),
            notice: text(cited, "/notice"),
        });
        let cited = cited.collect();
        let again = recall(&row.bytes).ok().map(|recalled| {
            let agrees = policies.as_ref().map(|policies| {
                let (decision, answer) = policies.judge(&recalled.question);
                recalled.agrees(&decision, &answer)
            });
            let permitted = recalled.permitted;
            let question = Question { now: desk.gate.clock.now(), ..recalled.question };
            Again { permitted, agrees, today: desk.policies().explain(question) }
        });
        Ok(Some(Self { digest, policies, cited, again }))
    }

    pub(super) fn show(&self, saying: Saying<'_>) -> Markup {
        html! {
            section.sheet {
                h2 { "Why it was decided so" }
                @if self.cited.is_empty() {
                    p { "No policy permitted it: what no sentence of the notice permits is refused." }
                }
                @for cited in &self.cited { (self.one(cited)) }
                @if self.policies.is_none() {
                    p.note.warn { "The ledger has not kept the policies of that time, so their words cannot be shown." }
                }
                p.soft { "Policies " code { (self.digest) } }
            }
            (self.today(saying))
        }
    }

    fn one(&self, cited: &Cited) -> Markup {
        let policies = self.policies.as_deref();
        let notice = policies.and_then(|p| p.notices().version(&cited.notice.parse().ok()?));
        let clause = notice.and_then(|notice| notice.clauses.iter().find(|c| c.id == cited.clause));
        let cedar = policies.and_then(|policies| policies.sources().policy(&cited.policy));
        html! {
            @if let (Some(notice), Some(clause), Some(policies)) = (notice, clause, policies) {
                h3 { "“" (notice.header.title) "”, version " (cited.notice) ", clause " (cited.clause) }
                (in_context(notice, &clause.quote))
                p { (Plain(policies.vocabulary()).clause(clause)) }
            } @else if !cited.clause.is_empty() {
                h3 { "Notice " (cited.notice) ", clause " (cited.clause) }
            } @else {
                h3 { "Guardrail " (cited.policy) ", which no notice can lift" }
            }
            @if let Some(cedar) = cedar {
                details { summary { "The policy in Cedar" } pre tabindex="0" { code { (cedar) } } }
            }
        }
    }

    fn today(&self, saying: Saying<'_>) -> Markup {
        let Some(again) = &self.again else {
            return html! {
                section.sheet {
                    h2 { "What would happen today" }
                    p { "It was refused before there was anything to decide on, so it cannot be decided again." }
                }
            };
        };
        let (looks, says) = match again.today.permitted {
            true => ("good", "permitted"),
            false => ("bad", "refused"),
        };
        html! {
            section.sheet {
                h2 { "What would happen today" }
                p {
                    "The same request, with what was known of it then, would now be "
                    span.tag.(looks) { (says) }
                    @if again.today.permitted == again.permitted { ", as it was: " } @else { "; then it was not so: " }
                    (again.today.sentence)
                }
                @if let Some((citation, missing)) = &again.today.nearest {
                    p { "Nearest to permitting it is " code { (citation.policy) } "." }
                    ul { @for one in missing { li { (one) } } }
                }
                @match again.agrees {
                    Some(true) => p.soft { "Decided again by the policies of that time, the answer is the same as then." },
                    Some(false) => p.note.bad { "Decided again by the policies of that time, the answer is NOT the same as then. Run noticegate ledger verify, and ask why." },
                    None => p.soft { "The policies of that time are not there to decide it again." },
                }
                @if self.digest != saying.policies.digest().as_str() {
                    p.soft { "Since then the policies have changed: now " code { (saying.policies.digest().as_str()) } "." }
                }
            }
        }
    }
}

/// A sentence in the text around it.
fn in_context(notice: &Notice, quote: &str) -> Markup {
    let text = &notice.text;
    let Ok(range) = text.find(quote) else { return html! { blockquote { (quote) } } };
    let whole = text.as_str();
    let from = whole.floor_char_boundary(range.start.saturating_sub(AROUND));
    let to = whole.ceil_char_boundary(range.end.saturating_add(AROUND).min(whole.len()));
    // From the beginning of a sentence to the end of one, where there is one so near.
    let starts = text.sentences().iter().map(|sentence| sentence.range.start);
    let from = starts.filter(|at| (from..range.start).contains(at)).min().unwrap_or(range.start);
    let ends = text.sentences().iter().map(|sentence| sentence.range.end);
    let to = ends.filter(|at| (range.end..=to).contains(at)).max().unwrap_or(range.end);
    html! {
        blockquote {
            @if from > 0 { "… " }
            (text.get(from..range.start))
            mark { (text.get(range.clone())) }
            (text.get(range.end..to))
            @if to < whole.len() { " …" }
        }
    }
}
