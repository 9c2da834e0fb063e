//! The body of an answer to a caller: a few bytes of our own words, or a disclosure.
//!
//! A disclosure hands on one chunk at a time, when the caller's connection asks for it, and counts
//! the chunk before it is handed over. It closes its ledger entry when it ends: complete, cut by
//! the upstream, or dropped because the caller left.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::crash;
use crate::ledger::{Ending, OpenDisclosure};
use crate::upstream::{BodyError, MediaBody};

/// A body for a caller, and what is held for as long as it lasts.
pub struct ReplyBody(Kind, Vec<Box<dyn Send + Sync>>);

impl std::fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReplyBody")
    }
}

/// Is over when what a body holds is no longer permitted.
pub type Revoked = Pin<Box<dyn Future<Output = ()> + Send>>;

enum Kind {
    Text(Bytes),
    Disclosure {
        body: MediaBody,
        disclosure: Option<OpenDisclosure>,
        revoked: Option<Revoked>,
    },
    /// A page of a list, and what it discloses of each item, in bytes.
    Page {
        body: MediaBody,
        disclosures: Vec<(OpenDisclosure, u64)>,
    },
}

impl ReplyBody {
    /// Our own words.
    #[must_use]
    pub fn text(text: Bytes) -> Self {
        Self(Kind::Text(text), Vec::new())
    }

    /// Bytes of a recording, with the disclosure that pays for them.
    #[must_use]
    pub fn disclosure(
        body: MediaBody,
        disclosure: OpenDisclosure,
        revoked: Option<Revoked>,
    ) -> Self {
        if body.is_over() {
            disclosure.close(Ending::Complete);
            return Self::text(Bytes::new());
        }
        Self(Kind::Disclosure { body, disclosure: Some(disclosure), revoked }, Vec::new())
    }

    /// A page of a list, with the disclosures that pay for its items.
    #[must_use]
    pub fn page(body: MediaBody, disclosures: Vec<(OpenDisclosure, u64)>) -> Self {
        if body.is_over() {
            disclosures.into_iter().for_each(|(one, _)| one.close(Ending::Complete));
            return Self::text(Bytes::new());
        }
        Self(Kind::Page { body, disclosures }, Vec::new())
    }

    /// Has this dropped with the body: when its last byte has been handed over, or nobody wants it.
    pub fn hold(&mut self, held: impl Send + Sync + 'static) {
        self.1.push(Box::new(held));
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let (body, disclosure) = match &mut self.0 {
            Kind::Text(text) if text.is_empty() => return Poll::Ready(None),
            Kind::Text(text) => return Poll::Ready(Some(Ok(Frame::data(std::mem::take(text))))),
            Kind::Disclosure { body, disclosure, revoked } => {
                if let Some(over) = revoked
                    && over.as_mut().poll(cx).is_ready()
                {
                    *revoked = None;
                    if let Some(disclosure) = disclosure.take() {
                        disclosure.close(Ending::Revoked);
                    }
                    return Poll::Ready(Some(Err(BodyError::Revoked)));
                }
                (body, disclosure)
            }
            Kind::Page { body, disclosures } => {
                let next = ready!(body.poll_bytes(cx));
                // A page lies in memory and leaves it in one piece.
                for (mut disclosure, bytes) in disclosures.drain(..) {
                    disclosure.count(bytes);
                    disclosure.close(Ending::Complete);
                }
                return Poll::Ready(next.map(|bytes| bytes.map(Frame::data)));
            }
        };
        let next = ready!(body.poll_bytes(cx));
        let ending = match &next {
            Some(Ok(bytes)) => {
                if let Some(disclosure) = disclosure {
                    disclosure.count(bytes.len() as u64);
                    crash::at("streaming");
                }
                // The connection does not ask again once the length is reached.
                body.is_over().then_some(Ending::Complete)
            }
            None => Some(Ending::Complete),
            Some(Err(BodyError::Cut | BodyError::Silent)) => Some(Ending::UpstreamCut),
            Some(Err(BodyError::TooLong)) => Some(Ending::TooLong),
            Some(Err(BodyError::Revoked)) => Some(Ending::Revoked),
        };
        if let Some(ending) = ending
            && let Some(disclosure) = disclosure.take()
        {
            disclosure.close(ending);
        }
        Poll::Ready(next.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Text(text) => text.is_empty(),
            Kind::Disclosure { body, .. } | Kind::Page { body, .. } => body.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Text(text) => SizeHint::with_exact(text.len() as u64),
            Kind::Disclosure { body, .. } | Kind::Page { body, .. } => {
                body.remaining().map_or_else(SizeHint::default, SizeHint::with_exact)
            }
        }
    }
}
