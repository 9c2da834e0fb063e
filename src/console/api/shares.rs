//! Shares: which there are, and taking one back.

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::Desk;
use super::super::body::Json;
use super::super::problem::{Body, Problem};
use super::super::visitor::{About, Visitor};
use super::answers::{ToBody, ToQuery};
use super::entry::reads_of_people;
use super::paging::{Query, page};
use crate::ledger::{EntryId, ShareKey};
use crate::policy::{AdminAction, Whose};
use crate::share::{EndReason, Share, ShareId};

/// LIMIT: characters of a reason.
const REASON_MAX: usize = 1_000;

/// Which shares.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// In which state.
    #[serde(default)]
    #[param(required = false, inline)]
    state: InState,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Shares on the page, at most 500.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// In which state a share is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
enum InState {
    /// In any.
    #[default]
    All,
    /// It can still be used.
    Live,
    /// It cannot, for whatever reason.
    Ended,
}

/// Shares, oldest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Shares {
    /// The entry of the ledger that records this look.
    #[schema(value_type = String)]
    entry: EntryId,
    /// As `noticegate share list` tells of them (docs/SHARING.md). What tells of the recipient is
    /// left out for who may not read what is held of a person.
    shares: Vec<Value>,
    /// The cursor of the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Which shares there are, oldest first.
#[utoipa::path(
    get, path = "/api/v1/shares", tag = "shares", operation_id = "shares",
    params(Which),
    responses(
        (status = 200, description = "The shares", body = Shares),
        ToQuery,
    )
)]
pub(super) async fn shares(
    State(desk): State<Desk>,
    visitor: Visitor,
    Query(which): Query<Which>,
) -> Result<axum::Json<Shares>, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadLedger, Whose::Others).await?;
    let now = desk.gate.clock.now();
    let mut all = found(&desk, ShareKey::All).await?;
    all.reverse();
    all.retain(|share| match which.state {
        InState::All => true,
        InState::Live => share.word(now) == "live",
        InState::Ended => share.word(now) != "live",
    });
    let (all, next) = page(all, which.cursor.as_deref(), which.limit)?;
    let of: Vec<u64> = all.iter().map(|share| share.place).collect();
    let about = About { entries: Some(of.len() as u64), of, ..About::default() };
    let entry = visitor.sees(&desk, &permit, &about).await?;
    let shows = reads_of_people(&desk, &visitor);
    let told = all.into_iter().map(|share| match shows {
        true => share.tell(now),
        false => Share { private: None, ..share }.tell(now),
    });
    Ok(axum::Json(Shares { entry, shares: told.collect(), next }))
}

async fn found(desk: &Desk, key: ShareKey<'_>) -> Result<Vec<Share>, Problem> {
    let found = desk.gate.ledger.shares(key).await;
    found.map(|(found, _)| found).map_err(|error| Problem::facts(&error))
}

/// Why a share is taken back.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeBody {
    /// Why, in at most 1,000 characters. It is sealed beside the entry.
    reason: String,
}

/// A share that was taken back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Revoked {
    /// The entry of the ledger that ends it.
    #[schema(value_type = String)]
    entry: EntryId,
}

/// Take a share back: from here on its link gives nothing.
#[utoipa::path(
    post, path = "/api/v1/shares/{share}/revoke", tag = "shares", operation_id = "revoke_share",
    params(("share" = String, Path, description = "Its id")),
    request_body(content = RevokeBody),
    responses(
        (status = 200, description = "It is taken back", body = Revoked),
        (status = 404, description = "There is no such share", body = Body, content_type = "application/problem+json"),
        (status = 409, description = "It has ended before", body = Body, content_type = "application/problem+json"),
        ToBody,
    )
)]
pub(super) async fn revoke(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(id): Path<String>,
    Json(RevokeBody { reason }): Json<RevokeBody>,
) -> Result<axum::Json<Revoked>, Problem> {
    let share = match id.parse::<ShareId>() {
        Ok(id) => found(&desk, ShareKey::Id(id)).await?.into_iter().next(),
        Err(_) => None,
    };
    let is_own = |share: &Share| share.question.caller.id == visitor.caller.id;
    let whose = if share.as_ref().is_some_and(is_own) { Whose::Own } else { Whose::Others };
    // First whether they may: which shares there are is not for everybody.
    let _ = visitor.may(&desk, AdminAction::RevokeShare, whose).await?;
    let share = share.ok_or_else(|| Problem::not_found().saying("there is no such share"))?;
    if share.end.is_some() {
        return Err(Problem::conflict("this share has ended before"));
    }
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_MAX {
        return Err(Problem::bad_value("say why, in at most 1,000 characters").about("reason"));
    }
    let ledger = &desk.gate.ledger;
    let ended =
        ledger.end_share(&share, &visitor.caller.id, EndReason::Revoked, Some(reason)).await;
    let entry = ended.map_err(|error| Problem::ledger(&error))?;
    Ok(axum::Json(Revoked { entry }))
}
