//! Pages of lists, and the strict reading of query strings.

use axum::extract::{FromRequestParts, Query as Loose};
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;

use super::super::problem::Problem;

/// LIMIT: things on a page.
pub(super) const PAGE_MAX: usize = 500;

/// Things on a page, if the request does not say.
const PAGE: usize = 100;

/// What a cursor begins with; another form of it would be another version.
const CURSOR: &str = "1:";

/// A query string in which nothing unknown stands.
#[derive(Debug)]
pub(in crate::console) struct Query<T>(pub(in crate::console) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Loose::<T>::from_request_parts(parts, state).await;
        // What it objects to may be a person's, put there by mistake.
        let unreadable = |_| {
            Problem::bad_request("the query has a parameter that is unknown, twice there or unfit")
        };
        read.map(|Loose(value)| Self(value)).map_err(unreadable)
    }
}

/// One page of a list that only grows at its end.
pub(super) fn page<T>(
    all: Vec<T>,
    cursor: Option<&str>,
    limit: Option<usize>,
) -> Result<(Vec<T>, Option<String>), Problem> {
    let limit = limit.unwrap_or(PAGE);
    if limit == 0 || limit > PAGE_MAX {
        return Err(Problem::bad_value("1 to 500").about("limit"));
    }
    let from = match cursor {
        None => 0,
        Some(cursor) => place(cursor)
            .ok_or_else(|| Problem::bad_value("a `next` of the page before").about("cursor"))?,
    };
    let count = all.len();
    let page: Vec<T> = all.into_iter().skip(from).take(limit).collect();
    let next = from.saturating_add(page.len());
    let next = (next < count).then(|| URL_SAFE_NO_PAD.encode(format!("{CURSOR}{next}")));
    Ok((page, next))
}

fn place(cursor: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    text.strip_prefix(CURSOR)?.parse().ok()
}
