//! The shares: those that give something now, those that soon give nothing, those that ended; and the
//! way to take one back.

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;

use super::super::Desk;
use super::super::api::Query;
use super::super::form::Form;
use super::super::problem::Problem;
use super::super::visitor::{About, Visitor};
use super::layout::{Part, page, time};
use super::said::{Saying, count};
use crate::ledger::ShareKey;
use crate::policy::{AdminAction, Policies, Whose};
use crate::share::{EndReason, Share};

/// LIMIT: shares on a page, each with a form. A page stays below 200 KB.
const ROWS: usize = 50;

/// What is soon.
const SOON: SignedDuration = SignedDuration::from_hours(72);

/// LIMIT: characters of a reason.
const REASON_MAX: usize = 1_000;

/// Which shares.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    #[serde(default)]
    show: Shown,
    /// The number of the page, from 0.
    #[serde(default)]
    page: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Shown {
    #[default]
    Live,
    Expiring,
    Ended,
    All,
}

impl Shown {
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Live, "live", "Live"),
        (Self::Expiring, "expiring", "Expiring within 3 days"),
        (Self::Ended, "ended", "Ended"),
        (Self::All, "all", "All"),
    ];

    fn has(self, share: &Share, now: Timestamp) -> bool {
        let is_live = share.word(now) == "live";
        match self {
            Self::Live => is_live,
            Self::Expiring => is_live && share.terms.expires_at.duration_since(now) <= SOON,
            Self::Ended => !is_live,
            Self::All => true,
        }
    }

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(shown, ..)| *shown == self).map_or("", |(_, word, _)| *word)
    }
}

/// The page of shares.
pub(super) async fn shares(
    State(desk): State<Desk>,
    visitor: Visitor,
    Query(which): Query<Which>,
) -> Result<Html<String>, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadLedger, Whose::Others).await?;
    let (all, _) = desk.gate.ledger.shares(ShareKey::All).await.map_err(|e| Problem::facts(&e))?;
    let now = desk.gate.clock.now();
    let policies = desk.policies();
    let may = |action| policies.may(&visitor.caller, action, Whose::Others).is_ok();
    let saying = Saying { policies: &policies, shows: may(AdminAction::ReadSubject) };
    let chosen = || all.iter().filter(|share| which.show.has(share, now));
    let (count_of, from) = (chosen().count(), which.page.saturating_mul(ROWS));
    let rows: Vec<&Share> = chosen().skip(from).take(ROWS).collect();
    let of = rows.iter().map(|share| share.place).collect();
    let about = About {
        detail: which.show.word().to_owned(),
        entries: Some(count_of as u64),
        of,
        ..About::default()
    };
    visitor.sees(&desk, &permit, &about).await?;
    let body = html! {
        h1 { "Shares" }
        nav.tabs aria-label="Which shares" {
            @for (shown, word, name) in Shown::ALL {
                @let its = all.iter().filter(|share| shown.has(share, now)).count();
                a href=(format!("/shares?show={word}")) aria-current=[(shown == which.show).then_some("page")] { (name) " (" (its) ")" }
            }
        }
        @if rows.is_empty() { p.note { "There are none." } }
        @else {
            div.scroll tabindex="0" role="region" aria-labelledby="found" {
                table.log {
                    caption #found { (count(count_of as u64, "share")) ", newest first" }
                    thead { tr { @for head in ["Made", "Recording", "To whom", "Why", "Until", "Uses", "State"] { th scope="col" { (head) } } } }
                    tbody { @for share in rows { (row(share, &visitor, saying, now)) } }
                }
            }
        }
        nav.pages aria-label="Pages" {
            @if which.page > 0 { a.button href=(format!("/shares?show={}&page={}", which.show.word(), which.page - 1)) { "Newer" } }
            @if from + ROWS < count_of { a.button href=(format!("/shares?show={}&page={}", which.show.word(), which.page + 1)) { "Older" } }
        }
    };
    Ok(page(&desk, &visitor, Some(Part::Shares), "Shares", &body))
}

