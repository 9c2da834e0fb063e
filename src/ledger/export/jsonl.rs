//! One object a line: `seq`, `leaf` (hexadecimal), `entry`, and where there are any `outcome` and
//! `opened`.
//!
//! `entry` stands there in its exact bytes: a verifier cuts them out between `"entry":` and the end
//! of the object, and hashes them.

use std::io::{self, Write};

use super::{Record, hex};

pub(super) fn write(to: &mut impl Write, record: &Record<'_>) -> io::Result<()> {
    write!(to, r#"{{"seq":{},"leaf":"{}","entry":"#, record.seq, hex(record.leaf))?;
    if record.bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        // Canonical JSON has no line ends. What was written by somebody else must not make two
        // lines of one; its bytes stand beside it.
        serde_json::to_writer(&mut *to, record.entry)?;
        write!(to, r#","bytes":"{}""#, hex(record.bytes))?;
    } else {
        to.write_all(record.bytes)?;
    }
    for (name, value) in [("outcome", record.outcome), ("opened", record.opened)] {
        if let Some(value) = value {
            write!(to, r#","{name}":"#)?;
            serde_json::to_writer(&mut *to, value)?;
        }
    }
    to.write_all(b"}\n")
}
