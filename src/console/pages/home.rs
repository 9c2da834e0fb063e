//! Where one arrives.

use axum::extract::State;
use axum::response::Html;
use maud::html;

use super::super::Desk;
use super::super::visitor::Visitor;
use super::layout::page;

/// What the visitor may do here.
pub(super) async fn home(State(desk): State<Desk>, visitor: Visitor) -> Html<String> {
    let body = html! {
        h1 { "Console" }
        p { "For programs there is " a href="/api/v1/docs" { "the API" } "." }
    };
    page(&desk, &visitor, None, "Console", &body)
}
