//! Looking at a draft and taking its next step.

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use maud::{Markup, html};
use serde::Deserialize;

use super::super::layout::{Part, page, time};
use super::super::notice::told;
use super::findings::{counted, findings};
use super::state;
use crate::config::Activation;
use crate::console::Desk;
use crate::console::drafting::{self, Looked, looks, whose};
use crate::console::form::Form;
use crate::console::problem::Problem;
use crate::console::visitor::Visitor;
use crate::draft::{self, Draft, State as Standing};
use crate::policy::{AdminAction, Whose};

/// What a visitor may do with a draft.
struct Rights {
    write: bool,
    approve: bool,
    is_own: bool,
}

/// The page.
pub(super) async fn look(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Html<String>, Problem> {
    let _permit = looks(&desk, &visitor).await?;
    let draft = drafting::one(&desk, &id).await?;
    let whose = whose(&draft, &visitor);
    let may = |action| desk.policies().may(&visitor.caller, action, whose).is_ok();
    let rights = Rights {
        write: may(AdminAction::Author),
        approve: may(AdminAction::Approve),
        is_own: whose == Whose::Own,
    };
    let looked = drafting::look(&desk, draft).await?;
    let body = body(&desk, &visitor, &looked, &rights);
    let title = format!("Draft {}", looked.draft.id);
    Ok(page(&desk, &visitor, Some(Part::Drafts), &title, &body))
}

fn body(desk: &Desk, visitor: &Visitor, looked: &Looked, rights: &Rights) -> Markup {
    let Looked { draft, checked, changes, in_force, .. } = looked;
    let ended = draft.ended.is_some();
    let behind = !ended && !draft.is_on(in_force);
    html! {
        h1 { "Draft of notice " (draft.version) }
        p { (state(draft)) " " span.soft { "draft " code { (draft.id) } } }
        div.columns {
            (facts(draft))
            div.sheet { (steps(desk, visitor, looked, rights, behind)) }
        }
        @if behind { (taken_in(visitor, looked, rights)) }
        @if !ended {
            @match changes {
                Some(changes) => (told(changes)),
                None => {
                    h2 { "What changes" }
                    p { "This can be said when nothing is wrong with the draft." }
                }
            }
            h2 { "What a check finds" }
            (findings(checked))
        }
        h2 { "Word by word" }
        (patch_shown(&draft::patch(draft, &as_begun(looked), &checked.sources, None)))
    }
}

/// What is in force, with this version as it was when the draft was begun.
fn as_begun(looked: &Looked) -> crate::policy::PolicySources {
    let Looked { draft, in_force, .. } = looked;
    let mut sources = in_force.clone();
    match (&draft.base.text, &draft.base.meaning) {
        (Some(text), Some(meaning)) => {
            let own = sources.notices.iter_mut().find(|n| n.version == draft.version.as_str());
            if let Some(own) = own {
                if own.meaning != *meaning || own.text != *text {
                    own.clauses.clear();
                }
                own.text.clone_from(text);
                own.meaning.clone_from(meaning);
            }
        }
        _ => sources.notices.retain(|notice| notice.version != draft.version.as_str()),
    }
    sources
}

fn facts(draft: &Draft) -> Markup {
    html! {
        dl.sheet {
            dt { "Why" } dd { @if draft.reason.is_empty() { "not said yet" } @else { (draft.reason) } }
            dt { "Written by" } dd { (draft.authors.join(", ")) }
            dt { "Begun" } dd { (time(draft.begun_at)) }
            dt { "Changed" } dd { (time(draft.changed_at)) }
            dt { "Revision" } dd { (draft.revision) }
            dt { "On top of" } dd { code.once { (short(&draft.base.digest)) } }
            @if let Some(submitted) = &draft.submitted {
                dt { "Submitted" } dd { "by " (submitted.deed.by) ", " (time(submitted.deed.at)) }
                dt { "Needs" } dd { (counted(submitted.needs, "approval", "approvals")) }
                dt { "Approved" }
                dd {
                    @if draft.approvals.is_empty() { "by nobody yet" }
                    @for approval in &draft.approvals { p { "by " (approval.by) ", " (time(approval.at)) } }
                }
            }
            @if let Some(ended) = &draft.ended {
                dt { "Ended" } dd { "by " (ended.deed.by) ", " (time(ended.deed.at)) }
            }
        }
    }
}

fn short(digest: &str) -> &str {
    digest.get(..16).unwrap_or(digest)
}

/// A form with one button.
fn step(draft: &Draft, visitor: &Visitor, to: &str, label: &str, main: bool) -> Markup {
    html! {
        form.row method="post" action={ "/drafts/" (draft.id) "/" (to) } {
            (visitor.form_token())
            input type="hidden" name="seen" value=(draft.revision);
            button.main[main] { (label) }
        }
    }
}

/// What can be done next.
fn steps(desk: &Desk, visitor: &Visitor, looked: &Looked, rights: &Rights, behind: bool) -> Markup {
    let draft = &looked.draft;
    let (needs, weighty) = match &draft.submitted {
        Some(submitted) => (submitted.needs, submitted.weighty.clone()),
        None => looked.needs(),
    };
    let standing = draft.state();
    let open = draft.ended.is_none();
    html! {
        h2 { "Next" }
        @if open && !weighty.is_empty() {
            p { "This gives to somebody new or keeps for longer, so two people have to approve it:" }
            ul { @for change in &weighty { li { (change) } } }
        }
        @match standing {
            Standing::Writing if rights.write => {
                @if looked.checked.policies.is_some() && !behind {
                    form method="post" action={ "/drafts/" (draft.id) "/submit" } {
                        (visitor.form_token())
                        input type="hidden" name="seen" value=(draft.revision);
                        label { "Why it should be so"
                            textarea name="reason" required maxlength="500" { (draft.reason) } }
                        p { button.main { "Submit for " (counted(needs, "approval", "approvals")) } }
                    }
                } @else if !behind {
                    p { "It can be submitted when nothing is wrong with it." }
                }
            }
            Standing::Writing => p { "Its authors are still writing." },
            Standing::Waiting(_) if rights.is_own => {
                p { "Somebody else has to approve it: nobody approves what they wrote." }
            }
            Standing::Waiting(_) if rights.approve && !behind => {
                p { "Look at what changes and at the words below, and try it on past decisions. By \
                     approving you say that the gate may decide by it." }
                (step(draft, visitor, "approve", "Approve", true))
                (step(draft, visitor, "send-back", "Send back to its authors", false))
            }
            Standing::Waiting(_) => p { "It waits to be approved." },
            Standing::Approved if behind => {},
            Standing::Approved => @match desk.drafting.activation {
                Activation::Folder => {
                    p { "It is written into the policy folder, and the gate decides by it from then on." }
                    (step(draft, visitor, "activate", "Put it in force", true))
                }
                Activation::Patch => p { "Take the patch and apply it in the repository of the policy \
                    folder; the gate decides by it once it has loaded it." },
            },
            Standing::Activated => p { "It was put into the policy folder." },
            Standing::Withdrawn => p { "It was given up." },
        }
        p {
            @if open && rights.write { a.button href={ "/drafts/" (draft.id) "/edit" } { "Write" } " " }
            @if open && looked.checked.policies.is_some() {
                a.button href={ "/drafts/" (draft.id) "/replay" } { "Try it on past decisions" } " "
            }
            @if looked.checked.policies.is_some() {
                a.button href={ "/drafts/" (draft.id) "/patch" } download={ "draft-" (draft.id) ".patch" } { "Take the patch" }
            }
        }
        @if open && rights.write { (step(draft, visitor, "withdraw", "Give it up", false)) }
    }
}

/// What has to be taken in before the draft can go on.
fn taken_in(visitor: &Visitor, looked: &Looked, rights: &Rights) -> Markup {
    let draft = &looked.draft;
    let now = looked.in_force.notices.iter().find(|n| n.version == draft.version.as_str());
    let moved = now.map(|now| &now.text) != draft.base.text.as_ref()
        || now.map(|now| &now.meaning) != draft.base.meaning.as_ref();
    html! {
        section.note.warn aria-labelledby="behind" {
            h2 #behind { "Other policies are in force by now" }
            p { "This draft was begun on other policies than those in force, so it can be neither \
                 approved nor put in force as it is." }
            @if moved {
                p { "This version itself was changed since. Take over what you need of these changes \
                     first; what the draft says instead would undo them:" }
                @if let Some(now) = now {
                    @let before = draft.base.meaning.as_deref().unwrap_or_default();
                    (diff_shown("clauses.toml", before, &now.meaning))
                    @let before = draft.base.text.as_deref().unwrap_or_default();
                    (diff_shown("the text", before, &now.text))
                }
            } @else {
                p { "This version itself is as it was: only others have changed." }
            }
            @if rights.write { (step(draft, visitor, "rebase", "Put the draft on top of what is in force", true)) }
        }
    }
}

fn diff_shown(name: &str, before: &str, after: &str) -> Markup {
    let diff = similar::TextDiff::from_lines(before, after);
    let shown = diff.unified_diff().header(name, name).to_string();
    html! { @if before != after { (patch_shown(&shown)) } }
}

/// A patch, line by line. What is gone begins with a minus, what is new with a plus.
fn patch_shown(patch: &str) -> Markup {
    html! {
        @if patch.is_empty() { p { "The same words as when it was begun." } } @else {
            pre.patch tabindex="0" {
                @for line in patch.lines() {
                    @match line.chars().next() {
                        Some('+') => ins { (line) },
                        Some('-') => del { (line) },
                        _ => (line),
                    }
                    "\n"
                }
            }
        }
    }
}

/// The draft as a patch.
pub(super) async fn patch(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let _permit = looks(&desk, &visitor).await?;
    let draft = drafting::one(&desk, &id).await?;
    let looked = drafting::look(&desk, draft).await?;
    let named = format!("attachment; filename=\"draft-{}.patch\"", looked.draft.id);
    let text = desk.blocking(move |desk| {
        let Some(policies) = &looked.checked.policies else {
            let detail = "something is wrong with the draft, so it derives nothing";
            return Err(Problem::conflict(detail));
        };
        let tables = [&desk.policies().table(), &policies.table()];
        let sources = &looked.checked.sources;
        Ok(draft::patch(&looked.draft, &looked.in_force, sources, Some(tables)))
    });
    let text = text.await?;
    let headers =
        [(CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, named)];
    Ok((headers, text).into_response())
}

/// What a button sends.
#[derive(Deserialize)]
pub(super) struct Step {
    seen: u64,
    #[serde(default)]
    reason: String,
}

fn back(draft: &Draft) -> Redirect {
    Redirect::to(&format!("/drafts/{}", draft.id))
}

pub(super) async fn submit(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(form): Form<Step>,
) -> Result<Redirect, Problem> {
    let reason = form.reason.trim().to_owned();
    Ok(back(&drafting::submit(&desk, &visitor, &id, form.seen, reason).await?))
}

macro_rules! steps {
    ($($step:ident),+) => { $(
        pub(super) async fn $step(
            State(desk): State<Desk>,
            visitor: Visitor,
            Path(id): Path<String>,
            Form(form): Form<Step>,
        ) -> Result<Redirect, Problem> {
            Ok(back(&drafting::$step(&desk, &visitor, &id, form.seen).await?))
        }
    )+ };
}

steps!(approve, send_back, rebase, withdraw, activate);
