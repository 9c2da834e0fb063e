//! The tree's hashes as tiles of 256 (C2SP tlog-tiles), in a folder or in memory.
//!
//! Tiles hold nothing that the entries do not give again: whatever is wrong with a folder, the
//! remedy is to delete it and append all leaf hashes anew. Every file appears whole or not at all,
//! and a published checkpoint's tiles are there before it is: append, [`TileFolder::flush`], then
//! publish. A partial tile goes when its full tile is there.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::file;
use super::merkle::{
    Frontier, Hash, Head, SIZE_MAX, TILE_WIDTH, TileError, TileSource, root, tile_width,
};

/// Bytes of a full tile: 256 hashes of 32.
const TILE_BYTES: usize = 8_192;

/// The path of a tile below the log's folder: `tile/0/x001/x234/067.p/8`.
#[must_use]
pub fn tile_path(level: u8, index: u64, width: u16) -> String {
    format!("tile/{level}/{}", numbered(index, width))
}

/// The last parts of a path: the index in groups of three digits, and the width of a partial tile.
pub(super) fn numbered(index: u64, width: u16) -> String {
    let mut path = format!("{:03}", index % 1_000);
    let mut rest = index / 1_000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1_000);
        rest /= 1_000;
    }
    if width < TILE_WIDTH {
        path.push_str(&format!(".p/{width}"));
    }
    path
}

/// The tiles of a folder, read only: by another process, or at an older checkpoint's size.
#[derive(Clone, Debug)]
pub struct TileFiles {
    folder: PathBuf,
    size: u64,
}

impl TileFiles {
    /// The tiles of the first `size` leaves. Nothing is read yet, and nothing trusted: hold the
    /// root to the checkpoint's.
    #[must_use]
    pub fn new(folder: &Path, size: u64) -> Self {
        Self { folder: folder.to_owned(), size }
    }

    fn path(&self, level: u8, index: u64, width: u16) -> PathBuf {
        self.folder.join(tile_path(level, index, width))
    }

    /// The hashes of a file that must have `width` of them, if it is there.
    fn read(path: PathBuf, width: u16) -> Result<Option<Vec<Hash>>, TileError> {
        match file::read(&path, TILE_BYTES) {
            Ok(Some(bytes)) if bytes.len() == usize::from(width) * 32 => {
                Ok(Some(bytes.as_chunks().0.to_vec()))
            }
            Ok(Some(_)) => Err(TileError::Damaged { path }),
            Ok(None) => Ok(None),
            Err(source) => Err(TileError::File { path, source }),
        }
    }
}

impl TileSource for TileFiles {
    fn size(&self) -> u64 {
        self.size
    }

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, TileError> {
        let path = self.path(level, index, width);
        if let Some(hashes) = Self::read(path.clone(), width)? {
            return Ok(hashes);
        }
        // The full tile takes the place of its partial ones.
        let full = Self::read(self.path(level, index, TILE_WIDTH), TILE_WIDTH)?;
        let mut hashes = full.ok_or(TileError::Missing { path })?;
        hashes.truncate(usize::from(width));
        Ok(hashes)
    }
}

/// The hashes after the last full tile of a level, and how many of them are on disk.
#[derive(Clone, Debug, Default)]
struct Edge {
    hashes: Vec<Hash>,
    written: usize,
}

/// A folder of tiles that grows. One at a time may write to a folder.
#[derive(Debug)]
pub struct TileFolder {
    files: TileFiles,
    edges: Vec<Edge>,
}

impl TileFolder {
    /// Opens the tiles at a checkpoint's head ([`Head::empty`] for a new folder). Tiles beyond it,
    /// left by a crash, are written over by the appends to come.
    ///
    /// # Errors
    /// [`TileError`] if a tile at the edge of the tree is missing or damaged, or if the tiles do
    /// not give the head's root. The remedy is to delete the folder and append all leaves again.
    pub fn open(folder: &Path, head: &Head) -> Result<Self, TileError> {
        let files = TileFiles::new(folder, head.size);
        let mut edges = Vec::new();
        let mut at_level = head.size;
        for level in 0..=7 {
            let index = at_level / u64::from(TILE_WIDTH);
            let width = tile_width(head.size, level, index);
            let hashes = if width == 0 { Vec::new() } else { files.tile(level, index, width)? };
            edges.push(Edge { hashes, written: 0 });
            at_level = index;
        }
        let opened = Self { files, edges };
        if root(&opened, head.size)? != head.root {
            return Err(TileError::OtherRoot { path: folder.to_owned(), size: head.size });
        }
        Ok(opened)
    }

