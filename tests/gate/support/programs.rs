//! Other people's programs, which judge what the gate says of itself.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs it with this on its standard input; what it said, and whether it was content.
pub fn judge(words: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("cannot run `{}` ({error}); `tests/run` installs what is missing", words[0])
        });
    // It may have seen enough before the end.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// The Python that `tests/run` has furnished.
pub fn python() -> PathBuf {
    let installed = Path::new("tests/operate/.venv/installed");
    assert!(installed.exists(), "`tests/run` installs {}", installed.display());
    installed.with_file_name("bin/python3")
}
