//! The projection that proves that nothing was changed: the tree over all entries, its tiles, and
//! the checkpoints that are signed, kept, and sent to others.
//!
//! A checkpoint is signed only if it goes on from the last one that this gate has seen (which lies
//! in its own folder, apart from the entries) and from the last one in the store. One gate at a
//! time signs; the others hold what it signs against their own tree.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::OpenError;
use super::follow::Projection;
use super::outlets::Outlets;
use super::store::{Checkpointed, Leaf, Store, Stored};
use super::tlog::checkpoint::Checkpoint;
use super::tlog::file;
use super::tlog::key::{Signer, VerifierKey};
use super::tlog::merkle::{Frontier, Head, TILE_WIDTH, TileSource, leaf_hash, root, tile_width};
use super::tlog::note::Note;
use super::tlog::tiles::TileFolder;
use super::writer::{Writer, full};

/// The newest checkpoint in the ledger's folder.
pub(super) const CHECKPOINT_FILE: &str = "checkpoint";

/// How far apart the checkpoints are that stay in the store.
const KEEP_EVERY: Duration = Duration::from_secs(3600);

/// How many of the newest entries are held against what was signed at each start. All of them are
/// what `ledger verify` is for.
const HELD: u64 = 100_000;

/// How many hashes are read at once.
const STEP: usize = 65_536;

/// The tree and who signs it.
#[derive(Debug)]
pub(super) struct Signing {
    folder: PathBuf,
    tree: TileFolder,
    origin: String,
    signer: Signer,
    every: Duration,
    /// The newest checkpoint that was seen, here or in the store.
    last: Head,
    signed: Option<Instant>,
    /// The last checkpoint that stays in the store, and since when.
    anchor: (u64, Instant),
    writer: Option<Arc<Writer>>,
    outlets: Outlets,
}

impl Signing {
    /// Holds the store against the last checkpoints, and makes the tree ready.
    ///
    /// # Errors
    /// [`OpenError::Derived`] if the store does not hold what was signed.
    pub(super) fn open(
        store: &mut dyn Store,
        folder: &Path,
        signer: Signer,
        origin: &str,
        every: Duration,
        outlets: Outlets,
    ) -> Result<Self, OpenError> {
        let fail =
            |problem: String| OpenError::Derived { folder: folder.display().to_string(), problem };
        std::fs::create_dir_all(folder).map_err(|error| fail(error.to_string()))?;
        let known = [signer.verifier().clone()];
        let seen = read_checkpoint(folder, origin, &known).map_err(fail)?;
        let kept = store.last_checkpoint()?;
        let kept = kept.map(|kept| verified(&kept.note, origin, &known)).transpose();
        let kept = kept.map_err(|problem| fail(format!("the store's checkpoint: {problem}")))?;
        let next = store.last()?.map_or(0, |(seq, _)| seq + 1);
        for head in [&seen, &kept].into_iter().flatten() {
            if head.size > next {
                return Err(fail(format!(
                    "it holds a checkpoint over {} entries, but the ledger has {next}: it was \
                     replaced by an older copy. Put the newer one back. If that is lost for good, \
                     move the folder away: others who hold the checkpoint can still tell",
                    head.size
                )));
            }
        }
        let last = seen.iter().chain(&kept).max_by_key(|head| head.size).copied();
        let tree = match &last {
            Some(head) => {
                let signed = [&seen, &kept];
                let tree = open_tree(store, folder, head).map_err(fail)?;
                let tree = if holds_newest(store, &tree).map_err(fail)? {
                    tree
                } else {
                    // The tiles or the entries are not what was signed. The tiles are kept if it
                    // is the entries: they tell which.
                    hold_all(store, head).map_err(fail)?;
                    rebuild_tree(store, folder, head.size).map_err(fail)?
                };
                hold_signed(&tree, &signed).map_err(fail)?;
                tree
            }
            None => rebuild_tree(store, folder, 0).map_err(fail)?,
        };
        Ok(Self {
            folder: folder.to_owned(),
            tree,
            origin: origin.to_owned(),
            signer,
            every,
            anchor: (last.as_ref().map_or(0, |head| head.size), Instant::now()),
            last: last.unwrap_or_else(Head::empty),
            signed: None,
            writer: None,
            outlets,
        })
    }