    /// Appends leaf hashes, and writes each tile that they fill.
    ///
    /// # Errors
    /// [`TileError`] if a tile cannot be written or the tree is full. [`TileSource::size`] tells
    /// how many leaves were taken; the others may be appended again.
    pub fn append(&mut self, leaves: &[Hash]) -> Result<(), TileError> {
        leaves.iter().try_for_each(|leaf| self.push(*leaf))
    }

    /// Writes the partial tiles, so that a checkpoint of this size may be published. They last over
    /// a power cut.
    ///
    /// # Errors
    /// [`TileError`] if a tile cannot be written; the checkpoint must not be published.
    pub fn flush(&mut self) -> Result<(), TileError> {
        for (level, edge) in (0..).zip(&mut self.edges) {
            let count = edge.hashes.len();
            if count > edge.written {
                let index = (self.files.size >> (8 * u32::from(level))) / u64::from(TILE_WIDTH);
                let width = u16::try_from(count).unwrap_or(TILE_WIDTH);
                let path = self.files.path(level, index, width);
                write(path.clone(), &edge.hashes)?;
                let folder = path.parent().unwrap_or(&path);
                let synced = file::sync_folder(folder);
                synced.map_err(|source| TileError::File { path, source })?;
                edge.written = count;
            }
        }
        Ok(())
    }

    /// Takes one leaf: first all tiles that it fills are written, then it counts.
    fn push(&mut self, leaf: Hash) -> Result<(), TileError> {
        if self.files.size >= SIZE_MAX {
            return Err(TileError::Beyond { asked: SIZE_MAX, size: SIZE_MAX });
        }
        let last = usize::from(TILE_WIDTH - 1);
        let mut carry = leaf;
        let mut filled = 0;
        let mut index = self.files.size / u64::from(TILE_WIDTH);
        for (level, edge) in (0..).zip(&self.edges) {
            if edge.hashes.len() < last {
                break;
            }
            let tile = [edge.hashes.as_slice(), &[carry]].concat();
            self.fill(level, index, &tile)?;
            carry = tile.into_iter().collect::<Frontier>().head().root;
            filled += 1;
            index /= u64::from(TILE_WIDTH);
        }
        for edge in self.edges.iter_mut().take(filled) {
            *edge = Edge::default();
        }
        if let Some(edge) = self.edges.get_mut(filled) {
            edge.hashes.push(carry);
        }
        self.files.size += 1;
        Ok(())
    }

    /// Writes a full tile and takes its partial ones away.
    fn fill(&self, level: u8, index: u64, hashes: &[Hash]) -> Result<(), TileError> {
        let path = self.files.path(level, index, TILE_WIDTH);
        let mut partial = path.clone();
        write(path, hashes)?;
        partial.as_mut_os_string().push(".p");
        match fs::remove_dir_all(&partial) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                Err(TileError::File { path: partial, source })
            }
            _ => Ok(()),
        }
    }
}

impl TileSource for TileFolder {
    fn size(&self) -> u64 {
        self.files.size
    }

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, TileError> {
        match self.edges.get(usize::from(level)) {
            Some(edge) if width < TILE_WIDTH => Ok(edge.hashes.clone()),
            _ => self.files.tile(level, index, width),
        }
    }
}

fn write(path: PathBuf, hashes: &[Hash]) -> Result<(), TileError> {
    file::replace(&path, hashes.as_flattened()).map_err(|source| TileError::File { path, source })
}

/// The tiles of a tree in memory, for tools: 32 bytes a leaf.
#[derive(Clone, Debug, Default)]
pub struct TileMemory {
    levels: Vec<Vec<Hash>>,
}

impl TileMemory {
    /// Appends leaf hashes.
    pub fn append(&mut self, leaves: &[Hash]) {
        leaves.iter().for_each(|leaf| self.push(*leaf));
    }

    fn push(&mut self, leaf: Hash) {
        let mut carry = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(level) else { return };
            hashes.push(carry);
            let (full, rest) = hashes.as_chunks::<256>();
            match (full.last(), rest) {
                (Some(tile), []) => carry = tile.iter().copied().collect::<Frontier>().head().root,
                _ => return,
            }
        }
    }
}

