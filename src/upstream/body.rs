//! The bytes of an opened answer, on their way to the caller.
//!
//! One chunk at a time, asked for when the caller can take it: nothing is collected here. The
//! body knows how long it must be, and an end before that is an error, so that a caller's stream
//! is cut and never silently short.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::{Body, Frame};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use super::decrypt::PlainReader;
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
    /// It is no longer permitted.
    #[error("the rest is no longer permitted")]
    Revoked,
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
    /// Where in the object the next byte from upstream stands.
    at: u64,
    resume: Option<Resume>,
    slot: Option<OwnedSemaphorePermit>,
    /// Bytes of our own before all others.
    head: Bytes,
}

/// A body that goes on where another broke off, and the account's slot that it takes.
type Rest = Option<(ReplyBody, Option<OwnedSemaphorePermit>)>;

type Resuming = Pin<Box<dyn Future<Output = Rest> + Send>>;

/// Asks for the rest of a body, from a first to a last byte.
pub(super) struct Resume {
    ask: Box<dyn Fn(u64, u64) -> Resuming + Send>,
    left: u8,
}

/// LIMIT: how often one body is resumed. An upstream that gives a little each time would keep a
/// caller for ever.
const RESUMES_MAX: u8 = 3;

impl Resume {
    pub(super) fn new(ask: impl Fn(u64, u64) -> Resuming + Send + 'static) -> Self {
        Self { ask: Box::new(ask), left: RESUMES_MAX }
    }
}

impl std::fmt::Debug for Resume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resume({} left)", self.left)
    }
}

#[derive(Debug)]
enum From {
    Nothing,
    Memory(Bytes),
    Plain(PlainReader),
    Upstream(Box<ReplyBody>),
    Resuming(Waiting),
}

/// Waits for the rest.
struct Waiting(Resuming);

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting")
    }
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

    /// A range of what was decrypted and verified.
    pub(super) fn from_plain(reader: PlainReader, length: u64) -> Self {
        Self::new(From::Plain(reader), Some(length), length)
    }

    pub(super) fn from_reply(body: ReplyBody, length: Option<u64>, bytes_max: u64) -> Self {
        Self::new(From::Upstream(Box::new(body)), length, bytes_max)
    }

    fn new(from: From, remaining: Option<u64>, allowance: u64) -> Self {
        Self {
            from,
            skip: 0,
            remaining,
            allowance,
            silence: None,
            at: 0,
            resume: None,
            slot: None,
            head: Bytes::new(),
        }
    }

    /// Only the bytes from the first to the last of the whole.
    pub(super) fn cut(self, first: u64, last: u64) -> Self {
        Self { skip: first, remaining: Some(last - first + 1), ..self }
    }

    /// Keeps the account's slot until the body ends, and sets the longest silence.
    pub(super) fn hold(&mut self, slot: Option<OwnedSemaphorePermit>, longest: Duration) {
        self.slot = slot;
        self.silence = Some(Silence { longest, timer: None, waiting: false });
    }

    /// The same behind a few bytes of our own.
    pub(super) fn behind(self, head: Bytes) -> Self {
        Self { head, ..self }
    }

    /// Lets the body be resumed should upstream break off.
    pub(super) fn resume_with(&mut self, resume: Resume) {
        self.resume = Some(resume);
    }

    /// The first byte that upstream sends stands here in the object.
    pub(super) fn starting_at(self, at: u64) -> Self {
        Self { at, ..self }
    }

    /// Begins to ask for what is missing; false if it cannot be asked for.
    fn resumes(&mut self) -> bool {
        let (Some(resume), Some(remaining)) = (&mut self.resume, self.remaining) else {
            return false;
        };
        let missing = self.skip.saturating_add(remaining);
        if resume.left == 0 || missing == 0 {
            return false;
        }
        resume.left -= 1;
        if let Some(silence) = &mut self.silence {
            silence.waiting = false;
        }
        // The next request takes a slot of its own.
        self.slot = None;
        let asked = (resume.ask)(self.at, self.at.saturating_add(missing - 1));
        self.from = From::Resuming(Waiting(asked));
        true
    }

    /// True when no byte is to come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.remaining == Some(0) && self.head.is_empty()
    }

    /// How many bytes are to come, if that is known.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        self.remaining.map(|remaining| remaining + self.head.len() as u64)
    }

    /// The next bytes; `None` when all that belongs to the body has come.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if !self.head.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.head))));
        }
        loop {
            if self.is_over() {
                self.from = From::Nothing;
                return Poll::Ready(None);
            }
            let mut bytes = match &mut self.from {
                From::Nothing => return Poll::Ready(Some(Err(BodyError::Cut))),
                From::Memory(bytes) => std::mem::take(bytes),
                From::Plain(reader) => match reader.next() {
                    Some(Ok(bytes)) => bytes,
                    Some(Err(error)) => {
                        tracing::error!(%error, "a decrypted recording cannot be read");
                        return Poll::Ready(Some(Err(BodyError::Cut)));
                    }
                    None => return Poll::Ready(Some(Err(BodyError::Cut))),
                },
                From::Resuming(waiting) => match ready!(waiting.0.as_mut().poll(cx)) {
                    Some((body, slot)) => {
                        self.from = From::Upstream(Box::new(body));
                        self.slot = slot;
                        continue;
                    }
                    None => return Poll::Ready(Some(Err(BodyError::Cut))),
                },
                From::Upstream(body) => {
                    let frame = Pin::new(&mut **body).poll_frame(cx);
                    if frame.is_pending() {
                        let silent = ready!(self.poll_silence(cx));
                        if self.resumes() {
                            continue;
                        }
                        return Poll::Ready(silent);
                    }
                    if let Some(silence) = &mut self.silence {
                        silence.waiting = false;
                    }
                    match ready!(frame) {
                        None if self.remaining.is_none() => return Poll::Ready(None),
                        None | Some(Err(_)) => {
                            if self.resumes() {
                                continue;
                            }
                            return Poll::Ready(Some(Err(BodyError::Cut)));
                        }
                        // Trailers are not handed on.
                        Some(Ok(frame)) => {
                            let bytes = frame.into_data().unwrap_or_default();
                            self.at = self.at.saturating_add(bytes.len() as u64);
                            bytes
                        }
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

/// As what decrypts it reads it.
impl Body for MediaBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.poll_bytes(cx).map(|next| next.map(|bytes| bytes.map(Frame::data)))
    }
}
