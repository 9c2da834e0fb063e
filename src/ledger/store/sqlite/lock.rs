//! Locks beside the file: who is its gate, and who sweeps.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use super::{Leading, StoreError, unusable};

/// Holds the right to be the file's gate; released when dropped.
#[derive(Debug)]
pub struct GateLock {
    _file: File,
}

impl GateLock {
    /// Takes it.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] if another gate holds it, or the folder cannot be written to.
    pub fn take(path: &Path) -> Result<Self, StoreError> {
        let unusable = |problem: String| unusable(path, problem);
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let file = File::options().create(true).truncate(false).write(true).open(&name);
        let file = file.map_err(|error| {
            unusable(format!("its folder must exist and be writable ({error})"))
        })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(unusable("another process is writing to it".to_owned()))
            }
            Err(TryLockError::Error(error)) => Err(unusable(error.to_string())),
        }
    }
}

/// The file of who sweeps, if nobody else has it; else who that is.
pub(super) fn sweep(path: &Path) -> Result<(Option<File>, Leading), StoreError> {
    let failed = |error: std::io::Error| {
        unusable(path, format!("its folder must exist and be writable ({error})"))
    };
    let mut name = path.as_os_str().to_owned();
    name.push(".sweep.lock");
    let file = File::options().create(true).truncate(false).read(true).write(true).open(&name);
    let mut file = file.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).map_err(failed)?;
            let who = format!("process {} on this machine", std::process::id());
            file.write_all(who.as_bytes()).map_err(failed)?;
            Ok((Some(file), Leading::Own))
        }
        Err(TryLockError::WouldBlock) => {
            let mut who = String::new();
            // LIMIT: what is told of who has it; a process wrote some thirty bytes.
            file.take(200).read_to_string(&mut who).map_err(failed)?;
            Ok((None, Leading::Other(who)))
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}
