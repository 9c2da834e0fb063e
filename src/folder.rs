//! The policy folder on disk: from files to [`PolicySources`], without judging them.
//!
//! LIMIT: a file is at most 16 MiB and there are at most 1,000 notices, so that a wrong path (a
//! log folder, a device) ends in an error and not in an exhausted memory.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::policy::{LawSource, NoticeSource, PolicySources};

const FILE_BYTES_MAX: u64 = 16 << 20;
const NOTICES_MAX: usize = 1_000;

/// A policy folder that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file or folder that must be there cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A file is too long to be a policy or a notice.
    #[error("`{}` is longer than 16 MiB", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// There are too many notices.
    #[error("`{}` holds more than 1,000 notices", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
    /// `clauses.toml` names a text outside its own folder.
    #[error("`{}` must name a file in its own folder as `text`", path.display())]
    Text {
        /// The header.
        path: PathBuf,
    },
}

/// The only key of the header that is needed to find the other files.
#[derive(Deserialize)]
struct TextKey {
    text: String,
}

/// Reads a policy folder.
///
/// # Errors
/// [`FolderError`] names the file and what is wrong with it.
pub fn read(directory: &Path) -> Result<PolicySources, FolderError> {
    let notices = directory.join("notices");
    let mut versions = Vec::new();
    let unreadable = |source| FolderError::Read { path: notices.clone(), source };
    for entry in std::fs::read_dir(&notices).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.file_type().map_err(unreadable)?.is_dir() {
            versions.push(entry.path());
        }
    }
    if versions.len() > NOTICES_MAX {
        return Err(FolderError::TooMany { path: notices });
    }
    versions.sort();
    Ok(PolicySources {
        vocabulary: read_text(&directory.join("vocabulary.toml"))?,
        schema: read_derived(&directory.join("schema.cedarschema"))?,
        guardrails: read_text(&directory.join("guardrails.cedar"))?,
        notices: versions.iter().map(|path| read_notice(path)).collect::<Result<_, _>>()?,
        administration: read_if_there(&directory.join("administration.cedar"))?.unwrap_or_default(),
        administration_schema: read_derived(&directory.join("administration.cedarschema"))?,
        law: LawSource {
            consent: read_text(&directory.join("law/consent.tsv"))?,
            area_codes: read_text(&directory.join("law/area_codes.tsv"))?,
            overrides: read_if_there(&directory.join("law/overrides.toml"))?,
        },
    })
}

/// What tells a folder from what it was before: each file's path, length, time and inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature(Vec<(PathBuf, u64, i64, i64, u64)>);

/// Looks at the files that decide, without reading them.
///
/// # Errors
/// [`FolderError`] names the file or folder that cannot be looked at.
pub fn signature(directory: &Path) -> Result<Signature, FolderError> {
    use std::os::unix::fs::MetadataExt;
    let mut open = vec![directory.join("notices"), directory.join("law")];
    let files = [
        "vocabulary.toml",
        "guardrails.cedar",
        "schema.cedarschema",
        "administration.cedar",
        "administration.cedarschema",
    ];
    let mut paths: Vec<PathBuf> = files.iter().map(|name| directory.join(name)).collect();
    while let Some(folder) = open.pop() {
        let unreadable = |source| FolderError::Read { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            match entry.file_type().map_err(unreadable)?.is_dir() {
                true => open.push(entry.path()),
                false => paths.push(entry.path()),
            }
        }
        if paths.len() > 10 * NOTICES_MAX {
            return Err(FolderError::TooMany { path: folder });
        }
    }
    paths.sort();
    let mut seen = Vec::new();
    for path in paths {
        match std::fs::metadata(&path) {
            Ok(found) => {
                let time = (found.mtime(), found.mtime_nsec());
                seen.push((path, found.len(), time.0, time.1, found.ino()));
            }
            // A file that is not there is told by loading.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(FolderError::Read { path, source }),
        }
    }
    Ok(Signature(seen))
}

/// Reads the policy tests of a folder: the name of each file, relative to the folder, and its
/// text. No `tests` folder is no tests.
///
/// # Errors
/// [`FolderError`] names the file and what is wrong with it.
pub fn read_tests(directory: &Path) -> Result<Vec<(String, String)>, FolderError> {
    let tests = directory.join("tests");
    let entries = match std::fs::read_dir(&tests) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(FolderError::Read { path: tests, source }),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let unreadable = |source| FolderError::Read { path: tests.clone(), source };
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok((format!("tests/{}", name.unwrap_or_default()), read_text(&path)?))
    };
    paths.into_iter().map(read).collect()
}

fn read_notice(directory: &Path) -> Result<NoticeSource, FolderError> {
    let path = directory.join("clauses.toml");
    let meaning = read_text(&path)?;
    let text = text_name(&meaning).ok_or(FolderError::Text { path })?;
    let version = directory.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(NoticeSource {
        version: version.unwrap_or_default(),
        meaning,
        text: read_text(&directory.join(text))?,
        clauses: read_derived(&directory.join("clauses.cedar"))?,
    })
}

/// The file in a version's own folder that `clauses.toml` names as its text.
#[must_use]
pub fn text_name(meaning: &str) -> Option<String> {
    let inside = |name: &str| {
        let apart = !name.contains(['/', '\\']) && !name.starts_with('.');
        apart && !name.is_empty() && name != "clauses.toml" && name != "clauses.cedar"
    };
    let named = toml::from_str::<TextKey>(meaning).map(|key| key.text);
    named.ok().filter(|name| inside(name))
}

/// A derived file that is not there yet is empty, and so not what the rest derives.
fn read_derived(path: &Path) -> Result<String, FolderError> {
    match read_text(path) {
        Err(FolderError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
            Ok(String::new())
        }
        read => read,
    }
}

fn read_if_there(path: &Path) -> Result<Option<String>, FolderError> {
    match read_text(path) {
        Err(FolderError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

fn read_text(path: &Path) -> Result<String, FolderError> {
    let unreadable = |source| FolderError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(FolderError::TooLong { path: path.to_owned() });
    }
    Ok(text)
}