    /// Has this writer asked whether this gate is the one that signs.
    pub(super) fn asking(mut self, writer: &Arc<Writer>) -> Self {
        self.writer = Some(Arc::clone(writer));
        self
    }

    /// Holds what another gate has signed against this tree.
    fn see(&mut self, store: &mut dyn Store) -> Result<(), String> {
        let Some(kept) = store.last_checkpoint().map_err(|error| full(&error))? else {
            return Ok(());
        };
        if kept.size <= self.last.size || kept.size > self.tree.size() {
            return Ok(());
        }
        let known = [self.signer.verifier().clone()];
        let head = verified(&kept.note, &self.origin, &known)?;
        let own = root(&self.tree, head.size).map_err(|error| full(&error))?;
        if own != head.root {
            return Err(format!(
                "the checkpoint over {} entries is not what this gate has read; entries were \
                 changed. Nothing more is signed here: run `noticegate ledger verify`",
                head.size
            ));
        }
        self.keep(&kept.note)?;
        self.last = head;
        Ok(())
    }

    fn sign(&mut self, store: &mut dyn Store) -> Result<(), String> {
        let size = self.tree.size();
        let fail = |error: &dyn std::error::Error| full(error);
        self.tree.flush().map_err(|error| fail(&error))?;
        let head = Head { size, root: root(&self.tree, size).map_err(|error| fail(&error))? };
        let checkpoint = Checkpoint { origin: self.origin.clone(), head, extensions: Vec::new() };
        let note = checkpoint.sign(&self.signer).map_err(|error| fail(&error))?;
        self.publish(store, size, &note)?;
        let before = std::mem::replace(&mut self.last, head);
        self.thin_out(store, before.size)?;
        self.signed = Some(Instant::now());
        let cosigned = self.outlets.send(&note, size, &self.tree)?;
        if let Some(note) = cosigned {
            self.publish(store, size, &note)?;
        }
        Ok(())
    }

    /// One checkpoint of each hour stays: any later one says all that those between them did.
    fn thin_out(&mut self, store: &mut dyn Store, before: u64) -> Result<(), String> {
        let (kept, since) = self.anchor;
        if before > kept {
            store.forget_checkpoint(before).map_err(|error| full(&error))?;
        }
        if since.elapsed() >= KEEP_EVERY {
            self.anchor = (self.last.size, Instant::now());
        }
        Ok(())
    }

    /// First here, apart from the entries: what was signed must never be forgotten.
    fn publish(&self, store: &mut dyn Store, size: u64, note: &Note) -> Result<(), String> {
        let note = note.to_string();
        self.keep(&note)?;
        store.put_checkpoint(&Checkpointed { size, note }).map_err(|error| full(&error))
    }

    fn keep(&self, note: &str) -> Result<(), String> {
        let path = self.folder.join(CHECKPOINT_FILE);
        file::replace(&path, note.as_bytes())
            .map_err(|error| format!("cannot write `{}`: {error}", path.display()))
    }
}

impl Projection for Signing {
    fn name(&self) -> &'static str {
        "checkpoints"
    }

    fn next(&mut self) -> Result<u64, String> {
        Ok(self.tree.size())
    }

    fn take(&mut self, entries: &[Stored], _store: &mut dyn Store) -> Result<(), String> {
        for (expected, stored) in (self.tree.size()..).zip(entries) {
            if stored.seq != expected || leaf_hash(&stored.bytes) != stored.leaf {
                return Err(format!(
                    "entry {expected} is missing or is not what was hashed. Nothing more is \
                     signed: run `noticegate ledger verify`"
                ));
            }
        }
        let leaves: Vec<Leaf> = entries.iter().map(|stored| stored.leaf).collect();
        self.tree.append(&leaves).map_err(|error| full(&error))
    }

    fn settle(&mut self, store: &mut dyn Store, at_the_end: bool) -> Result<(), String> {
        store.tidy().map_err(|error| full(&error))?;
        self.see(store)?;
        let due = at_the_end || self.signed.is_none_or(|signed| signed.elapsed() >= self.every);
        let leads = self.writer.as_ref().is_some_and(|writer| writer.leads());
        if leads && due && self.tree.size() > self.last.size {
            self.sign(store)?;
        }
        Ok(())
    }
}

