//! Changing a policy folder as its authors would.

use std::path::Path;

use noticegate::folder;
use noticegate::policy::{DerivedFile, Draft};

/// Replaces one passage of one file.
pub fn change(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} holds `{from}`");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Adds to the end of a file.
pub fn append(folder: &Path, file: &str, more: &str) {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, text + more).unwrap();
}

/// Writes the derived files anew, as `noticegate derive` does.
pub fn derive(folder: &Path) {
    let sources = folder::read(folder).unwrap();
    for DerivedFile { path, text } in Draft::read(&sources).derive().unwrap() {
        std::fs::write(folder.join(path), text).unwrap();
    }
}
