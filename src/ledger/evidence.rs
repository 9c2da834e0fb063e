//! What convinces somebody who trusts nobody here: the proof of one entry, and all entries as a
//! folder that programs of others verify.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::ReviewError;
use super::store::{Access, Checkpointed, Place, Store, StoreError, TILE_LEAVES};
use super::tlog::bundle::{bundle_path, encode};
use super::tlog::checkpoint::Checkpoint;
use super::tlog::merkle::{Head, inclusion_proof, is_included, leaf_hash, root};
use super::tlog::note::Note;
use super::tlog::proof::EntryProof;
use super::tlog::tiles::{TileFiles, TileFolder, TileMemory};
use super::writer::full;
use super::{VERIFIER, tlog};
use crate::config;

/// How many hashes are read at once.
const STEP: usize = 65_536;

/// What verifies a bundle with nothing but Python and openssl, and with the Go team's code.
const VERIFY_PY: &str = include_str!("tlog/verify.py");
const VERIFY_GO: &str = include_str!("tlog/verify.go");
const README: &str = include_str!("tlog/bundle.txt");

/// Evidence that cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Review(#[from] ReviewError),
    /// No checkpoint covers it.
    #[error("no checkpoint covers entry {0} yet; a running gate signs one every second")]
    NotSigned(u64),
    /// The entries are not those that were signed.
    #[error(
        "the entries are not those that the last checkpoint signs; run `noticegate ledger verify`"
    )]
    NotWhatWasSigned,
    /// A file or a proof cannot be made.
    #[error("cannot make `{}`: {problem}", path.display())]
    Make {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
}

impl From<StoreError> for EvidenceError {
    fn from(error: StoreError) -> Self {
        Self::Review(error.into())
    }
}

/// The proof that an entry is in the ledger under the last checkpoint (C2SP tlog-proof), and the
/// exact bytes of the entry, if they were not pruned.
///
/// # Errors
/// [`EvidenceError`] if no checkpoint covers it, or the entries are not what was signed.
pub fn prove(
    settings: &config::Ledger,
    seq: u64,
) -> Result<(String, Option<Vec<u8>>), EvidenceError> {
    let mut store = Place::of(settings).open(Access::Read)?;
    let (note, head) = last_checkpoint(&mut *store)?.ok_or(EvidenceError::NotSigned(seq))?;
    if seq >= head.size {
        return Err(EvidenceError::NotSigned(seq));
    }
    let mut tree = TileMemory::default();
    read_leaves(&mut *store, head.size, |leaves| {
        tree.append(leaves);
        Ok(())
    })?;
    if root(&tree, head.size).ok() != Some(head.root) {
        return Err(EvidenceError::NotWhatWasSigned);
    }
    let hashes =
        inclusion_proof(&tree, seq, head.size).map_err(|_| EvidenceError::NotWhatWasSigned)?;
    let proof = EntryProof { extra: None, index: seq, hashes, checkpoint: note };
    let bytes = store.at(&[seq])?.pop().map(|stored| stored.bytes);
    Ok((proof.to_string(), bytes))
}

/// The same, from the tiles that a gate keeps: a few files instead of every leaf, and nothing about
/// any other entry. Where they are behind, every leaf is read.
///
/// # Errors
/// As for [`prove`].
pub fn prove_quickly(
    settings: &config::Ledger,
    seq: u64,
) -> Result<(String, Option<Vec<u8>>), EvidenceError> {
    let mut store = Place::of(settings).open(Access::Read)?;
    let (note, head) = last_checkpoint(&mut *store)?.ok_or(EvidenceError::NotSigned(seq))?;
    let tiles = TileFiles::new(&settings.directory, head.size);
    let is_kept = seq < head.size && root(&tiles, head.size).ok() == Some(head.root);
    let Some(hashes) = is_kept.then(|| inclusion_proof(&tiles, seq, head.size).ok()).flatten()
    else {
        return prove(settings, seq);
    };
    let bytes = store.at(&[seq])?.pop().map(|stored| stored.bytes);
    if let Some(bytes) = &bytes
        && !is_included(&leaf_hash(bytes), seq, &head, &hashes)
    {
        return Err(EvidenceError::NotWhatWasSigned);
    }
    let proof = EntryProof { extra: None, index: seq, hashes, checkpoint: note };
    Ok((proof.to_string(), bytes))
}

