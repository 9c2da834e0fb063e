//! The bytes of an opened answer, on their way to the caller.
//!
//! One chunk at a time, asked for when the caller can take it: nothing is collected here. The
//! body knows how long it must be, and an end before that is an error, so that a caller's stream
//! is cut and never silently short.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::Body;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use super::pool::ReplyBody;

/// Why a body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Upstream broke off.
    #[error("upstream broke off in the middle of a body")]
    Cut,
    /// Upstream fell silent.
    #[error("upstream fell silent in the middle of a body")]
    Silent,
    /// It is longer than a recording may be, or than it said.
    #[error("upstream sent more than it may")]
    TooLong,
}

/// A stream of bytes from upstream.
#[derive(Debug)]
pub struct MediaBody {
    from: From,
    /// Bytes to pass over first.
    skip: u64,
    /// Bytes still to come after those, if that is known.
    remaining: Option<u64>,
    /// How many more there may be in any case.
    allowance: u64,
    silence: Option<Silence>,
    _slot: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
enum From {
    Nothing,
    Memory(Bytes),
    Upstream(Box<ReplyBody>),
}

#[derive(Debug)]
struct Silence {
    longest: Duration,
    /// Set up when upstream keeps us waiting for the first time.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl MediaBody {
    pub(super) fn empty() -> Self {
        Self::new(From::Nothing, Some(0), 0)
    }

    pub(super) fn from_bytes(bytes: Bytes) -> Self {
        let length = bytes.len() as u64;
        Self::new(From::Memory(bytes), Some(length), length)
    }

    pub(super) fn from_reply(body: ReplyBody, length: Option<u64>, bytes_max: u64) -> Self {
        Self::new(From::Upstream(Box::new(body)), length, bytes_max)
    }

    fn new(from: From, remaining: Option<u64>, allowance: u64) -> Self {
        Self { from, skip: 0, remaining, allowance, silence: None, _slot: None }
    }

    /// Only the bytes from the first to the last of the whole.
    pub(super) fn cut(self, first: u64, last: u64) -> Self {
        Self { skip: first, remaining: Some(last - first + 1), ..self }
    }

    /// Keeps the account's slot until the body ends, and sets the longest silence.
    pub(super) fn hold(&mut self, slot: Option<OwnedSemaphorePermit>, longest: Duration) {
        self._slot = slot;
        self.silence = Some(Silence { longest, timer: None, waiting: false });
    }

    /// True when no byte is to come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.remaining == Some(0)
    }

    /// How many bytes are to come, if that is known.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// The next bytes; `None` when all that belongs to the body has come.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            if self.is_over() {
                self.from = From::Nothing;
                return Poll::Ready(None);
            }
            let mut bytes = match &mut self.from {
                From::Nothing => return Poll::Ready(Some(Err(BodyError::Cut))),
                From::Memory(bytes) => std::mem::take(bytes),
                From::Upstream(body) => {
                    let frame = Pin::new(&mut **body).poll_frame(cx);
                    if frame.is_pending() {
                        return self.poll_silence(cx);
                    }
                    if let Some(silence) = &mut self.silence {
                        silence.waiting = false;
                    }
                    match ready!(frame) {
                        None if self.remaining.is_none() => return Poll::Ready(None),
                        None | Some(Err(_)) => return Poll::Ready(Some(Err(BodyError::Cut))),
                        // Trailers are not handed on.
                        Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                    }
                }
            };
            if let Some(bytes) = self.admit(&mut bytes) {
                return Poll::Ready(Some(bytes));
            }
        }
    }

    /// Passes over what was not asked for and holds the rest to its length.
    fn admit(&mut self, bytes: &mut Bytes) -> Option<Result<Bytes, BodyError>> {
        let skipped = self.skip.min(bytes.len() as u64);
        bytes.advance(usize::try_from(skipped).unwrap_or(bytes.len()));
        self.skip -= skipped;
        if let Some(remaining) = &mut self.remaining {
            bytes.truncate(usize::try_from(*remaining).unwrap_or(usize::MAX));
            *remaining -= bytes.len() as u64;
        }
        match self.allowance.checked_sub(bytes.len() as u64) {
            _ if bytes.is_empty() => None,
            None => Some(Err(BodyError::TooLong)),
            Some(allowance) => {
                self.allowance = allowance;
                Some(Ok(std::mem::take(bytes)))
            }
        }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let Some(silence) = &mut self.silence else { return Poll::Pending };
        let until = Instant::now() + silence.longest;
        let timer = silence.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if !silence.waiting {
            silence.waiting = true;
            timer.as_mut().reset(until);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyError::Silent)))
    }
}
