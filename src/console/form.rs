//! Forms of pages. The field `csrf`, which every form has (`Visitor::form_token`), is looked at before
//! anybody reads the form, and is none of its values.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use super::Desk;
use super::body::is_form;
use super::problem::Problem;

/// The field that proves that a form is ours.
const FORM_TOKEN: &str = "csrf";

/// What a form of a page sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Desk> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Desk) -> Result<Self, Problem> {
        // What it objects to may be a person's.
        let unreadable = || Problem::bad_request("this is not the form of the page");
        if !is_form(request.headers()) {
            return Err(unreadable());
        }
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Problem::cut_off())?.to_bytes();
        let request = Request::from_parts(parts, Body::from(without_token(&body)));
        let read = axum::Form::<T>::from_request(request, &()).await;
        read.map(|axum::Form(value)| Self(value)).map_err(|_| unreadable())
    }
}

/// The token in a form, if there is exactly one.
pub(super) fn token(body: &[u8]) -> Option<String> {
    let mut all = form_urlencoded::parse(body).filter(|(name, _)| name == FORM_TOKEN);
    match (all.next(), all.next()) {
        (Some((_, token)), None) => Some(token.into_owned()),
        _ => None,
    }
}

/// The form as its page means it.
fn without_token(body: &[u8]) -> String {
    let pairs = form_urlencoded::parse(body).filter(|(name, _)| name != FORM_TOKEN);
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
