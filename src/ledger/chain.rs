//! A writer's own chain: each of its entries holds the head of the hash of the one before.
//!
//! It covers the last second, which no signed checkpoint does yet: who takes an entry away, or
//! changes one, breaks the chain of its writer.

use super::entry::{self, Link};
use super::store::Leaf;

/// How many bytes of a hash an entry repeats.
const HEAD_BYTES: usize = 16;

/// Where a writer's next entry belongs.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// This process among all that ever wrote here.
    writer: String,
    /// How many entries it has written.
    count: u64,
    /// The place of the entry that its first one follows.
    after: Option<u64>,
    head: String,
}

impl Chain {
    /// The chain of a new writer, after the last entry that is there.
    pub(super) fn after(last: Option<(u64, Leaf)>) -> Self {
        Self {
            writer: uuid::Uuid::new_v4().simple().to_string(),
            count: 0,
            after: last.map(|(place, _)| place),
            head: last.map(|(_, leaf)| head(&leaf)).unwrap_or_default(),
        }
    }

    pub(super) fn writer(&self) -> &str {
        &self.writer
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Closes an entry and moves on.
    pub(super) fn seal(&mut self, open: entry::Open) -> (Vec<u8>, Leaf) {
        let link = Link {
            writer: &self.writer,
            count: self.count,
            after: self.after.filter(|_| self.count == 0),
            previous: &self.head,
        };
        let bytes = entry::seal(open, &link);
        let leaf = leaf(&bytes);
        self.advance(1, &leaf);
        (bytes, leaf)
    }

    /// Moves on by entries that are there already.
    pub(super) fn advance(&mut self, entries: u64, last: &Leaf) {
        self.count += entries;
        self.head = head(last);
    }
}

/// What the next entry repeats of a hash.
pub(super) fn head(leaf: &Leaf) -> String {
    use std::fmt::Write;
    leaf.iter().take(HEAD_BYTES).fold(String::with_capacity(2 * HEAD_BYTES), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The hash of an entry as a leaf of an RFC 6962 tree.
pub(super) fn leaf(bytes: &[u8]) -> Leaf {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(&[0]);
    context.update(bytes);
    context.finish().as_ref().try_into().unwrap_or([0; 32])
}
