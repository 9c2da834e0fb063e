//! One entry of the log, and the proof that it is there.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde::Serialize;
use serde_json::Value;

use super::super::Desk;
use super::super::problem::{Body, Problem};
use super::super::visitor::{About, Visitor};
use super::answers::ToQuery;
use crate::ledger::{Row, prove_quickly};
use crate::policy::{AdminAction, Whose};

/// An entry of the ledger.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Entry {
    /// Its place, counted from 0.
    place: u64,
    /// The SHA-256 of its leaf in the tree.
    leaf: String,
    /// The entry itself, as docs/LEDGER.md tells of it.
    entry: Value,
    /// Of an intent, its outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Value>,
    /// What lies beside it and tells of people, for who may read that; of who was erased, nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<Value>,
}

impl Entry {
    pub(super) fn of(row: Row, people: bool) -> Self {
        Self {
            place: row.seq,
            leaf: row.leaf.iter().map(|byte| format!("{byte:02x}")).collect(),
            entry: row.entry,
            outcome: row.outcome,
            people: row.opened.filter(|_| people),
        }
    }
}

/// Whether somebody may read what tells of people.
pub(super) fn reads_of_people(desk: &Desk, visitor: &Visitor) -> bool {
    desk.policies().may(&visitor.caller, AdminAction::ReadSubject, Whose::Others).is_ok()
}

/// One entry, by its place or its id.
async fn named(desk: &Desk, name: String) -> Result<Row, Problem> {
    let (place, id) = (name.parse::<u64>().ok(), name.parse::<uuid::Uuid>().ok());
    if place.is_none() && id.is_none() {
        return Err(Problem::bad_value("the place of an entry, or its id").about("name"));
    }
    desk.review(move |_, review| {
        let row = match (place, id) {
            (Some(place), _) if place < review.next_place()? => review.rows(&[place])?.pop(),
            (_, Some(id)) => review.named(id)?,
            _ => None,
        };
        row.ok_or_else(|| Problem::not_found().saying("there is no such entry, or it was pruned"))
    })
    .await
}

/// One entry, with what belongs to it.
#[utoipa::path(
    get, path = "/api/v1/entries/{name}", tag = "log", operation_id = "entry",
    params(("name" = String, Path, description = "Its place, or its id")),
    responses(
        (status = 200, description = "The entry", body = Entry),
        (status = 404, description = "There is no such entry", body = Body, content_type = "application/problem+json"),
        ToQuery,
    )
)]
pub(super) async fn entry(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<axum::Json<Entry>, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadLedger, Whose::Others).await?;
    let row = named(&desk, name).await?;
    let about = About { entries: Some(1), of: vec![row.seq], ..About::default() };
    visitor.sees(&desk, &permit, &about).await?;
    Ok(axum::Json(Entry::of(row, reads_of_people(&desk, &visitor))))
}

/// The proof that an entry is in the ledger under its last checkpoint (C2SP tlog-proof).
#[utoipa::path(
    get, path = "/api/v1/entries/{name}/proof", tag = "log", operation_id = "proof",
    params(("name" = String, Path, description = "Its place, or its id")),
    responses(
        (status = 200, description = "The proof, to verify offline", body = String, content_type = "text/plain; charset=utf-8"),
        (status = 404, description = "There is no such entry", body = Body, content_type = "application/problem+json"),
        (status = 409, description = "No checkpoint covers it yet", body = Body, content_type = "application/problem+json"),
        ToQuery,
    )
)]
pub(super) async fn proof(
    State(desk): State<Desk>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let permit = visitor.may(&desk, AdminAction::ReadLedger, Whose::Others).await?;
    let place = named(&desk, name).await?.seq;
    let proof = desk.blocking(move |desk| Ok(prove_quickly(&desk.ledger, place)?.0)).await?;
    let about = About { entries: Some(1), of: vec![place], ..About::default() };
    visitor.sees(&desk, &permit, &about).await?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], proof).into_response())
}