impl TileSource for TileMemory {
    fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, TileError> {
        let missing = || TileError::Missing { path: tile_path(level, index, width).into() };
        let first = index.checked_mul(u64::from(TILE_WIDTH)).ok_or_else(missing)?;
        let first = usize::try_from(first).map_err(|_| missing())?;
        let hashes = self.levels.get(usize::from(level)).and_then(|level| level.get(first..));
        hashes
            .and_then(|rest| rest.get(..usize::from(width)))
            .map(<[_]>::to_vec)
            .ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use tlog_tiles as theirs;

    use super::super::merkle::{
        consistency_proof, inclusion_proof, is_consistent, is_included, leaf_hash,
    };
    use super::*;

    fn leaves(from: u64, to: u64) -> Vec<Hash> {
        (from..to).map(|index| leaf_hash(&index.to_be_bytes())).collect()
    }

    fn head(size: u64) -> Head {
        leaves(0, size).into_iter().collect::<Frontier>().head()
    }

    /// A folder that was flushed at each of the sizes.
    fn folder(path: &Path, sizes: &[u64]) -> TileFolder {
        let mut tiles = TileFolder::open(path, &Head::empty()).unwrap();
        for size in sizes {
            tiles.append(&leaves(tiles.size(), *size)).unwrap();
            tiles.flush().unwrap();
        }
        tiles
    }

    /// All files below a folder by their path in it.
    fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
        let (mut found, mut open) = (BTreeMap::new(), vec![root.to_owned()]);
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                    found.insert(name, fs::read(path).unwrap());
                }
            }
        }
        found
    }

    struct Theirs(Vec<theirs::Hash>);

    impl theirs::HashReader for Theirs {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<theirs::Hash>, theirs::Error> {
            Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
        }
    }

    /// The files that the Go code's port would write for a tree: path and bytes.
    fn their_files(size: u64) -> BTreeMap<String, Vec<u8>> {
        let mut stored = Theirs(Vec::new());
        for leaf in leaves(0, size) {
            let count = stored.0.len() as u64;
            let index = theirs::split_stored_hash_index(count).1;
            let leaf = theirs::Hash(leaf);
            stored.0.extend(theirs::stored_hashes_for_record_hash(index, leaf, &stored).unwrap());
        }
        let mut files = BTreeMap::new();
        for level in 0..8 {
            for index in 0.. {
                let width = tile_width(size, level, index);
                if width == 0 {
                    break;
                }
                let tile = theirs::Tile::new(8, level, index, width.into(), false);
                let path = tile.path().replacen("tile/8/", "tile/", 1);
                files.insert(path, tile.read_data(&stored).unwrap());
            }
        }
        files
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_files_are_those_of_the_go_code_byte_for_byte(
            a in 0u64..=2_000, b in 0u64..=2_000, c in 0u64..=2_000,
        ) {
            let mut sizes = [a, b, c];
            sizes.sort_unstable();
            let place = tempfile::tempdir().unwrap();
            let tiles = folder(place.path(), &sizes);
            let ours = files(place.path());
            let size = tiles.size();
            for (path, bytes) in their_files(size) {
                prop_assert_eq!(ours.get(&path), Some(&bytes), "{}", path);
            }
            for path in ours.keys() {
                let level: u8 = path.split('/').nth(1).unwrap().parse().unwrap();
                let partial = path.split_once(".p/").is_some();
                let newest = numbered(size >> (8 * (level + 1)), 256);
                prop_assert!(!partial || path.contains(&format!("{newest}.p/")), "{} is left", path);
                prop_assert!(!path.ends_with(".tmp"));
            }
        }

        #[test]
        fn every_published_checkpoint_stays_provable(
            a in 1u64..=1_000, b in 1u64..=1_000, pick: prop::sample::Index,
        ) {
            let (old, size) = (a.min(b), a.max(b));
            let place = tempfile::tempdir().unwrap();
            folder(place.path(), &[old, size]);
            for published in [old, size] {
                let tiles = TileFiles::new(place.path(), published);
                let now = Head { size: published, root: root(&tiles, published).unwrap() };
                prop_assert_eq!(now, head(published));
                let index = pick.index(usize::try_from(published).unwrap()) as u64;
                let proof = inclusion_proof(&tiles, index, published).unwrap();
                prop_assert!(is_included(&leaves(index, index + 1)[0], index, &now, &proof));
            }
            let tiles = TileFiles::new(place.path(), size);
            let proof = consistency_proof(&tiles, old, size).unwrap();
            prop_assert!(is_consistent(&head(old), &head(size), &proof));
        }

        #[test]
        fn a_crash_at_any_size_after_a_checkpoint_loses_nothing(
            published in 0u64..=700, lost in 0u64..=700, flushed: bool,
        ) {
            let place = tempfile::tempdir().unwrap();
            let mut tiles = folder(place.path(), &[published]);
            // Other leaves, as after the ledger itself was put back from a copy.
            tiles.append(&leaves(5_000, 5_000 + lost)).unwrap();
            if flushed {
                tiles.flush().unwrap();
            }
            drop(tiles);
            fs::create_dir_all(place.path().join("tile/0")).unwrap();
            fs::write(place.path().join("tile/0/000.tmp"), b"half").unwrap();

            let mut tiles = TileFolder::open(place.path(), &head(published)).unwrap();
            tiles.append(&leaves(published, 1_500)).unwrap();
            tiles.flush().unwrap();
            let ours = files(place.path());
            for (path, bytes) in their_files(1_500) {
                prop_assert_eq!(ours.get(&path), Some(&bytes), "{}", path);
            }
        }
    }

    #[test]
    fn a_flush_writes_only_the_tiles_that_grew() {
        use std::os::unix::fs::MetadataExt;
        let place = tempfile::tempdir().unwrap();
        let inode = || fs::metadata(place.path().join("tile/1/000.p/1")).unwrap().ino();
        let mut tiles = folder(place.path(), &[300]);
        let before = inode();
        tiles.append(&leaves(300, 310)).unwrap();
        tiles.flush().unwrap();
        assert_eq!(inode(), before);
        assert!(place.path().join("tile/0/001.p/54").exists());
    }

    #[test]
    fn proofs_need_no_flush() {
        let place = tempfile::tempdir().unwrap();
        let mut tiles = TileFolder::open(place.path(), &Head::empty()).unwrap();
        tiles.append(&leaves(0, 700)).unwrap();
        assert_eq!(root(&tiles, 700).unwrap(), head(700).root);
        assert_eq!(root(&tiles, 513).unwrap(), head(513).root);
        assert!(root(&TileFiles::new(place.path(), 700), 700).is_err(), "readers do");
    }

    #[test]
    fn a_tree_of_three_levels_has_the_widths_of_the_specification() {
        let place = tempfile::tempdir().unwrap();
        let tiles = folder(place.path(), &[70_000]);
        let mut memory = TileMemory::default();
        memory.append(&leaves(0, 70_000));
        assert_eq!(root(&tiles, 70_000).unwrap(), root(&memory, 70_000).unwrap());
        let reopened = TileFolder::open(place.path(), &head(70_000)).unwrap();
        assert_eq!(root(&reopened, 66_000).unwrap(), head(66_000).root);
        let files = files(place.path());
        assert_eq!(files.len(), 273 + 1 + 1 + 1 + 1);
        for path in ["tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"] {
            assert!(files.contains_key(path), "{path}");
        }
    }

    #[test]
    fn a_tile_that_is_not_whole_is_an_error_and_never_another_root() {
        let place = tempfile::tempdir().unwrap();
        let edge = place.path().join("tile/0/001.p/44");
        let ruin = |ruined: &dyn Fn()| {
            let _ = fs::remove_dir_all(place.path().join("tile"));
            drop(folder(place.path(), &[300]));
            ruined();
            TileFolder::open(place.path(), &head(300)).map(drop)
        };
        assert!(ruin(&|| ()).is_ok());
        let missing = ruin(&|| fs::remove_file(&edge).unwrap());
        assert!(matches!(missing, Err(TileError::Missing { path }) if path == edge));
        for bytes in [vec![], vec![0; 44 * 32 - 1], vec![0; 44 * 32 + 1], vec![0; 1 << 20]] {
            let damaged = ruin(&|| fs::write(&edge, &bytes).unwrap());
            assert!(matches!(damaged, Err(TileError::Damaged { path }) if path == edge));
        }
        let other = ruin(&|| fs::write(&edge, [7; 44 * 32]).unwrap());
        assert!(matches!(other, Err(TileError::OtherRoot { size: 300, .. })));
        let unreadable = ruin(&|| {
            fs::remove_file(&edge).unwrap();
            fs::create_dir(&edge).unwrap();
        });
        assert!(matches!(unreadable, Err(TileError::File { path, .. }) if path == edge));
    }

    #[test]
    fn leaves_that_could_not_be_written_may_be_appended_again() {
        let place = tempfile::tempdir().unwrap();
        let mut tiles = TileFolder::open(place.path(), &Head::empty()).unwrap();
        let in_the_way = place.path().join("tile/0/000.tmp");
        fs::create_dir_all(&in_the_way).unwrap();
        assert!(tiles.append(&leaves(0, 300)).is_err());
        assert_eq!(tiles.size(), 255, "the leaf that would fill the tile was not taken");
        fs::remove_dir(&in_the_way).unwrap();
        tiles.append(&leaves(255, 300)).unwrap();
        assert_eq!(root(&tiles, 300).unwrap(), head(300).root);
    }

    #[test]
    fn paths_are_grouped_by_three_digits() {
        assert_eq!(tile_path(0, 0, 256), "tile/0/000");
        assert_eq!(tile_path(0, 999, 256), "tile/0/999");
        assert_eq!(tile_path(0, 1_000, 1), "tile/0/x001/000.p/1");
        assert_eq!(tile_path(1, 1_234_067, 256), "tile/1/x001/x234/067");
        for index in [0, 1_000, 1_000_000, 999_999_999, u64::MAX] {
            let theirs = theirs::Tile::new(8, 3, index, 7, false).path();
            assert_eq!(tile_path(3, index, 7), theirs.replacen("tile/8/", "tile/", 1));
        }
    }
}
