//! Putting a draft into the policy folder: a folder of the version is written beside the other, made
//! durable, and takes its place in one step, so that whoever reads the folder finds the old version
//! or the new one and never half of each.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Draft, notice_of};
use crate::folder::{self, FolderError};
use crate::policy::{DerivedFile, PolicySources};

/// Why a draft is not in the folder.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The folder cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Somebody changed the folder, and the gate has not taken it up.
    #[error("the policy folder does not hold what is in force; somebody has changed it")]
    Changed,
    /// The draft names no file for its text.
    #[error("`clauses.toml` must name a file in its own folder as `text`")]
    Text,
    /// It cannot be written.
    #[error("`{}` cannot be written", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What takes a draft out of the folder again. Dropped, it leaves the draft there.
#[derive(Debug)]
pub struct Undo {
    there: PathBuf,
    beside: PathBuf,
    is_new: bool,
}

/// Puts a draft into the policy folder that holds these texts.
///
/// # Errors
/// [`ApplyError`], after which the folder is as it was.
pub fn put(
    directory: &Path,
    draft: &Draft,
    in_force: &PolicySources,
    with: &PolicySources,
) -> Result<Undo, ApplyError> {
    if folder::read(directory)? != *in_force {
        return Err(ApplyError::Changed);
    }
    let new = notice_of(with, &draft.version).ok_or(ApplyError::Text)?;
    let text = folder::text_name(&new.meaning).ok_or(ApplyError::Text)?;
    let notices = directory.join("notices");
    let there = notices.join(draft.version.as_str());
    // Hidden, so that nobody takes it for a version.
    let beside = notices.join(format!(".{}-{}", draft.version, draft.id));
    let failed = |source| ApplyError::Write { path: beside.clone(), source };
    let old = notice_of(in_force, &draft.version);
    let old_text = old.and_then(|old| folder::text_name(&old.meaning));
    let write = || {
        remove(&beside)?;
        fs::create_dir(&beside)?;
        if old.is_some() {
            // Whatever else the organisation keeps there stays.
            let own = ["clauses.toml", "clauses.cedar", text.as_str()];
            for entry in fs::read_dir(&there)? {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let mine = own.contains(&&*name) || old_text.as_deref() == Some(&*name);
                if !mine && entry.file_type()?.is_file() {
                    fs::copy(entry.path(), beside.join(entry.file_name()))?;
                }
            }
        }
        for (name, text) in [
            (text.as_str(), &new.text),
            ("clauses.toml", &new.meaning),
            ("clauses.cedar", &new.clauses),
        ] {
            let mut file = File::create_new(beside.join(name))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
        }
        File::open(&beside)?.sync_all()?;
        // CRASH HERE: the old version is in its place; what lies beside it is hidden, and the next
        // try removes it.
        let flags = if old.is_some() { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
        renameat_with(CWD, &beside, CWD, &there, flags)?;
        File::open(&notices)?.sync_all()
    };
    write().map_err(failed)?;
    Ok(Undo { there, beside: beside.clone(), is_new: old.is_none() })
}

impl Undo {
    /// Puts what was there back.
    ///
    /// # Errors
    /// [`ApplyError::Write`]; then the draft is still there, and the gate keeps what is in force.
    pub fn undo(self) -> Result<(), ApplyError> {
        let flags = if self.is_new { RenameFlags::NOREPLACE } else { RenameFlags::EXCHANGE };
        let back = || {
            renameat_with(CWD, &self.there, CWD, &self.beside, flags)?;
            remove(&self.beside)
        };
        back().map_err(|source| ApplyError::Write { path: self.there.clone(), source })
    }

    /// Throws away what was there before.
    pub fn done(self) {
        if let Err(error) = remove(&self.beside) {
            tracing::warn!(%error, folder = %self.beside.display(), "an old version is left there");
        }
    }
}

/// Puts the table of decisions into the policy folder. No gate reads it: it is there to be read in a
/// review, and `noticegate derive --check` compares it.
///
/// # Errors
/// [`ApplyError::Write`], after which the old table is there.
pub fn put_table(directory: &Path, table: &DerivedFile) -> Result<(), ApplyError> {
    let path = directory.join(&table.path);
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(table.text.as_bytes())?;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error).map(drop)
    };
    write().map_err(|source| ApplyError::Write { path: path.clone(), source })
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
