//! The stand-in's memory of who asked for what.
//!
//! In: the head of each request, as it arrives and before anything is decided. Out: the list, in
//! order, for a test to inspect (did the proxy strip a header, did it ask at all).
//! It holds credentials as they came: it must never be logged or served.

use std::sync::{Mutex, PoisonError};

use http::request::Parts;

/// Which of the two listeners a request reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The one that plays api.twilio.com.
    Api,
    /// The one that plays the media CDN.
    Cdn,
}

/// One request, as it came in. Holds the `Authorization` header if there was one.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// Where it came in.
    pub listener: Listener,
    /// `GET`, `HEAD`, ...
    pub method: String,
    /// The request target as sent.
    pub path_and_query: String,
    /// Lower-case names, values in order; a value that is not UTF-8 is made so lossily.
    pub headers: Vec<(String, String)>,
}

/// The list itself.
#[derive(Default)]
pub(super) struct SeenLog(Mutex<Vec<SeenRequest>>);

impl SeenLog {
    /// Appends the head of a request.
    pub(super) fn note(&self, listener: Listener, head: &Parts) {
        let headers = head
            .headers
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_owned(), value)
            })
            .collect();
        let request = SeenRequest {
            listener,
            method: head.method.as_str().to_owned(),
            path_and_query: path_and_query(head).to_owned(),
            headers,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }

    /// A copy of the list.
    pub(super) fn all(&self) -> Vec<SeenRequest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Empties the list.
    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The request target without scheme and authority.
pub(super) fn path_and_query(head: &Parts) -> &str {
    head.uri.path_and_query().map_or("/", |target| target.as_str())
}
