//! `/api/v1`: the JSON API, described by a document that is made from this code.
//!
//! `statements.rs` states facts, `known.rs` reads them; `entries.rs`, `entry.rs` and `export.rs` read
//! the log; `shares.rs` tells of shares and takes them back; `notice.rs` tells of the notice and tries
//! questions and drafts. `document.rs` tells of all of it, to programs and (`page.rs`) to people. A
//! number or name of a person stands in bodies alone, never in a URL.

mod answers;
mod document;
mod entries;
mod entry;
mod export;
mod known;
mod notice;
mod page;
mod paging;
mod shares;
mod statements;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) use known::gather;
pub(super) use paging::Query;

use super::Desk;

/// The routes, and the document that tells of them.
pub(super) fn router() -> Router<Desk> {
    let (routes, told) = routes().split_for_parts();
    routes.merge(document::router(&told))
}

/// Everything that the document tells of.
fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::with_openapi(document::head())
        .routes(routes!(statements::state))
        .routes(routes!(statements::consent))
        .routes(routes!(statements::withdrawal))
        .routes(routes!(statements::objection))
        .routes(routes!(statements::participant))
        .routes(routes!(statements::labels))
        .routes(routes!(statements::payment))
        .routes(routes!(statements::case))
        .routes(routes!(statements::announcement))
        .routes(routes!(statements::place_hold, known::holds))
        .routes(routes!(known::lift_hold))
        .routes(routes!(known::known))
        .routes(routes!(known::person))
        .routes(routes!(entries::find))
        .routes(routes!(entries::count))
        .routes(routes!(entries::sessions))
        .routes(routes!(entry::entry))
        .routes(routes!(entry::proof))
        .routes(routes!(export::export))
        .routes(routes!(shares::shares))
        .routes(routes!(shares::revoke))
        .routes(routes!(notice::notices))
        .routes(routes!(notice::notice))
        .routes(routes!(notice::what_if))
        .routes(routes!(notice::check))
}