/// Writes all entries that the last checkpoint covers into a new folder, with their tree, what
/// verifies it, and instructions. Returns how many there are.
///
/// # Errors
/// [`EvidenceError`]; what is in the folder then is not whole.
pub fn bundle(
    settings: &config::Ledger,
    folder: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<u64, EvidenceError> {
    let fail = |problem: String| EvidenceError::Make { path: folder.to_owned(), problem };
    let mut store = Place::of(settings).open(Access::Read)?;
    let (note, head) = last_checkpoint(&mut *store)?.ok_or(EvidenceError::NotSigned(0))?;
    let verifier = store.property(VERIFIER)?.unwrap_or_default();
    std::fs::create_dir(folder).map_err(|error| fail(error.to_string()))?;
    let mut tree = TileFolder::open(folder, &Head::empty()).map_err(|error| fail(full(&error)))?;
    read_leaves(&mut *store, head.size, |leaves| {
        tree.append(leaves).map_err(|error| fail(full(&error)))
    })?;
    tree.flush().map_err(|error| fail(full(&error)))?;
    if root(&tree, head.size).ok() != Some(head.root) {
        return Err(EvidenceError::NotWhatWasSigned);
    }
    let first = store.first()?;
    let mut next = first;
    while next < head.size {
        let width = TILE_LEAVES.min(head.size - next);
        let entries = store.read(next, usize::try_from(width).unwrap_or(0))?;
        let entries: Vec<&[u8]> = entries.iter().map(|stored| stored.bytes.as_slice()).collect();
        let bundle = encode(&entries).map_err(|error| fail(full(&error)))?;
        let width = u16::try_from(width).unwrap_or(u16::MAX);
        write(&folder.join(bundle_path(next / TILE_LEAVES, width)), &bundle)?;
        next += u64::from(width);
        progress(next, head.size);
    }
    let about = README
        .replace("{origin}", &origin(&note))
        .replace("{size}", &head.size.to_string())
        .replace("{first}", &first.to_string());
    write(&folder.join("log.vkey"), format!("{verifier}\n").as_bytes())?;
    write(&folder.join("verify.py"), VERIFY_PY.as_bytes())?;
    write(&folder.join("verify.go"), VERIFY_GO.as_bytes())?;
    write(&folder.join("README.txt"), about.as_bytes())?;
    // Last: a folder without it is not whole.
    write(&folder.join(super::sign::CHECKPOINT_FILE), note.to_string().as_bytes())?;
    Ok(head.size)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), EvidenceError> {
    let make = |error: std::io::Error| EvidenceError::Make {
        path: path.to_owned(),
        problem: error.to_string(),
    };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(make)?;
    }
    std::fs::File::create(path).and_then(|mut file| file.write_all(bytes)).map_err(make)
}

fn origin(note: &Note) -> String {
    Checkpoint::parse(note.text()).map(|checkpoint| checkpoint.origin).unwrap_or_default()
}

/// The last checkpoint, whose signature is for the reader of the evidence to verify.
fn last_checkpoint(store: &mut dyn Store) -> Result<Option<(Note, Head)>, EvidenceError> {
    let Some(Checkpointed { note, .. }) = store.last_checkpoint()? else { return Ok(None) };
    let note = Note::parse(note.as_bytes()).map_err(|_| EvidenceError::NotWhatWasSigned)?;
    let head = Checkpoint::parse(note.text()).map_err(|_| EvidenceError::NotWhatWasSigned)?.head;
    Ok(Some((note, head)))
}

fn read_leaves(
    store: &mut dyn Store,
    size: u64,
    mut each: impl FnMut(&[tlog::merkle::Hash]) -> Result<(), EvidenceError>,
) -> Result<(), EvidenceError> {
    let mut next = 0;
    while next < size {
        let limit = usize::try_from(size - next).unwrap_or(STEP).min(STEP);
        let leaves = store.leaves(next, limit)?;
        if leaves.is_empty() {
            return Err(EvidenceError::NotWhatWasSigned);
        }
        each(&leaves)?;
        next += leaves.len() as u64;
    }
    Ok(())
}
