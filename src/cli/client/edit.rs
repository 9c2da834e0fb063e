//! Changes a clients file in place: comments and order stay, a reader sees the old file or the new
//! one, and two editors wait for each other.

use std::fs::{File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, RawString, Table};

use super::folder_of;

/// What a new file begins with.
const HEAD: &str = "\
# The machine clients. `noticegate client` changes this file; comments and order stay as they are.
# It holds no secret, only digests of secrets. `noticegate config example` explains the keys.

";

/// A clients file that cannot be changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum EditError {
    /// The operating system says no.
    #[error("cannot {what} `{}`", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What it says.
        source: std::io::Error,
    },
    /// It is not TOML. What stands in it is not quoted.
    #[error("`{}` is not TOML; `noticegate client list` says where", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
    },
    /// It is TOML of another shape.
    #[error("write {what} in `{}`", path.display())]
    Shape {
        /// What is expected.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// No such client.
    #[error("there is no client `{id}` in `{}`", path.display())]
    Unknown {
        /// The id that was asked for.
        id: String,
        /// The file.
        path: PathBuf,
    },
}

/// A file under change. Others wait until it is dropped.
#[derive(Debug)]
pub(super) struct Editor {
    path: PathBuf,
    document: DocumentMut,
    _lock: File,
}

impl Editor {
    /// Opens a file, or begins one; waits for who else is changing it.
    pub(super) fn open(path: &Path) -> Result<Self, EditError> {
        // The file that a link leads to is changed, not the link.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        // The file itself cannot carry the lock: it is replaced by another.
        let beside = beside(&path, "lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|source| EditError::Io { what: "lock", path: beside, source })?;
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => HEAD.to_owned(),
            Err(source) => return Err(EditError::Io { what: "read", path, source }),
        };
        match text.parse() {
            Ok(document) => Ok(Self { path, document, _lock: lock }),
            Err(_) => Err(EditError::Syntax { path }),
        }
    }

    /// The file as it would be.
    pub(super) fn text(&self) -> String {
        self.document.to_string()
    }

    /// Puts a client at the end.
    pub(super) fn add(&mut self, mut table: Table) -> Result<(), EditError> {
        // What stood behind the last client now stands before this one.
        let trailing = self.document.trailing().as_str().unwrap_or_default().to_owned();
        let gap = if self.document.is_empty() { "" } else { "\n" };
        table.decor_mut().set_prefix(format!("{trailing}{gap}"));
        self.document.set_trailing("");
        let item =
            self.document.entry("client").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
        match item.as_array_of_tables_mut() {
            Some(clients) => clients.push(table),
            None => return Err(self.shape("each client as a table [[client]]")),
        }
        Ok(())
    }

    /// One client.
    pub(super) fn find(&mut self, id: &str) -> Result<&mut Table, EditError> {
        let index = self.index(id)?;
        let unknown = EditError::Unknown { id: id.to_owned(), path: self.path.clone() };
        let clients = self.document.get_mut("client").and_then(Item::as_array_of_tables_mut);
        clients.and_then(|clients| clients.get_mut(index)).ok_or(unknown)
    }

    /// One client's secrets.
    pub(super) fn secrets(&mut self, id: &str) -> Result<&mut Array, EditError> {
        let shape = self.shape("a client's `secrets` as a list of { hash = …, created = … }");
        let table = self.find(id)?;
        let secrets = table.entry("secrets").or_insert(Item::Value(Array::new().into()));
        secrets.as_array_mut().ok_or(shape)
    }

    /// Takes one client out. What stands before it apart from it, behind a blank line, stays.
    pub(super) fn remove(&mut self, id: &str) -> Result<(), EditError> {
        let index = self.index(id)?;
        let text =
            |raw: Option<&RawString>| raw.and_then(RawString::as_str).unwrap_or("").to_owned();
        let before = text(self.find(id)?.decor().prefix());
        let kept = before.rfind("\n\n").and_then(|end| before.get(..=end)).unwrap_or_default();
        let Some(clients) = self.document.get_mut("client").and_then(Item::as_array_of_tables_mut)
        else {
            return Ok(());
        };
        clients.remove(index);
        if let Some(next) = clients.get_mut(index) {
            let joined = format!("{kept}{}", text(next.decor().prefix()));
            next.decor_mut().set_prefix(joined);
        } else {
            let trailing = self.document.trailing().as_str().unwrap_or_default();
            let joined = format!("{kept}{trailing}");
            self.document.set_trailing(joined);
        }
        Ok(())
    }

