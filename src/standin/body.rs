//! The body of an answer: pieces of a known object, made one by one as the peer takes them.
//!
//! In: a [`Source`], the bytes of it to send, and how the body is to end. Out: an
//! [`http_body::Body`]. hyper asks for the next piece only when it has room for it, so a slow
//! reader slows us down and memory stays at a few pieces, however large the object is.
//! A large pattern must never be held as a whole.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::time::{Sleep, sleep};

/// LIMIT: one piece. Within the 16 to 64 KB real servers write; larger pieces only cost memory.
const PIECE_BYTES: u64 = 32 * 1024;

/// How long a cut waits, so that what was sent before it is really on the wire. hyper drops what
/// it has not flushed when a body fails, and it flushes when a body has nothing to give.
const CUT_GRACE: Duration = Duration::from_millis(50);

/// The byte at this offset of a [`SampleAudio::Zeros`](super::SampleAudio::Zeros) object. Not
/// zero at all: a proxy that shifts, repeats or drops a piece is found out by comparing.
#[must_use]
pub fn pattern_byte(offset: u64) -> u8 {
    let mixed = offset.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let [.., top] = mixed.to_le_bytes();
    top
}

/// Where bytes come from.
#[derive(Clone)]
pub(super) enum Source {
    /// Held in memory, shared.
    Held(Bytes),
    /// Made while sending.
    Pattern,
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With its last byte.
    Clean,
    /// With an aborted connection after so many bytes.
    CutAfter(u64),
    /// Not at all, after so many bytes.
    StallAfter(u64),
}

/// The error that makes hyper abort the connection.
#[derive(Debug, thiserror::Error)]
#[error("the stand-in cut the body off, as a rule told it to")]
pub(super) struct CutOff;

/// See the head of this file.
pub(super) struct StandInBody {
    source: Source,
    next: u64,
    end: u64,
    sent: u64,
    ending: Ending,
    cut: Option<Pin<Box<Sleep>>>,
}

impl StandInBody {
    /// Bytes `start..end` of the source.
    pub(super) fn new(source: Source, start: u64, end: u64, ending: Ending) -> Self {
        Self { source, next: start, end, sent: 0, ending, cut: None }
    }

    /// No bytes at all.
    pub(super) fn empty() -> Self {
        Self::new(Source::Pattern, 0, 0, Ending::Clean)
    }

    /// How many bytes may still go out before the ending takes hold.
    fn allowed(&self) -> u64 {
        let left = self.end.saturating_sub(self.next);
        match self.ending {
            Ending::Clean => left,
            Ending::CutAfter(bytes) | Ending::StallAfter(bytes) => {
                left.min(bytes.saturating_sub(self.sent))
            }
        }
    }

    fn piece(&mut self, length: u64) -> Bytes {
        let start = self.next;
        let end = start.saturating_add(length);
        self.next = end;
        self.sent = self.sent.saturating_add(length);
        match &self.source {
            Source::Pattern => (start..end).map(pattern_byte).collect(),
            Source::Held(bytes) => {
                let clamp = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                bytes.slice(clamp(start)..clamp(end))
            }
        }
    }

    fn poll_cut(&mut self, context: &mut Context<'_>) -> Poll<CutOff> {
        let wait = self.cut.get_or_insert_with(|| Box::pin(sleep(CUT_GRACE)));
        wait.as_mut().poll(context).map(|()| CutOff)
    }
}

impl http_body::Body for StandInBody {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let length = self.allowed().min(PIECE_BYTES);
        if length > 0 {
            return Poll::Ready(Some(Ok(Frame::data(self.piece(length)))));
        }
        match self.ending {
            // No waker is kept: only the peer hanging up, or a stop, ends a stall.
            Ending::StallAfter(_) => Poll::Pending,
            Ending::CutAfter(_) if self.next < self.end => {
                self.poll_cut(context).map(|cut| Some(Err(cut)))
            }
            Ending::CutAfter(_) | Ending::Clean => Poll::Ready(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[test]
    fn the_pattern_is_fixed_and_does_not_repeat_within_a_piece() {
        let start: Vec<u8> = (0..8).map(pattern_byte).collect();
        assert_eq!(start, [0, 158, 60, 218, 120, 23, 181, 83]);
        let first: Vec<u8> = (0..PIECE_BYTES).map(pattern_byte).collect();
        let second: Vec<u8> = (PIECE_BYTES..2 * PIECE_BYTES).map(pattern_byte).collect();
        assert_ne!(first, second);
    }

    #[tokio::test]
    async fn a_part_of_the_pattern_is_the_part_it_should_be() {
        let body = StandInBody::new(Source::Pattern, 1000, 100_000, Ending::Clean);
        let got = body.collect().await.unwrap().to_bytes();
        let expected: Vec<u8> = (1000..100_000).map(pattern_byte).collect();
        assert_eq!(got, expected);
    }

    #[tokio::test]
    async fn a_cut_comes_after_exactly_so_many_bytes() {
        let mut body = StandInBody::new(Source::Pattern, 0, 100_000, Ending::CutAfter(40_000));
        let mut got = 0;
        let cut = loop {
            match body.frame().await {
                Some(Ok(frame)) => got += frame.into_data().unwrap().len(),
                other => break other,
            }
        };
        assert!(matches!(cut, Some(Err(CutOff))));
        assert_eq!(got, 40_000);
    }
}
