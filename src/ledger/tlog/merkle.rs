//! The Merkle tree of RFC 6962: hashes, roots, and the two kinds of proof.
//!
//! Making a proof reads hashes from a [`TileSource`]; checking one needs nothing but the proof.
//! A source is not trusted: from wrong tiles come roots and proofs that do not check.

use std::path::PathBuf;

use aws_lc_rs::digest::{Context, Digest, SHA256, digest};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The hashes in a full tile (tlog-tiles).
pub const TILE_WIDTH: u16 = 256;

/// The levels of the tree between a tile and the next: 256 is two to the eighth.
const TILE_HEIGHT: u32 = 8;

/// LIMIT: leaves in a tree, 2^63 - 1. The Go team's verifiers and SQLite count no further.
pub const SIZE_MAX: u64 = u64::MAX >> 1;

/// A tree at one moment: so many leaves, and the root over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Head {
    /// The tree without leaves; its root is the hash of nothing (RFC 6962 section 2.1).
    #[must_use]
    pub fn empty() -> Self {
        Self { size: 0, root: sha256(&[]) }
    }
}

/// Hashes that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TileError {
    /// A file cannot be read or written.
    #[error("cannot use `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A tile is not there.
    #[error("the tile `{}` is missing: delete the tiles and build them from the ledger", path.display())]
    Missing {
        /// The tile.
        path: PathBuf,
    },
    /// A tile has another length than its place in the tree asks for.
    #[error("the tile `{}` is damaged: delete the tiles and build them from the ledger", path.display())]
    Damaged {
        /// The tile.
        path: PathBuf,
    },
    /// The tiles are whole but belong to another tree.
    #[error("the tiles in `{}` do not give the expected root at {size} leaves: delete them and build them from the ledger", path.display())]
    OtherRoot {
        /// The folder.
        path: PathBuf,
        /// The number of leaves that was expected.
        size: u64,
    },
    /// More leaves were asked for than there are.
    #[error("{asked} is beyond the tree's {size} leaves")]
    Beyond {
        /// The size or the index.
        asked: u64,
        /// The number of leaves.
        size: u64,
    },
}

/// Where the hashes of a tree come from.
pub trait TileSource {
    /// The number of leaves.
    fn size(&self) -> u64;

    /// The first `width` hashes of a tile: what tlog-tiles calls `tile/<level>/<index>[.p/<width>]`.
    /// Only widths that belong to [`Self::size`] are asked for.
    ///
    /// # Errors
    /// [`TileError`] if the tile is not there or not whole.
    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, TileError>;
}

/// The leaf hash of an entry.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    context.update(entry);
    plain(&context.finish())
}

/// The hash of two neighbours.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut both = [1; 65];
    let (_, hashes) = both.split_at_mut(1);
    let (first, second) = hashes.split_at_mut(32);
    first.copy_from_slice(left);
    second.copy_from_slice(right);
    sha256(&both)
}

pub(super) fn sha256(bytes: &[u8]) -> Hash {
    plain(&digest(&SHA256, bytes))
}

fn plain(digest: &Digest) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// The right edge of a tree that grows: one hash for each full subtree. Enough to know the root
/// at every size on the way, in one pass over the leaves.
#[derive(Clone, Debug, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// Adds a leaf hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each bit at the end of the size is a full subtree that the new leaf completes.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The tree so far.
    #[must_use]
    pub fn head(&self) -> Head {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            Some(last) => Head {
                size: self.size,
                root: peaks.fold(*last, |right, left| node_hash(left, &right)),
            },
            None => Head::empty(),
        }
    }
}

impl FromIterator<Hash> for Frontier {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut frontier = Self::default();
        leaves.into_iter().for_each(|leaf| frontier.push(leaf));
        frontier
    }
}

/// The root over the first `size` leaves.
///
/// # Errors
/// [`TileError`] if the source has fewer leaves or lacks a tile.
pub fn root(source: &impl TileSource, size: u64) -> Result<Hash, TileError> {
    Nodes::new(source, size)?.range(0, size)
}