/// The checkpoint in the folder, if there is one.
pub(super) fn read_checkpoint(
    folder: &Path,
    origin: &str,
    known: &[VerifierKey],
) -> Result<Option<Head>, String> {
    let path = folder.join(CHECKPOINT_FILE);
    match std::fs::read_to_string(&path) {
        Ok(note) => verified(&note, origin, known)
            .map(Some)
            .map_err(|problem| format!("`{}`: {problem}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("`{}`: {error}", path.display())),
    }
}

/// What a checkpoint says, if this ledger's key signed it.
pub(super) fn verified(note: &str, origin: &str, known: &[VerifierKey]) -> Result<Head, String> {
    let note = Note::parse(note.as_bytes()).map_err(|error| full(&error))?;
    let checkpoint = Checkpoint::open(&note, origin, known).map_err(|error| full(&error))?;
    Ok(checkpoint.head)
}

/// Whether the newest hashes in the store are those in the tiles, and the tiles can be read: they may
/// be whole while the entries are not those that they were made of.
fn holds_newest(store: &mut dyn Store, tree: &TileFolder) -> Result<bool, String> {
    let size = tree.size();
    let width = u64::from(TILE_WIDTH);
    for index in size.saturating_sub(HELD) / width..size.div_ceil(width) {
        let Ok(tile) = tree.tile(0, index, tile_width(size, 0, index)) else { return Ok(false) };
        let leaves = store.leaves(index * width, tile.len()).map_err(|error| full(&error))?;
        if leaves != tile {
            return Ok(false);
        }
    }
    Ok(true)
}

/// All hashes in the store must be those that were signed.
fn hold_all(store: &mut dyn Store, head: &Head) -> Result<(), String> {
    let mut frontier = Frontier::default();
    let mut next = 0;
    while next < head.size {
        let missing = usize::try_from(head.size - next).unwrap_or(STEP).min(STEP);
        let leaves = store.leaves(next, missing).map_err(|error| full(&error))?;
        if leaves.is_empty() {
            break;
        }
        next += leaves.len() as u64;
        leaves.into_iter().for_each(|leaf| frontier.push(leaf));
    }
    if frontier.head() == *head { Ok(()) } else { Err(not_signed(head.size)) }
}

fn not_signed(size: u64) -> String {
    format!(
        "the ledger's first {size} entries are not those that were signed: run `noticegate ledger \
         verify`"
    )
}

/// The tree must be what was signed, here and in the store.
fn hold_signed(tree: &TileFolder, signed: &[&Option<Head>]) -> Result<(), String> {
    for signed in signed.iter().filter_map(|signed| signed.as_ref()) {
        if root(tree, signed.size).map_err(|error| full(&error))? != signed.root {
            return Err(not_signed(signed.size));
        }
    }
    Ok(())
}

fn open_tree(store: &mut dyn Store, folder: &Path, head: &Head) -> Result<TileFolder, String> {
    match TileFolder::open(folder, head) {
        Ok(tree) => Ok(tree),
        Err(_) => rebuild_tree(store, folder, head.size),
    }
}

/// Makes the tiles anew from the hashes in the store.
fn rebuild_tree(store: &mut dyn Store, folder: &Path, size: u64) -> Result<TileFolder, String> {
    let tiles = folder.join("tile");
    match std::fs::remove_dir_all(&tiles) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("cannot remove `{}`: {error}", tiles.display()));
        }
        _ => {}
    }
    let mut tree = TileFolder::open(folder, &Head::empty()).map_err(|error| full(&error))?;
    // What was pruned comes along: only hashes of it are left.
    let least = size.max(store.first().map_err(|error| full(&error))?);
    while tree.size() < least {
        let missing = usize::try_from(least - tree.size()).unwrap_or(STEP).min(STEP);
        let leaves = store.leaves(tree.size(), missing).map_err(|error| full(&error))?;
        if leaves.is_empty() {
            return Err("the store lacks hashes of its entries".to_owned());
        }
        tree.append(&leaves).map_err(|error| full(&error))?;
    }
    tree.flush().map_err(|error| full(&error))?;
    Ok(tree)
}
