//! What a browser shows when something is refused or goes wrong: the same as a program is told, and
//! what to do.

use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, Method};
use maud::{Markup, html};

use super::super::Desk;
use super::super::problem::Problem;
use super::super::visitor::Visitor;
use super::layout::{bare, page};
use super::login::way_in;

/// The page of a problem, with the status and the headers of the answer that it stands for.
pub(in super::super) fn problem(
    desk: &Desk,
    visitor: Option<&Visitor>,
    parts: &Parts,
    problem: &Problem,
    headers: &HeaderMap,
) -> Response {
    if problem.wants_session() && parts.method == Method::GET {
        return Redirect::to(&way_in(parts)).into_response();
    }
    let title = heading(problem);
    let body = html! {
        h1 { (title) }
        @if let Some(said) = said(problem) { p { (said) } }
        @if let Some(field) = problem.field() {
            p { "It is about " code { (field) } "." }
        }
        (help(problem, parts))
        @if let Some(entry) = problem.entry() {
            p.soft { "This is on record as entry " code { (entry) } ". Quote it if you ask somebody about it." }
        }
    };
    let written = match visitor {
        Some(visitor) => page(desk, visitor, None, title, &body),
        None => bare(title, &html! {}, &body),
    };
    let mut response = (problem.status(), written).into_response();
    for (name, value) in headers {
        // What is about the text that it stands for is said anew.
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}

/// What is wrong this time, as a sentence.
fn said(problem: &Problem) -> Option<String> {
    let text = match problem.detail() {
        Some(detail) => format!("{}: {detail}.", problem.title()),
        // The heading says it.
        None if problem.code() == "not-found" => return None,
        None => format!("{}.", problem.title()),
    };
    let mut letters = text.chars();
    let first = letters.next()?;
    Some(first.to_uppercase().chain(letters).collect())
}

fn heading(problem: &Problem) -> &'static str {
    match problem.code() {
        "not-identified" => "Please sign in",
        "not-permitted" => "You may not do this",
        "not-found" => "There is nothing here",
        "cross-site" => "This was asked by another site",
        "not-our-form" => "This form cannot be used any more",
        "ledger-unavailable" | "facts-unavailable" | "keys-unavailable" | "too-slow" => {
            "This cannot be done at the moment"
        }
        "internal" => "This was not finished",
        _ => "This cannot be done as it was asked",
    }
}

fn help(problem: &Problem, parts: &Parts) -> Markup {
    let start = html! { a href="/" { "Go to the start page" } "." };
    match problem.code() {
        "not-identified" => html! {
            p { a.button.main href="/login" { "Sign in" } }
            p { "What you sent was not done. Sign in, and send it again." }
        },
        "not-permitted" => html! {
            p { "Whoever keeps the policies of your organisation can give you a role that may. " (start) }
        },
        "cross-site" if parts.method == Method::GET => html! {
            p { "If you followed a link: "
                a href=(parts.uri.path_and_query().map_or("/", |path| path.as_str())) { "open the page from here" }
                ". If you did not, nothing was shown to anybody; close this page." }
        },
        "not-our-form" => html! {
            p { "Nothing was changed. Go back, load the page again, and send it once more." }
        },
        "not-found" => html! { p { "Look at the address once more, or start anew. " (start) } },
        "ledger-unavailable" | "facts-unavailable" | "keys-unavailable" | "too-slow" => html! {
            p { "Nothing was changed. Try again in a moment; if it stays so, tell whoever runs the gate." }
        },
        "internal" => html! { p { "Tell whoever runs the gate: its log says what happened." } },
        _ => html! { p { "Go back, and correct what was sent. " (start) } },
    }
}
