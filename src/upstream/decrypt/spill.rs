//! Where plaintext waits until it is checked: some of it in memory, the rest sealed in a file.
//!
//! Nothing can be read from a [`Spill`]; it must be opened with a proof that the content has come
//! whole. The file has no name, so that it goes when the process goes, and what is in it is sealed
//! with a key that is only in memory: a copy of the disk says nothing, and a change is noticed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bytes::Bytes;
use zeroize::Zeroizing;

use super::Plaintext;
use super::content::Whole;

/// Bytes of plaintext that are kept, sealed and read together.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

const TAG_BYTES: usize = 16;

/// Bytes of a whole chunk in the file.
const SEALED_BYTES: u64 = (CHUNK_BYTES + TAG_BYTES) as u64;

/// How plaintext is kept.
#[derive(Clone, Debug)]
pub struct SpillSettings {
    /// Bytes of one recording that are kept in memory; the rest goes into a file. While it is
    /// decrypted, it takes 128 KiB more and what has just arrived.
    pub memory_bytes_max: usize,
    /// LIMIT: bytes of one recording.
    pub bytes_max: u64,
    /// Where the files are made. They have no name, and are gone when they are closed.
    pub directory: PathBuf,
}

impl SpillSettings {
    /// One MiB in memory (a minute of a call), files in `directory`, no more than `bytes_max`.
    #[must_use]
    pub fn new(directory: PathBuf, bytes_max: u64) -> Self {
        Self { memory_bytes_max: 1024 * 1024, bytes_max, directory }
    }
}

