//! Bodies: read before anything is answered; JSON, read strictly, with the field that is wrong.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use super::Desk;
use super::problem::Problem;
use crate::config::without_values;

/// A body of JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// LIMIT: of a body that is too long, as many times its limit is read and thrown away. A caller who
/// is still sending would see the connection break and not the answer.
const THROWN_AWAY: usize = 4;

impl<T: DeserializeOwned> FromRequest<Desk> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Desk) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::not_json());
        }
        let body = request.into_body().collect().await;
        read(&body.map_err(|_| Problem::cut_off())?.to_bytes()).map(Json)
    }
}

/// Takes the whole of a body, whatever is answered then: where an answer comes first, the connection
/// is closed, and who is still sending sees it break.
pub(super) async fn whole(mut body: Body, longest: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let mut thrown = 0usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::cut_off())?;
        let Some(part) = frame.data_ref() else { continue };
        if thrown == 0 && bytes.len() + part.len() <= longest {
            bytes.extend_from_slice(part);
            continue;
        }
        thrown = thrown.saturating_add(part.len());
        if thrown > longest.saturating_mul(THROWN_AWAY) {
            break;
        }
    }
    if thrown == 0 { Ok(bytes) } else { Err(Problem::too_large()) }
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    is_of(headers, "application/json")
}

/// True if the body is a form of a page.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    is_of(headers, "application/x-www-form-urlencoded")
}

fn is_of(headers: &HeaderMap, kind: &str) -> bool {
    let named = headers.get(CONTENT_TYPE).and_then(|named| named.to_str().ok());
    let said = named.and_then(|named| named.split(';').next());
    said.is_some_and(|said| said.trim().eq_ignore_ascii_case(kind))
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
