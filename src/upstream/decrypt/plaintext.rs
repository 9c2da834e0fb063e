//! Plaintext that was checked, and the readers of its ranges.

use std::fmt;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::SpillError;
use super::spill::{CHUNK_BYTES, SealedFile};

/// A decrypted recording. Copies share one; it is gone, and its file with it, when the last copy and
/// the last reader are.
#[derive(Clone)]
pub struct Plaintext(Arc<Chunks>);

struct Chunks {
    length: u64,
    /// The first chunks.
    memory: Vec<Bytes>,
    /// The others.
    file: Option<SealedFile>,
}

/// Reads one range of a [`Plaintext`], a chunk of at most 64 KiB at a time. After an error it gives
/// nothing more.
#[derive(Debug)]
pub struct PlainReader {
    plaintext: Plaintext,
    next: u64,
    end: u64,
}

impl Plaintext {
    pub(super) fn new(length: u64, memory: Vec<Bytes>, file: Option<SealedFile>) -> Self {
        Self(Arc::new(Chunks { length, memory, file }))
    }

    /// Its bytes.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "it is the length of a file, not a container's"
    )]
    pub fn len(&self) -> u64 {
        self.0.length
    }

    /// A reader of the bytes from the first to the last, counted from 0, both included. What lies
    /// beyond the end is left out.
    #[must_use]
    pub fn read(&self, first: u64, last: u64) -> PlainReader {
        let end = self.0.length.min(last.saturating_add(1));
        PlainReader { plaintext: self.clone(), next: first, end }
    }

    #[cfg(test)]
    pub(super) fn file(&self) -> Option<&std::fs::File> {
        self.0.file.as_ref().map(SealedFile::file)
    }

    #[cfg(test)]
    pub(super) fn memory_bytes(&self) -> usize {
        self.0.memory.iter().map(Bytes::len).sum()
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plaintext({} bytes, not shown)", self.0.length)
    }
}

impl Chunks {
    /// The chunk from this byte on, which is the first of a chunk.
    fn chunk(&self, start: u64) -> Result<Bytes, SpillError> {
        let number = start / CHUNK_BYTES as u64;
        let in_memory = usize::try_from(number).ok().and_then(|number| self.memory.get(number));
        match (in_memory, &self.file) {
            (Some(chunk), _) => Ok(chunk.clone()),
            (None, None) => Err(SpillError::Changed),
            (None, Some(file)) => {
                let length = usize::try_from(self.length - start).unwrap_or(usize::MAX);
                file.read(number - self.memory.len() as u64, length.min(CHUNK_BYTES))
            }
        }
    }
}

impl PlainReader {
    /// The bytes from `next` on, as far as they are in one chunk and in the range.
    fn piece(&self) -> Result<Bytes, SpillError> {
        let before = self.next % CHUNK_BYTES as u64;
        let start = self.next - before;
        let mut chunk = self.plaintext.0.chunk(start)?;
        chunk.truncate(usize::try_from(self.end - start).unwrap_or(usize::MAX));
        chunk.advance(usize::try_from(before).unwrap_or(usize::MAX).min(chunk.len()));
        Ok(chunk)
    }
}

impl Iterator for PlainReader {
    type Item = Result<Bytes, SpillError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let piece = self.piece();
        self.next = match &piece {
            Ok(piece) => self.next + piece.len() as u64,
            Err(_) => self.end,
        };
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::content::Whole;
    use super::super::spill::Spill;
    use super::super::tests::{all, noise, settings};
    use super::*;

    fn kept(bytes: &[u8], memory_bytes_max: usize) -> Plaintext {
        let mut spill = Spill::new(&settings(memory_bytes_max));
        spill.append(bytes).unwrap();
        spill.open(Whole::without_a_check()).unwrap()
    }

    #[test]
    fn nothing_is_read_of_nothing_or_beyond_the_end() {
        assert!(kept(b"", 0).read(0, u64::MAX).next().is_none());
        let plaintext = kept(b"heard", 0);
        assert!(plaintext.read(5, 9).next().is_none());
        assert!(plaintext.read(u64::MAX, u64::MAX).next().is_none());
        assert!(plaintext.read(3, 2).next().is_none());
        let read = |first, last| plaintext.read(first, last).next().unwrap().unwrap();
        assert_eq!(read(0, 0), "h");
        assert_eq!(read(4, 4), "d");
        assert_eq!(read(3, u64::MAX), "rd");
    }

    #[test]
    fn many_read_at_once_each_its_own_range() {
        let plain = noise(5 * CHUNK_BYTES + 3);
        let plaintext = kept(&plain, CHUNK_BYTES);
        let mut one = plaintext.read(0, u64::MAX);
        let mut other = plaintext.read(100_000, 250_000);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        std::thread::scope(|scope| {
            let readers: Vec<_> = (0..4).map(|_| scope.spawn(|| all(&plaintext))).collect();
            loop {
                let (piece, other_piece) = (one.next(), other.next());
                if piece.is_none() && other_piece.is_none() {
                    break;
                }
                first.extend(piece.into_iter().flat_map(|piece| piece.unwrap()));
                second.extend(other_piece.into_iter().flat_map(|piece| piece.unwrap()));
            }
            for reader in readers {
                assert!(reader.join().unwrap() == plain);
            }
        });
        assert!(first == plain);
        assert!(second == plain[100_000..=250_000]);
    }

    #[test]
    fn a_reader_outlives_the_plaintext_it_was_made_of() {
        let plain = noise(3 * CHUNK_BYTES);
        let reader = kept(&plain, 0).read(1, u64::MAX);
        let read: Vec<u8> = reader.flat_map(|piece| piece.unwrap()).collect();
        assert!(read == plain[1..]);
    }

    #[test]
    fn a_plaintext_does_not_print() {
        assert_eq!(format!("{:?}", kept(b"heard", 9)), "Plaintext(5 bytes, not shown)");
        assert!(!format!("{:?}", kept(b"heard", 9).read(0, 9)).contains("heard"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_range_is_that_slice_of_the_plaintext(
            length in 0_usize..300_000,
            memory in 0_usize..200_000,
            first in 0_usize..310_000,
            more in 0_usize..310_000,
        ) {
            let plain = noise(length);
            let plaintext = kept(&plain, memory);
            prop_assert!(plaintext.memory_bytes() <= memory);
            let last = first + more;
            let mut read = Vec::new();
            for piece in plaintext.read(first as u64, last as u64) {
                let piece = piece.unwrap();
                prop_assert!(!piece.is_empty() && piece.len() <= CHUNK_BYTES);
                read.extend_from_slice(&piece);
            }
            prop_assert!(read == plain[first.min(length)..(last + 1).min(length)]);
        }
    }
}