/// Whether somebody may take a share back.
fn may_revoke(policies: &Policies, visitor: &Visitor, share: &Share) -> bool {
    policies.may(&visitor.caller, AdminAction::RevokeShare, whose(visitor, share)).is_ok()
}

fn whose(visitor: &Visitor, share: &Share) -> Whose {
    if share.question.caller.id == visitor.caller.id { Whose::Own } else { Whose::Others }
}

fn row(share: &Share, visitor: &Visitor, saying: Saying<'_>, now: Timestamp) -> Markup {
    let question = &share.question;
    let recording = question.facts.recording.to_string();
    let recipient = question.stated.recipient.as_deref().unwrap_or_default();
    let name = share.private.as_ref().and_then(|private| private.name.as_deref());
    let purpose = question.purpose.as_ref().map(|purpose| purpose.as_str()).unwrap_or_default();
    let word = share.word(now);
    let looks = if word == "live" { "good" } else { "" };
    html! {
        tr id=(share.id.to_string()) {
            th.once scope="row" {
                a href=(format!("/entries/{}", share.place)) { (time(question.now)) }
                span.more { "by " (question.caller.id) }
            }
            td {
                a.sid href=(format!("/recordings/{recording}")) { (recording) }
                span.more {
                    (question.media.row().form)
                    @if let Some(part) = share.terms.portion { ", from " (part.start_ms / 1_000) " to " (part.end_ms / 1_000) " s" }
                    @if share.terms.download { ", may be saved" }
                }
            }
            td {
                (saying.recipient(recipient))
                @if let Some(country) = &question.stated.country { ", " (country) }
                @match (name, saying.shows) {
                    (Some(name), true) => span.more { (name) },
                    (Some(_), false) => span.more { "somebody with a name" },
                    (None, _) => {},
                }
            }
            td {
                (saying.purpose(purpose))
                @if let Some((clause, notice)) = &share.clause {
                    span.more title=[saying.quote(notice, clause)] { (clause) " of " (notice) }
                }
            }
            td.once { (time(share.terms.expires_at)) @if let Some(due) = share.terms.review_due { span.more { "review due " (time(due)) } } }
            td {
                (share.uses.len()) " of " (share.terms.uses)
                @if let Some(used) = share.uses.last() { span.more { "last " (time(used.at)) } }
                span.more { a href=(format!("/log?since=&share={}", share.id)) { "what was heard" } }
            }
            td {
                span.tag.(looks) { (word) }
                @if share.end.is_none() && may_revoke(saying.policies, visitor, share) {
                    details {
                        summary { "Take it back" }
                        form method="post" action=(format!("/shares/{}/revoke", share.id)) {
                            (visitor.form_token())
                            label { "Reason" input name="reason" required maxlength=(REASON_MAX); }
                            button.main { "Take back" }
                        }
                    }
                }
            }
        }
    }
}

/// Why a share is taken back.
#[derive(Debug, Deserialize)]
pub(super) struct Back {
    reason: String,
}

/// Takes a share back: from here on its link gives nothing.
pub(super) async fn revoke(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(back): Form<Back>,
) -> Result<Response, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let found = desk.gate.ledger.shares(ShareKey::Id(id)).await;
    let (found, _) = found.map_err(|error| Problem::facts(&error))?;
    let share = found.into_iter().next();
    let whose = share.as_ref().map_or(Whose::Others, |share| whose(&visitor, share));
    // First whether they may: which shares there are is not for everybody.
    let _ = visitor.may(&desk, AdminAction::RevokeShare, whose).await?;
    let share = share.ok_or_else(Problem::not_found)?;
    if share.end.is_some() {
        return Err(Problem::conflict("this share has ended before"));
    }
    let reason = back.reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_MAX {
        return Err(Problem::bad_value("say why, in at most 1,000 characters").about("reason"));
    }
    let (ledger, actor) = (&desk.gate.ledger, &visitor.caller.id);
    let ended = ledger.end_share(&share, actor, EndReason::Revoked, Some(reason)).await;
    ended.map_err(|error| Problem::ledger(&error))?;
    Ok(Redirect::to(&format!("/shares?show=ended#{id}")).into_response())
}
