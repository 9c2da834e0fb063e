//! The pages: what reviewers and the privacy team see in a browser.
//!
//! Written on the server, one module a page, each from values that are looked up before the first
//! tag; nothing needs a script to be read. Every page asks Cedar whether its visitor may see it and
//! puts the look on record, as the API does.

mod assets;
mod drafts;
mod entry;
mod fields;
mod home;
mod layout;
mod log;
mod login;
mod notice;
mod people;
mod problem;
mod recording;
mod reviews;
mod said;
mod shares;
mod what_if;

use axum::Router;
use axum::routing::{get, post};

use super::Desk;
pub(super) use login::SIGNED_IN_PATH;
pub(super) use problem::problem;
pub(super) use reviews::Kept;

/// Everything that is served as a page.
pub(super) fn router() -> Router<Desk> {
    Router::new()
        .merge(assets::router())
        .merge(login::router())
        .merge(notice::router())
        .merge(what_if::router())
        .merge(drafts::router())
        .route("/", get(home::home))
        .route("/log", get(log::log))
        .route("/log.csv", get(log::file))
        .route("/log.jsonl", get(log::file))
        .route("/log.parquet", get(log::file))
        .route("/recordings/{sid}", get(recording::recording))
        .route("/people", get(people::ask).post(people::find))
        .route("/people/{person}", get(people::person))
        .route("/people/{person}/accounting", get(people::accounting))
        .route("/reviews", get(reviews::reviews))
        .route("/reviews/summary", get(reviews::summary))
        .route("/reviews/{queue}", get(reviews::queue))
        .route("/shares", get(shares::shares))
        .route("/shares/{share}/revoke", post(shares::revoke))
        .route("/entries/{entry}", get(entry::entry))
        .route("/entries/{entry}/proof", get(entry::proof))
        .route("/entries/{entry}/review", post(entry::sign))
}
