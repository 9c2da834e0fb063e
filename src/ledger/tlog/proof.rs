//! One entry's proof in one file (C2SP tlog-proof), to be checked offline by whoever holds the
//! entry and the keys.

use std::fmt;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::key::VerifierKey;
use super::line;
use super::merkle::{Hash, is_included};
use super::note::{NOTE_BYTES_MAX, Note, Signed};

/// The first line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// LIMIT: hashes in a proof, the height of the highest tree.
pub(super) const HASHES_MAX: usize = 63;

/// LIMIT: bytes of a proof's extra part; ours has none.
const EXTRA_BYTES_MAX: usize = 64 << 10;

/// LIMIT: bytes of a proof's text: its note, the extra part in base64, and 64 lines.
const PROOF_BYTES_MAX: usize = NOTE_BYTES_MAX + EXTRA_BYTES_MAX / 3 * 4 + (8 << 10);

/// A proof that does not prove.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The bytes are not a proof.
    #[error("not a proof: {0}")]
    Malformed(&'static str),
    /// Its checkpoint is at fault.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The entry is not where the proof says.
    #[error(
        "the proof does not hold: the entry is not number {index} of the log at {size} entries, or was changed"
    )]
    False {
        /// The entry's index.
        index: u64,
        /// The checkpoint's size.
        size: u64,
    },
}

/// The proof that an entry is in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryProof {
    /// Whatever comes with it. Nothing vouches for it.
    pub extra: Option<Vec<u8>>,
    /// The entry's index in the log.
    pub index: u64,
    /// The inclusion proof, from the leaf's neighbour upwards.
    pub hashes: Vec<Hash>,
    /// The checkpoint, with its cosignatures.
    pub checkpoint: Note,
}

impl EntryProof {
    /// Reads a proof.
    ///
    /// # Errors
    /// [`ProofError`] if the bytes are not one.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        let malformed = ProofError::Malformed;
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(malformed("it is too long"));
        }
        let text = str::from_utf8(bytes).map_err(|_| malformed("not UTF-8"))?;
        let (head, note) = text.split_once("\n\n").ok_or(malformed("no empty line"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(malformed("the first line is not `c2sp.org/tlog-proof@v1`"));
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = extra.map(|line| parse_extra(line).ok_or(malformed("the extra line")));
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(line::number).ok_or(malformed("the index line"))?;
        let hashes = hashes(lines).ok_or(malformed("the hashes"))?;
        let checkpoint = Note::parse(note.as_bytes()).map_err(CheckpointError::Note)?;
        Ok(Self { extra: extra.transpose()?, index, hashes, checkpoint })
    }

    /// Checks everything: that a key of the log signed the checkpoint, which of the known
    /// witnesses cosigned it, and that the leaf is in it. How many witnesses are enough is the
    /// caller's policy.
    ///
    /// # Errors
    /// [`ProofError`] if the checkpoint or a known witness's cosignature is false, or the leaf is
    /// not at the proof's index.
    pub fn verify<'a>(
        &'a self,
        leaf: &Hash,
        origin: &str,
        log: &[VerifierKey],
        witnesses: &'a [VerifierKey],
    ) -> Result<(Checkpoint, Vec<Signed<'a>>), ProofError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, origin, log)?;
        let cosigned = self.checkpoint.signed_by(witnesses).map_err(CheckpointError::Note)?;
        if is_included(leaf, self.index, &checkpoint.head, &self.hashes) {
            Ok((checkpoint, cosigned))
        } else {
            Err(ProofError::False { index: self.index, size: checkpoint.head.size })
        }
    }
}

