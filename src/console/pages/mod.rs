//! The pages: what reviewers and the privacy team see in a browser.
//!
//! Written on the server, one module a page, each from values that are looked up before the first
//! tag; nothing needs a script to be read. Every page asks Cedar whether its visitor may see it and
//! puts the look on record, as the API does.

mod assets;
mod home;
mod layout;
mod login;
mod problem;

use axum::Router;
use axum::routing::get;

use super::Desk;
pub(super) use login::SIGNED_IN_PATH;
pub(super) use problem::problem;

/// Everything that is served as a page.
pub(super) fn router() -> Router<Desk> {
    Router::new().merge(assets::router()).merge(login::router()).route("/", get(home::home))
}
