//! The log, on standard error.
//!
//! Text or JSON lines, with the number of the request and of its trace. No token, credential, share link, telephone number, header or query string
//! is ever given to it; a test runs every story at the finest level and looks. The log is not the
//! ledger: it may be lost.

mod spans;
mod trace;

pub use spans::{Answered, Spans};
pub use trace::Trace;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat, LogLevel};

/// Where a line for each answer goes, if it is wanted.
pub const REQUESTS: &str = "noticegate::requests";

/// Sets the process's log up. Later calls change nothing.
pub fn start(log: &Log) {
    let level = match log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    // Libraries below `warn` would print header values.
    let requests = if log.requests { "info" } else { "off" };
    let filter = EnvFilter::new(format!("warn,noticegate={level},{REQUESTS}={requests}"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // What reads the log may be gone; telling of that on the same stream would end the thread.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match log.format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log was set up already");
    }
}