/// Plaintext that cannot be kept, or no longer be had.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    /// There is more of it than there may be.
    #[error("a recording may have {bytes_max} bytes and this has more: raise the limit")]
    TooLong {
        /// The limit.
        bytes_max: u64,
    },
    /// There is no file.
    #[error("cannot make a temporary file in `{}`", directory.display())]
    Create {
        /// Where it should be.
        directory: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file does not take it; often, because the disk is full.
    #[error("cannot write a temporary file in `{}`: make room there", directory.display())]
    Write {
        /// Where it is.
        directory: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file does not give it back.
    #[error("cannot read a temporary file back: check the disk")]
    Read(#[source] io::Error),
    /// What the file gives back is not what was written.
    #[error("a temporary file was changed on the disk: check the disk, and who can write to it")]
    Changed,
    /// The cryptographic library does not work: there is no randomness or no memory.
    #[error("a temporary file cannot be sealed: the cryptographic library fails")]
    Seal,
}

/// Plaintext that is not checked yet, and can therefore not be read.
pub(super) struct Spill {
    settings: SpillSettings,
    length: u64,
    /// The chunk that is being filled.
    chunk: Vec<u8>,
    memory: Vec<Bytes>,
    file: Option<SealedFile>,
}

impl Spill {
    pub(super) fn new(settings: &SpillSettings) -> Self {
        let settings = settings.clone();
        Self { settings, length: 0, chunk: Vec::new(), memory: Vec::new(), file: None }
    }

    /// Adds plaintext at the end. After an error it must not be used any more.
    pub(super) fn append(&mut self, mut bytes: &[u8]) -> Result<(), SpillError> {
        self.length = self.length.saturating_add(bytes.len() as u64);
        if self.length > self.settings.bytes_max {
            return Err(SpillError::TooLong { bytes_max: self.settings.bytes_max });
        }
        while !bytes.is_empty() {
            let room = CHUNK_BYTES - self.chunk.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.chunk.reserve_exact(room);
            self.chunk.extend_from_slice(now);
            bytes = later;
            if self.chunk.len() == CHUNK_BYTES {
                self.put_away()?;
            }
        }
        Ok(())
    }

    /// Makes what was gathered readable.
    pub(super) fn open(mut self, _: Whole) -> Result<Plaintext, SpillError> {
        if !self.chunk.is_empty() {
            self.put_away()?;
        }
        Ok(Plaintext::new(self.length, self.memory, self.file))
    }

    /// Puts a chunk into memory, or behind those that are in the file.
    fn put_away(&mut self) -> Result<(), SpillError> {
        let held = self.memory.len() * CHUNK_BYTES + self.chunk.len();
        if self.file.is_none() && held <= self.settings.memory_bytes_max {
            let chunk = std::mem::take(&mut self.chunk);
            self.memory.push(Bytes::from(chunk.into_boxed_slice()));
            return Ok(());
        }
        let directory = &self.settings.directory;
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(SealedFile::create(directory)?),
        };
        file.push(&mut self.chunk, directory)?;
        self.chunk.clear();
        Ok(())
    }
}

/// Chunks in a file, each sealed with its number.
pub(super) struct SealedFile {
    file: File,
    key: LessSafeKey,
    chunks: u64,
}

impl SealedFile {
    fn create(directory: &Path) -> Result<Self, SpillError> {
        let file = tempfile::tempfile_in(directory)
            .map_err(|source| SpillError::Create { directory: directory.to_owned(), source })?;
        Self::new(file)
    }

    fn new(file: File) -> Result<Self, SpillError> {
        let mut key = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(&mut *key).map_err(|_| SpillError::Seal)?;
        let key = UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| SpillError::Seal)?;
        Ok(Self { file, key: LessSafeKey::new(key), chunks: 0 })
    }

    /// Seals a chunk in place and writes it.
    fn push(&mut self, chunk: &mut Vec<u8>, directory: &Path) -> Result<(), SpillError> {
        let number = self.chunks;
        // Before anything can fail: a number seals once.
        self.chunks += 1;
        chunk.reserve_exact(TAG_BYTES);
        self.key
            .seal_in_place_append_tag(nonce(number), Aad::empty(), chunk)
            .map_err(|_| SpillError::Seal)?;
        self.file
            .write_all_at(chunk, number.saturating_mul(SEALED_BYTES))
            .map_err(|source| SpillError::Write { directory: directory.to_owned(), source })
    }

    /// Reads a chunk of which the length is known.
    pub(super) fn read(&self, number: u64, length: usize) -> Result<Bytes, SpillError> {
        let mut chunk = vec![0; length + TAG_BYTES];
        let read = self.file.read_exact_at(&mut chunk, number.saturating_mul(SEALED_BYTES));
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => SpillError::Changed,
            _ => SpillError::Read(error),
        })?;
        let opened = self.key.open_in_place(nonce(number), Aad::empty(), &mut chunk);
        opened.map_err(|_| SpillError::Changed)?;
        chunk.truncate(length);
        Ok(Bytes::from(chunk))
    }

    #[cfg(test)]
    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

