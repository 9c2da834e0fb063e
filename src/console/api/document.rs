//! The document of the API (OpenAPI 3.1). It tells nothing of anybody, so everybody may read it.

use std::sync::Arc;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

use super::super::Desk;
use super::page;

/// What stands at the top of the document.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "noticegate",
        description = "Facts about calls, and what is known and was disclosed of them. Who may do \
                       what is decided by `administration.cedar`; each statement, each look at what \
                       tells of people and each refusal is an entry of the ledger.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(super::super::problem::Body)),
    security(("token" = []), ("client" = []), ("certificate" = [])),
    modifiers(&Proofs)
)]
struct Head;

/// How a caller can prove who they are.
struct Proofs;

impl utoipa::Modify for Proofs {
    fn modify(&self, told: &mut OpenApi) {
        let components = told.components.get_or_insert_default();
        let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let client = SecurityScheme::Http(Http::new(HttpAuthScheme::Basic));
        components.add_security_scheme("token", token);
        components.add_security_scheme("client", client);
        let certificate =
            SecurityScheme::MutualTls { description: None, deprecated: None, extensions: None };
        components.add_security_scheme("certificate", certificate);
    }
}

pub(super) fn head() -> OpenApi {
    Head::openapi()
}

/// The routes that serve the document: to programs, and as a page to people.
pub(super) fn router(told: &OpenApi) -> Router<Desk> {
    let text: Arc<str> = told.to_pretty_json().unwrap_or_default().into();
    let page: Arc<str> = page::write(&serde_json::to_value(told).unwrap_or_default()).into();
    let serve = |kind: &'static str, text: Arc<str>| {
        get(async move || ([(CONTENT_TYPE, kind)], text.to_string()).into_response())
    };
    Router::new()
        .route("/api/v1/openapi.json", serve("application/json", text))
        .route("/api/v1/docs", serve("text/html; charset=utf-8", page))
        .route("/api/v1/docs.css", serve("text/css; charset=utf-8", page::STYLE.into()))
}
