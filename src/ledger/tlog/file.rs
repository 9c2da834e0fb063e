//! Files that are whole or not there: written beside their place, synced, then renamed.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

/// Puts a file in its place, and its folders if they are not there. A reader sees the old bytes
/// or all of the new ones. One writer at a time for each path.
pub(in crate::ledger) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let beside = Path::new(&beside);
    let mut file = match File::create(beside) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            File::create(beside)?
        }
        created => created?,
    };
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(beside, path)
}

/// Makes what was renamed in a folder last over a power cut.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Reads a file that may have at most `limit` bytes; a longer one is cut one byte after them.
/// `None` if it is not there.
pub(super) fn read(path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::with_capacity(limit.min(1 << 14));
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