    /// Puts this text in the file's place, at once and for good.
    pub(super) fn write(&self, text: &str) -> Result<(), EditError> {
        let new = beside(&self.path, "new");
        let io = |what, path: &Path| {
            let path = path.to_owned();
            move |source| EditError::Io { what, path, source }
        };
        match std::fs::remove_file(&new) {
            // What an editor left that died here.
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(io("replace", &new)(error));
            }
            _ => {}
        }
        let file = File::options().write(true).create_new(true).mode(0o600).open(&new);
        let mut file = file.map_err(io("write", &new))?;
        self.keep_rights(&file).map_err(io("set the rights of", &new))?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.map_err(io("write", &new))?;
        std::fs::rename(&new, &self.path).map_err(io("replace", &self.path))?;
        // CRASH HERE: the new file is in its place, and a loss of power could bring the old one
        // back until the folder is synced.
        let folder = folder_of(&self.path);
        File::open(folder).and_then(|f| f.sync_all()).map_err(io("sync", folder))
    }

    /// The gate may run as somebody else: the file stays with whom it belonged to. Nobody else
    /// gets a right that they did not have, and the rest of the world none at all.
    fn keep_rights(&self, file: &File) -> std::io::Result<()> {
        let mode = match std::fs::metadata(&self.path) {
            Ok(before) => {
                let now = file.metadata()?;
                if (before.uid(), before.gid()) != (now.uid(), now.gid()) {
                    fchown(file, Some(before.uid()), Some(before.gid()))?;
                }
                before.mode() & 0o770
            }
            Err(error) if error.kind() == ErrorKind::NotFound => 0o600,
            Err(error) => return Err(error),
        };
        file.set_permissions(Permissions::from_mode(mode))
    }

    fn index(&self, id: &str) -> Result<usize, EditError> {
        let unknown = || EditError::Unknown { id: id.to_owned(), path: self.path.clone() };
        let clients = match self.document.get("client") {
            None => return Err(unknown()),
            Some(Item::ArrayOfTables(clients)) => clients,
            Some(_) => return Err(self.shape("each client as a table [[client]]")),
        };
        let is_it = |table: &Table| table.get("id").and_then(Item::as_str) == Some(id);
        clients.iter().position(is_it).ok_or_else(unknown)
    }

    fn shape(&self, what: &'static str) -> EditError {
        EditError::Shape { what, path: self.path.clone() }
    }
}

/// A file of the same folder with a longer, hidden name.
fn beside(path: &Path, end: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# Ours.

# The first, for the export.
[[client]]
id = \"a\" # short
name = \"A\"

# The second.
[[client]]
id = \"b\"
enabled = true   # for now

# The end.
";

    fn editor(folder: &Path, text: &str) -> Editor {
        let path = folder.join("clients.toml");
        std::fs::write(&path, text).unwrap();
        Editor::open(&path).unwrap()
    }

    #[test]
    fn what_is_not_touched_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut editor = editor(folder.path(), FILE);
        assert_eq!(editor.text(), FILE);
        let mut table = Table::new();
        table.insert("id", toml_edit::value("c"));
        editor.add(table).unwrap();
        assert_eq!(editor.text(), format!("{FILE}\n[[client]]\nid = \"c\"\n"));
        editor.remove("c").unwrap();
        assert_eq!(editor.text().trim_end(), FILE.trim_end());
    }

    #[test]
    fn a_client_goes_with_its_comment_and_leaves_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let mut editor = editor(folder.path(), FILE);
        editor.remove("a").unwrap();
        let text = editor.text();
        assert!(text.starts_with("# Ours.\n"), "{text}");
        assert!(!text.contains("The first"), "{text}");
        assert!(text.contains("# The second.\n[[client]]\nid = \"b\"\n"), "{text}");
        editor.remove("b").unwrap();
        assert!(editor.text().starts_with("# Ours.\n"), "{}", editor.text());
        assert!(editor.text().ends_with("# The end.\n"), "{}", editor.text());
        assert!(matches!(editor.remove("b"), Err(EditError::Unknown { .. })));
    }

    #[test]
    fn rights_and_links_stay_and_the_world_gets_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clients.toml");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        let fresh = Editor::open(&path).unwrap();
        fresh.write(&fresh.text()).unwrap();
        assert_eq!(mode(&path), 0o600);
        drop(fresh);
        for (before, after) in [(0o640, 0o640), (0o644, 0o640), (0o400, 0o400)] {
            std::fs::set_permissions(&path, Permissions::from_mode(before)).unwrap();
            let link = folder.path().join(format!("link-{before}"));
            std::os::unix::fs::symlink(&path, &link).unwrap();
            let editor = Editor::open(&link).unwrap();
            editor.write("# new\n").unwrap();
            assert_eq!(mode(&path), after);
            assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(std::fs::read_to_string(&link).unwrap(), "# new\n");
        }
    }

    #[test]
    fn another_shape_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let mut list = editor(folder.path(), "client = [{ id = \"a\" }]\n");
        assert!(matches!(list.find("a"), Err(EditError::Shape { .. })));
        assert!(matches!(list.add(Table::new()), Err(EditError::Shape { .. })));
        drop(list);
        let text = "[[client]]\nid = \"a\"\n[[client.secrets]]\nhash = \"x\"\n";
        let mut tables = editor(folder.path(), text);
        assert!(matches!(tables.secrets("a"), Err(EditError::Shape { .. })));
        drop(tables);
        std::fs::write(folder.path().join("clients.toml"), "id = \"ngs_SECRET").unwrap();
        let error = Editor::open(&folder.path().join("clients.toml")).unwrap_err();
        assert!(!error.to_string().contains("SECRET"), "{error}");
    }
}
