//! The `noticegate` program. Everything is in the library; read `src/lib.rs` first.

use std::process::ExitCode;

/// Saves a tenth of the processor time of small requests against the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    noticegate::cli::run()
}