/// The key is one file's and each number seals one chunk: no nonce comes twice.
fn nonce(number: u64) -> Nonce {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    Nonce::assume_unique_for_key([0, 0, 0, 0, a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{noise, settings};
    use super::*;

    const FULL: u64 = SEALED_BYTES;

    fn kept(bytes: &[u8], settings: &SpillSettings) -> Plaintext {
        let mut spill = Spill::new(settings);
        for piece in bytes.chunks(10_007) {
            spill.append(piece).unwrap();
        }
        spill.open(Whole::without_a_check()).unwrap()
    }

    #[test]
    fn what_fits_into_memory_makes_no_file_and_one_byte_more_does() {
        // A directory that is not there: a file would be an error.
        let nowhere = SpillSettings { directory: "/nonexistent".into(), ..settings(200_000) };
        let plaintext = kept(&noise(200_000), &nowhere);
        assert_eq!(plaintext.memory_bytes(), 200_000);
        assert!(plaintext.file().is_none());

        let plaintext = kept(&noise(200_001), &settings(200_000));
        assert!(plaintext.file().is_some());
        assert!(plaintext.memory_bytes() <= 200_000);
        assert_eq!(kept(b"", &nowhere).len(), 0);
    }

    #[test]
    fn memory_is_bounded_whatever_the_length() {
        for memory in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, 150_000, 1 << 20] {
            let plaintext = kept(&noise(3 << 20), &settings(memory));
            assert!(plaintext.memory_bytes() <= memory);
            assert_eq!(plaintext.memory_bytes() % CHUNK_BYTES, 0);
        }
    }

    #[test]
    fn the_file_has_no_name_and_no_plaintext() {
        let folder = tempfile::tempdir().unwrap();
        let settings = SpillSettings { directory: folder.path().to_owned(), ..settings(0) };
        let plain = b"a secret that was told in a call".repeat(10_000);
        let plaintext = kept(&plain, &settings);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

        let file = plaintext.file().unwrap();
        let mut disk = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut disk, 0).unwrap();
        assert_eq!(disk.len(), plain.len() + 5 * TAG_BYTES);
        assert!(!disk.windows(8).any(|window| window == b"a secret"));
        // The same plaintext again is other bytes on the disk: the key is new.
        let again = kept(&plain, &settings);
        let mut other = vec![0; 1000];
        again.file().unwrap().read_exact_at(&mut other, 0).unwrap();
        assert_ne!(other, disk[..1000]);
    }

    #[test]
    fn a_change_on_the_disk_is_noticed_and_ends_the_reading() {
        let plain = noise(3 * CHUNK_BYTES + 100);
        let last = 3 * FULL + 100;
        for place in [0, 17, FULL - 1, FULL, 2 * FULL + 5, 3 * FULL, last, last + 15] {
            let plaintext = kept(&plain, &settings(0));
            let file = plaintext.file().unwrap();
            let mut byte = [0];
            file.read_exact_at(&mut byte, place).unwrap();
            file.write_all_at(&[byte[0] ^ 0x80], place).unwrap();

            let chunk = usize::try_from(place / FULL).unwrap();
            let mut reader = plaintext.read(0, u64::MAX);
            for number in 0..chunk {
                let start = number * CHUNK_BYTES;
                let piece = reader.next().unwrap().unwrap();
                assert_eq!(piece, plain[start..start + CHUNK_BYTES], "the chunks before are right");
            }
            assert!(matches!(reader.next(), Some(Err(SpillError::Changed))), "byte {place}");
            assert!(reader.next().is_none(), "nothing comes after an error");
        }
    }

    #[test]
    fn chunks_that_are_swapped_or_cut_off_are_noticed() {
        let plaintext = kept(&noise(4 * CHUNK_BYTES), &settings(CHUNK_BYTES));
        let file = plaintext.file().unwrap();
        let mut chunks = [vec![0; CHUNK_BYTES + TAG_BYTES], vec![0; CHUNK_BYTES + TAG_BYTES]];
        file.read_exact_at(&mut chunks[0], 0).unwrap();
        file.read_exact_at(&mut chunks[1], FULL).unwrap();
        file.write_all_at(&chunks[1], 0).unwrap();
        file.write_all_at(&chunks[0], FULL).unwrap();
        file.set_len(3 * FULL - 1).unwrap();
        let chunk = CHUNK_BYTES as u64;
        assert!(plaintext.read(0, chunk - 1).next().unwrap().is_ok(), "it is in memory");
        for number in 1..4 {
            let read = plaintext.read(number * chunk, number * chunk).next();
            assert!(matches!(read, Some(Err(SpillError::Changed))), "chunk {number}");
        }
    }

    #[test]
    fn a_full_disk_is_an_error_that_names_the_directory() {
        let full = File::options().read(true).write(true).open("/dev/full").unwrap();
        let mut spill = Spill::new(&settings(0));
        spill.file = Some(SealedFile::new(full).unwrap());
        let error = spill.append(&noise(CHUNK_BYTES)).unwrap_err();
        let SpillError::Write { directory, source } = error else { panic!("{error}") };
        assert_eq!(directory, std::env::temp_dir());
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error_that_names_it() {
        let settings = SpillSettings { directory: "/nonexistent/spill".into(), ..settings(0) };
        let error = Spill::new(&settings).append(&noise(CHUNK_BYTES)).unwrap_err();
        assert!(error.to_string().contains("`/nonexistent/spill`"), "{error}");
    }
}
