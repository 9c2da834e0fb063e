//! Style and script of the pages. They are part of the program, and a browser keeps them until the
//! program changes: their address names their content.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};

use super::super::Desk;

const STYLE: &str = include_str!("style.css");

const SCRIPT: &str = include_str!("script.js");

const VERIFY: &str = include_str!("verify.js");

/// Where the script is that verifies an entry.
pub(super) static VERIFY_PATH: LazyLock<String> = LazyLock::new(|| path("verify.js", VERIFY));

/// Where the style is.
pub(super) static STYLE_PATH: LazyLock<String> = LazyLock::new(|| path("console.css", STYLE));

/// Where the script is.
pub(super) static SCRIPT_PATH: LazyLock<String> = LazyLock::new(|| path("console.js", SCRIPT));

fn path(name: &str, text: &str) -> String {
    let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()));
    format!("/assets/{}/{name}", hash.get(..16).unwrap_or_default())
}

pub(super) fn router() -> Router<Desk> {
    let serve =
        |kind: &'static str, text: &'static str| get(move || async move { asset(kind, text) });
    Router::new()
        .route(&STYLE_PATH, serve("text/css; charset=utf-8", STYLE))
        .route(&SCRIPT_PATH, serve("text/javascript; charset=utf-8", SCRIPT))
        .route(&VERIFY_PATH, serve("text/javascript; charset=utf-8", VERIFY))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, &str); 2] =
        [(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, text).into_response()
}