/// Proves that a leaf is in the tree of the first `size` leaves (RFC 9162 section 2.1.3.1).
///
/// # Errors
/// [`TileError`] if the leaf is not among them, the source has fewer leaves, or a tile is missing.
pub fn inclusion_proof(
    source: &impl TileSource,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, TileError> {
    let mut nodes = Nodes::new(source, size)?;
    if index >= size {
        return Err(TileError::Beyond { asked: index, size });
    }
    let (mut from, mut to) = (0, size);
    let mut proof = Vec::new();
    while to - from > 1 {
        let middle = from + left_part(to - from);
        if index < middle {
            proof.push(nodes.range(middle, to)?);
            to = middle;
        } else {
            proof.push(nodes.range(from, middle)?);
            from = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Proves that the tree of the first `size` leaves begins with the tree of the first `old` (RFC
/// 9162 section 2.1.4.1). Nothing proves that a tree begins with nothing or with itself.
///
/// # Errors
/// [`TileError`] if `old` is more than `size`, the source has fewer leaves, or a tile is missing.
pub fn consistency_proof(
    source: &impl TileSource,
    old: u64,
    size: u64,
) -> Result<Vec<Hash>, TileError> {
    let mut nodes = Nodes::new(source, size)?;
    if old > size {
        return Err(TileError::Beyond { asked: old, size });
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    let (mut from, mut to) = (0, size);
    let mut proof = Vec::new();
    while old != to {
        let middle = from + left_part(to - from);
        if old <= middle {
            proof.push(nodes.range(middle, to)?);
            to = middle;
        } else {
            proof.push(nodes.range(from, middle)?);
            from = middle;
        }
    }
    if from > 0 {
        proof.push(nodes.range(from, to)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Whether the proof shows that a leaf is at this index of the tree (RFC 9162 section 2.1.3.2).
/// The head must be a verified checkpoint's: a proof fits other sizes with the same root, too.
#[must_use]
pub fn is_included(leaf: &Hash, index: u64, head: &Head, proof: &[Hash]) -> bool {
    if index >= head.size {
        return false;
    }
    let mut path = Path { node: index, last: head.size - 1 };
    let mut root = *leaf;
    for hash in proof {
        match path.up() {
            Some(Side::Left) => root = node_hash(hash, &root),
            Some(Side::Right) => root = node_hash(&root, hash),
            None => return false,
        }
    }
    path.last == 0 && root == head.root
}

/// Whether the proof shows that the new tree begins with the old one (RFC 9162 section 2.1.4.2).
#[must_use]
pub fn is_consistent(old: &Head, new: &Head, proof: &[Hash]) -> bool {
    if old.size == 0 {
        let unlike_itself = new.size == 0 && new != old;
        return proof.is_empty() && *old == Head::empty() && !unlike_itself;
    }
    if old.size >= new.size {
        return proof.is_empty() && old == new;
    }
    let full_levels = old.size.trailing_zeros();
    // A full old tree is itself a node of the new one, so the proof leaves it out.
    let (seed, rest) = match (old.size.is_power_of_two(), proof.split_first()) {
        (true, _) => (&old.root, proof),
        (false, Some(split)) => split,
        (false, None) => return false,
    };
    let mut path =
        Path { node: (old.size - 1) >> full_levels, last: (new.size - 1) >> full_levels };
    let (mut old_root, mut new_root) = (*seed, *seed);
    for hash in rest {
        match path.up() {
            Some(Side::Left) => {
                old_root = node_hash(hash, &old_root);
                new_root = node_hash(hash, &new_root);
            }
            Some(Side::Right) => new_root = node_hash(&new_root, hash),
            None => return false,
        }
    }
    path.last == 0 && old_root == old.root && new_root == new.root
}

/// On which side of the path a proof's hash stands.
enum Side {
    Left,
    Right,
}

/// The way from a node to the root: its index, and the index of the last node of its level.
struct Path {
    node: u64,
    last: u64,
}

impl Path {
    /// One hash of the proof further up; `None` at the root.
    fn up(&mut self) -> Option<Side> {
        if self.last == 0 {
            return None;
        }
        let side = if self.node & 1 == 1 || self.node == self.last {
            // The last node of its level (never 0 here) rises until it has a left neighbour.
            self.shift(self.node.trailing_zeros());
            Side::Left
        } else {
            Side::Right
        };
        self.shift(1);
        Some(side)
    }

    fn shift(&mut self, levels: u32) {
        self.node >>= levels;
        self.last >>= levels;
    }
}

/// How many of `count` leaves (two or more) are left of the middle: the largest power of two below.
fn left_part(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The nodes of a tree, read from tiles; each tile is read once.
struct Nodes<'a, S> {
    source: &'a S,
    tiles: Vec<(u8, u64, Vec<Hash>)>,
}

impl<'a, S: TileSource> Nodes<'a, S> {
    fn new(source: &'a S, asked: u64) -> Result<Self, TileError> {
        let size = source.size();
        if asked > size {
            return Err(TileError::Beyond { asked, size });
        }
        Ok(Self { source, tiles: Vec::new() })
    }

    /// The root over a range of leaves that begins where a subtree of its size would.
    fn range(&mut self, from: u64, to: u64) -> Result<Hash, TileError> {
        let (mut from, mut parts) = (from, Vec::new());
        while from < to {
            let height = (to - from).ilog2();
            parts.push(self.node(height, from >> height)?);
            from += 1 << height;
        }
        let mut parts = parts.into_iter().rev();
        let last = parts.next().unwrap_or_else(|| Head::empty().root);
        Ok(parts.fold(last, |right, left| node_hash(&left, &right)))
    }

    /// The root of a full subtree: the `index`-th with 2^height leaves.
    fn node(&mut self, height: u32, index: u64) -> Result<Hash, TileError> {
        let within = height % TILE_HEIGHT;
        let first = index << within;
        let level = u8::try_from(height / TILE_HEIGHT).unwrap_or(u8::MAX);
        let width = u64::from(TILE_WIDTH);
        let hashes = self.tile(level, first / width)?;
        let skipped = usize::try_from(first % width).unwrap_or(usize::MAX);
        let subtree = hashes.iter().skip(skipped).take(1 << within);
        Ok(subtree.copied().collect::<Frontier>().head().root)
    }

    fn tile(&mut self, level: u8, index: u64) -> Result<&[Hash], TileError> {
        let known = self.tiles.iter().position(|tile| (tile.0, tile.1) == (level, index));
        let place = known.unwrap_or(self.tiles.len());
        if known.is_none() {
            let width = tile_width(self.source.size(), level, index);
            let hashes = self.source.tile(level, index, width)?;
            if hashes.len() != usize::from(width) {
                let path = super::tiles::tile_path(level, index, width).into();
                return Err(TileError::Damaged { path });
            }
            self.tiles.push((level, index, hashes));
        }
        Ok(self.tiles.get(place).map_or(&[], |tile| tile.2.as_slice()))
    }
}

/// How many hashes a tile has in a tree of this size.
#[must_use]
pub fn tile_width(size: u64, level: u8, index: u64) -> u16 {
    let at_level = size.checked_shr(TILE_HEIGHT * u32::from(level)).unwrap_or(0);
    let rest = at_level.saturating_sub(index.saturating_mul(u64::from(TILE_WIDTH)));
    u16::try_from(rest).map_or(TILE_WIDTH, |rest| rest.min(TILE_WIDTH))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use tlog_tiles as theirs;

    use super::super::tiles::TileMemory;
    use super::*;

    const LEAVES: u64 = 2_000;

    fn leaf(index: u64) -> Hash {
        leaf_hash(&index.to_be_bytes())
    }

    fn tree(size: u64) -> TileMemory {
        let mut tree = TileMemory::default();
        tree.append(&(0..size).map(leaf).collect::<Vec<_>>());
        tree
    }

    fn head(tree: &TileMemory, size: u64) -> Head {
        Head { size, root: root(tree, size).unwrap() }
    }

    /// The same tree as Cloudflare's port of the Go code keeps it.
    struct Theirs(Vec<theirs::Hash>);

    impl theirs::HashReader for Theirs {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<theirs::Hash>, theirs::Error> {
            Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
        }
    }

    static OURS: LazyLock<TileMemory> = LazyLock::new(|| tree(LEAVES));
    static THEIRS: LazyLock<Theirs> = LazyLock::new(|| {
        let mut stored = Theirs(Vec::new());
        for index in 0..LEAVES {
            let new = theirs::stored_hashes(index, &index.to_be_bytes(), &stored).unwrap();
            stored.0.extend(new);
        }
        stored
    });

    fn hashes(proof: Vec<theirs::Hash>) -> Vec<Hash> {
        proof.into_iter().map(|hash| hash.0).collect()
    }

    proptest! {
        #[test]
        fn roots_and_proofs_are_those_of_the_go_code(
            size in 1..=LEAVES, a: prop::sample::Index, b: prop::sample::Index,
        ) {
            let most = usize::try_from(size).unwrap();
            let (index, old) = (a.index(most) as u64, b.index(most) as u64 + 1);
            let (new, old) = (head(&OURS, size), head(&OURS, old));
            prop_assert_eq!(new.root, theirs::tree_hash(size, &*THEIRS).unwrap().0);

            let proof = inclusion_proof(&*OURS, index, size).unwrap();
            prop_assert_eq!(&proof, &hashes(theirs::prove_record(size, index, &*THEIRS).unwrap()));
            prop_assert!(is_included(&leaf(index), index, &new, &proof));

            let proof = consistency_proof(&*OURS, old.size, size).unwrap();
            prop_assert_eq!(&proof, &hashes(theirs::prove_tree(size, old.size, &*THEIRS).unwrap()));
            prop_assert!(is_consistent(&old, &new, &proof));
        }

        #[test]
        fn any_proof_is_judged_without_a_panic(
            leaf: Hash, index: u64, size: u64, old: u64, proof in prop::collection::vec(any::<Hash>(), 0..70),
        ) {
            let new = Head { size, root: leaf };
            let _ = is_included(&leaf, index, &new, &proof);
            let _ = is_included(&leaf, size.saturating_sub(1), &new, &proof);
            let _ = is_consistent(&Head { size: old, root: leaf }, &new, &proof);
        }
    }

    #[test]
    fn a_frontier_knows_the_root_at_every_size() {
        let mut frontier = Frontier::default();
        for index in 0..LEAVES {
            assert_eq!(frontier.head(), head(&OURS, index));
            frontier.push(leaf(index));
        }
        assert_eq!(frontier.head(), head(&OURS, LEAVES));
    }

    #[test]
    fn the_empty_tree_has_the_hash_of_nothing() {
        let empty = Head::empty();
        assert_eq!(empty.root, theirs::EMPTY_HASH.0);
        assert_eq!(head(&tree(0), 0), empty);
        assert!(is_consistent(&empty, &empty, &[]));
        let one = head(&OURS, 1);
        assert!(is_consistent(&empty, &one, &[]));
        assert!(!is_consistent(&empty, &one, &[one.root]), "nothing needs no proof");
        assert!(!is_consistent(&Head { size: 0, ..one }, &one, &[]), "an empty tree with a root");
        assert!(!is_consistent(&empty, &Head { size: 0, ..one }, &[]), "an empty tree with a root");
        assert!(!is_included(&leaf(0), 0, &empty, &[]));
    }

    #[test]
    fn more_than_there_is_cannot_be_proven() {
        let tree = tree(5);
        assert!(matches!(root(&tree, 6), Err(TileError::Beyond { asked: 6, size: 5 })));
        assert!(inclusion_proof(&tree, 5, 5).is_err());
        assert!(inclusion_proof(&tree, 0, 0).is_err());
        assert!(inclusion_proof(&tree, 0, 6).is_err());
        assert!(consistency_proof(&tree, 4, 3).is_err());
        assert!(consistency_proof(&tree, 4, u64::MAX).is_err());
    }

    /// Calls with each copy of the hashes in which one bit is another.
    fn with_each_bit_flipped(hashes: &[Hash], mut call: impl FnMut(&[Hash])) {
        for bit in 0..hashes.len() * 256 {
            let mut changed = hashes.to_vec();
            changed[bit / 256][bit % 256 / 8] ^= 1 << (bit % 8);
            call(&changed);
        }
    }

    #[test]
    fn an_inclusion_proof_with_any_bit_changed_does_not_hold() {
        for size in 1..=9 {
            let new = head(&OURS, size);
            for index in 0..size {
                let (leaf, proof) = (leaf(index), inclusion_proof(&*OURS, index, size).unwrap());
                assert!(is_included(&leaf, index, &new, &proof));
                let all = [&[leaf, new.root], proof.as_slice()].concat();
                with_each_bit_flipped(&all, |changed| {
                    let new = Head { size, root: changed[1] };
                    assert!(!is_included(&changed[0], index, &new, &changed[2..]));
                });
                for other in (0..=size).filter(|other| *other != index) {
                    assert!(!is_included(&leaf, other, &new, &proof), "at another index");
                }
                assert!(!is_included(&leaf, index, &new, &[&proof[..], &[leaf]].concat()));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!is_included(&leaf, index, &new, shorter));
                }
            }
        }
    }

    #[test]
    fn a_consistency_proof_with_any_bit_changed_does_not_hold() {
        for size in 1..=9 {
            for old in 1..=size {
                let (old, new) = (head(&OURS, old), head(&OURS, size));
                let proof = consistency_proof(&*OURS, old.size, size).unwrap();
                assert!(is_consistent(&old, &new, &proof));
                let all = [&[old.root, new.root], proof.as_slice()].concat();
                with_each_bit_flipped(&all, |changed| {
                    let (old, new) =
                        (Head { root: changed[0], ..old }, Head { root: changed[1], ..new });
                    assert!(!is_consistent(&old, &new, &changed[2..]));
                });
                assert!(!is_consistent(&old, &new, &[&proof[..], &[old.root]].concat()));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!is_consistent(&old, &new, shorter));
                }
                if old.size < size {
                    assert!(!is_consistent(&new, &old, &proof), "a tree does not shrink");
                }
            }
        }
    }

    #[test]
    fn a_tree_that_grew_has_another_root() {
        let old = head(&OURS, 4);
        assert!(!is_consistent(&old, &Head { size: 8, ..old }, &[]));
        assert!(!is_consistent(&old, &Head { size: 5, ..old }, &[]));
        assert!(!is_included(&old.root, 0, &Head { size: 8, ..old }, &[]));
    }

    #[test]
    fn a_tile_of_another_length_is_damaged() {
        struct Short(TileMemory);
        impl TileSource for Short {
            fn size(&self) -> u64 {
                self.0.size()
            }
            fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, TileError> {
                self.0.tile(level, index, width - 1)
            }
        }
        assert!(matches!(root(&Short(tree(300)), 300), Err(TileError::Damaged { .. })));
    }

    #[test]
    fn widths_are_those_of_the_specification() {
        let widths = |level, index| tile_width(70_000, level, index);
        assert_eq!((widths(0, 272), widths(0, 273), widths(0, 274)), (256, 112, 0));
        assert_eq!((widths(1, 0), widths(1, 1), widths(2, 0), widths(3, 0)), (256, 17, 1, 0));
        assert_eq!(tile_width(u64::MAX, u8::MAX, u64::MAX), 0);
    }
}
