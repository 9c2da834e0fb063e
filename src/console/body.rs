//! Bodies: JSON, read strictly, with the field that is wrong.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::config::without_values;

/// A body of JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(&request) {
            return Err(Problem::not_json());
        }
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|rejection| match rejection {
            BytesRejection::FailedToBufferBody(_) => Problem::too_large(),
            _ => Problem::bad_request("the body was cut off"),
        })?;
        read(&body).map(Json)
    }
}

fn is_json(request: &Request) -> bool {
    let named = request.headers().get(CONTENT_TYPE).and_then(|named| named.to_str().ok());
    let kind = named.and_then(|named| named.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Reads JSON; a problem names the field, and never the value, which may be a person's.
pub(crate) fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = serde_path_to_error::deserialize(&mut reader);
    let value = read.map_err(|error| {
        let path = error.path().to_string();
        let inner = error.inner();
        match inner.classify() {
            serde_json::error::Category::Data => wrong(&path, inner),
            _ => Problem::bad_request("the body is not JSON"),
        }
    })?;
    reader.end().map_err(|_| Problem::bad_request("something follows the JSON"))?;
    Ok(value)
}

fn wrong(path: &str, error: &serde_json::Error) -> Problem {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = without_values(message.strip_suffix(&place).unwrap_or(&message));
    // What a statement objects to names its field itself.
    let (field, message) = match message.strip_prefix('`').and_then(|m| m.split_once("`: ")) {
        Some((field, rest)) => (field.to_owned(), rest.to_owned()),
        None => (path.to_owned(), message.clone()),
    };
    let path = path.trim_matches('.');
    let field = match path.is_empty() || field == path {
        true => field,
        false if field.starts_with(path) => field,
        false => format!("{path}.{field}"),
    };
    Problem::bad_value(message).about(field.trim_matches('.'))
}
