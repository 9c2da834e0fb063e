//! What an operation can answer beside what it was asked for, so that the document tells it of each
//! in the same words.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};

/// Whatever is asked.
const ALWAYS: [(&str, &str); 4] = [
    ("401", "Who asks has to prove who they are"),
    ("403", "The caller may not; nothing was done"),
    ("429", "The client asks more often than it may"),
    ("503", "It cannot be had, or be put on record, now; nothing was done"),
];

/// Where something is said beside the path.
const SAID: [(&str, &str); 2] =
    [("400", "The request cannot be read"), ("422", "A value cannot be meant; nothing was done")];

/// Where a body is sent.
const SENT: [(&str, &str); 2] = [("413", "The body is too long"), ("415", "The body is not JSON")];

/// The answers to a request that says nothing but its path.
pub(super) struct ToPath;

/// The answers to a request with a query.
pub(super) struct ToQuery;

/// The answers to a request with a body.
pub(super) struct ToBody;

type Answers = BTreeMap<String, RefOr<Response>>;

fn problems<'a>(all: impl IntoIterator<Item = &'a (&'a str, &'a str)>) -> Answers {
    let problem = |text: &str| {
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        ResponseBuilder::new()
            .description(text)
            .content("application/problem+json", content)
            .build()
    };
    all.into_iter().map(|(status, text)| ((*status).to_owned(), problem(text).into())).collect()
}

impl IntoResponses for ToPath {
    fn responses() -> Answers {
        problems(&ALWAYS)
    }
}

impl IntoResponses for ToQuery {
    fn responses() -> Answers {
        problems(ALWAYS.iter().chain(&SAID))
    }
}

impl IntoResponses for ToBody {
    fn responses() -> Answers {
        problems(ALWAYS.iter().chain(&SAID).chain(&SENT))
    }
}
