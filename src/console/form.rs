//! Forms of pages.

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use super::Desk;
use super::problem::Problem;

/// What a form of a page sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Desk> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, desk: &Desk) -> Result<Self, Problem> {
        let read = axum::Form::<T>::from_request(request, desk).await;
        // What it objects to may be a person's.
        let unreadable = |_| Problem::bad_request("this is not the form of the page");
        read.map(|axum::Form(value)| Self(value)).map_err(unreadable)
    }
}
