//! Drafts on disk: a file of JSON each, written beside and renamed, so that a file is always whole.

use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{Draft, DraftId};

/// LIMIT: drafts that are listed, the newest ones. Nobody keeps that many in mind.
const DRAFTS_MAX: usize = 1_000;

/// The folder of the drafts.
#[derive(Clone, Debug)]
pub struct Drafts {
    folder: PathBuf,
}

/// Drafts cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such draft.
    #[error("there is no such draft")]
    NoSuchDraft,
    /// The operating system refuses.
    #[error("the drafts in `{}` cannot be used", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not a draft.
    #[error("`{}` is not a draft", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> StoreError {
    move |source| StoreError::Io { path: path.to_owned(), source }
}

impl Drafts {
    /// Drafts in a folder. It is made when the first one is kept.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn path(&self, id: &DraftId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    /// One draft.
    ///
    /// # Errors
    /// [`StoreError`] if there is none or it cannot be read.
    pub fn read(&self, id: &DraftId) -> Result<Draft, StoreError> {
        read(&self.path(id))
    }

    /// All of them, what was changed last first. A file that is not a draft is left out, and the log
    /// says so.
    ///
    /// # Errors
    /// [`StoreError`] if the folder cannot be read.
    pub fn all(&self) -> Result<Vec<Draft>, StoreError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(&self.folder)(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(io(&self.folder))?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read(&path) {
                Ok(draft) => found.push(draft),
                Err(error) => tracing::warn!(%error, "a draft is left out"),
            }
        }
        found.sort_by_key(|draft| std::cmp::Reverse(draft.changed_at));
        found.truncate(DRAFTS_MAX);
        Ok(found)
    }

    /// Keeps a draft as its next revision; returns when it is durable.
    ///
    /// # Errors
    /// [`StoreError`], after which the draft is as it was.
    pub fn keep(&self, draft: &mut Draft) -> Result<(), StoreError> {
        // A draft may tell what is not public yet.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.map_err(io(&self.folder))?;
        draft.revision = draft.revision.saturating_add(1);
        let path = self.path(&draft.id);
        let unreadable = |source| StoreError::Unreadable { path: path.clone(), source };
        let text = serde_json::to_vec_pretty(draft).map_err(unreadable)?;
        let keep = || {
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            file.write_all(&text)?;
            file.as_file().sync_all()?;
            // CRASH HERE: the old revision is whole, and the new one has a name that nobody reads.
            file.persist(&path).map_err(|error| error.error)?;
            File::open(&self.folder)?.sync_all()
        };
        keep().map_err(io(&path))
    }
}

fn read(path: &Path) -> Result<Draft, StoreError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(StoreError::NoSuchDraft),
        Err(error) => return Err(io(path)(error)),
    };
    let unreadable = |source| StoreError::Unreadable { path: path.to_owned(), source };
    serde_json::from_slice(&text).map_err(unreadable)
}