/// As it is stored, in a file that ends in `.tlog-proof`.
impl fmt::Display for EntryProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = self.extra.as_ref().filter(|extra| !extra.is_empty()) {
            writeln!(f, "extra {}", line::base64(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{}", line::base64(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

fn parse_extra(line: &str) -> Option<Vec<u8>> {
    let extra = line::bytes(line.strip_prefix("extra ")?)?;
    Some(extra).filter(|extra| !extra.is_empty() && extra.len() <= EXTRA_BYTES_MAX)
}

/// Hashes, one a line, as many as a proof may have.
pub(super) fn hashes<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Vec<Hash>> {
    let mut hashes = Vec::new();
    for line in lines {
        hashes.push(line::hash(line).filter(|_| hashes.len() < HASHES_MAX)?);
    }
    Some(hashes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::key::{Cosigner, Signer};
    use super::super::merkle::{Head, inclusion_proof, leaf_hash, root};
    use super::super::tiles::TileMemory;
    use super::*;

    const ORIGIN: &str = "example.com/log";

    struct Made {
        proof: EntryProof,
        log: [VerifierKey; 1],
        witnesses: [VerifierKey; 1],
    }

    /// The proof of entry `index` of a log of `size`, with one witness.
    fn made(index: u64, size: u64) -> Made {
        let (signer, _) = Signer::generate(ORIGIN).unwrap();
        let cosigner = Cosigner::try_from(Signer::generate("witness").unwrap().0).unwrap();
        let mut tree = TileMemory::default();
        tree.append(&(0..size).map(leaf).collect::<Vec<_>>());
        let head = Head { size, root: root(&tree, size).unwrap() };
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), head, extensions: vec![] };
        let note = checkpoint.sign(&signer).unwrap();
        let cosigned = cosigner.sign(note.text(), 7).unwrap();
        let hashes = inclusion_proof(&tree, index, size).unwrap();
        Made {
            proof: EntryProof {
                extra: None,
                index,
                hashes,
                checkpoint: note.with(cosigned).unwrap(),
            },
            log: [signer.verifier().clone()],
            witnesses: [cosigner.verifier().clone()],
        }
    }

    fn leaf(index: u64) -> Hash {
        leaf_hash(&index.to_be_bytes())
    }

    #[test]
    fn a_proof_in_a_file_proves_its_entry_and_no_other() {
        let Made { proof, log, witnesses } = made(3, 7);
        let text = proof.to_string();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 3\n"));
        let read = EntryProof::parse(text.as_bytes()).unwrap();
        assert_eq!(read, proof);
        let (checkpoint, cosigned) = read.verify(&leaf(3), ORIGIN, &log, &witnesses).unwrap();
        assert_eq!((checkpoint.head.size, cosigned.len(), cosigned[0].time), (7, 1, Some(7)));
        let other = read.verify(&leaf(4), ORIGIN, &log, &witnesses);
        assert_eq!(other, Err(ProofError::False { index: 3, size: 7 }));
        assert!(read.verify(&leaf(3), "example.com/other", &log, &witnesses).is_err());
        assert!(read.verify(&leaf(3), ORIGIN, &[], &witnesses).is_err());
        assert_eq!(read.verify(&leaf(3), ORIGIN, &log, &[]).unwrap().1, []);
    }

    #[test]
    fn a_proof_with_any_bit_changed_proves_nothing() {
        let Made { proof, log, witnesses } = made(3, 7);
        let text = proof.to_string().into_bytes();
        for bit in 0..text.len() * 8 {
            let mut changed = text.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let Ok(read) = EntryProof::parse(&changed) else { continue };
            // A witness whose name or id was changed is nobody; all else is an error.
            let proven = read.verify(&leaf(3), ORIGIN, &log, &witnesses);
            assert!(proven.is_err() || proven.is_ok_and(|proven| proven.1.is_empty()), "{bit}");
        }
    }

    #[test]
    fn what_comes_with_a_proof_comes_back() {
        let mut proof = made(0, 1).proof;
        proof.extra = Some(b"anything".to_vec());
        assert_eq!(EntryProof::parse(proof.to_string().as_bytes()).unwrap(), proof);
        proof.extra = Some(Vec::new());
        let read = EntryProof::parse(proof.to_string().as_bytes()).unwrap();
        assert_eq!(read.extra, None, "nothing is left out");
    }

    #[test]
    fn a_proof_has_one_form() {
        let text = made(3, 7).proof.to_string();
        let index = |to: &str| text.replace("index 3\n", to);
        for text in [
            text.replace("@v1", "@v2"),
            index(""),
            index("index 03\n"),
            index("index\n"),
            index("extra \nindex 3\n"),
            index("extra !\nindex 3\n"),
            index("extra AA==\nextra AA==\nindex 3\n"),
            index("index 3\nextra AA==\n"),
            index(&format!("index 3\n{}", (line::base64(&[0; 32]) + "\n").repeat(HASHES_MAX))),
            text.replace('\n', "\r\n"),
            text.replacen("\n\n", "\n", 1),
            text.trim_end().to_owned(),
        ] {
            assert!(EntryProof::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic_and_have_one_form(
            bytes: Vec<u8>, head in "(extra [A-D]{0,4}\n)?(index [0-9]{0,3}\n)?([a-z]{43}=\n){0,2}\n",
        ) {
            let near = format!("{HEADER}\n{head}{}", made(0, 1).proof.checkpoint);
            for bytes in [bytes, near.into_bytes()] {
                if let Ok(proof) = EntryProof::parse(&bytes) {
                    prop_assert_eq!(proof.to_string().into_bytes(), bytes);
                }
            }
        }
    }
}
