//! The promises of noticegate, told as stories at its outermost surface: real TLS, real sockets,
//! real SQLite, the stand-in as Twilio. Each story asserts three things: what the caller got, what
//! the ledger holds, and what upstream saw.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on should stop at once and say where"
)]
#![allow(unreachable_pub, reason = "in a test binary all is private")]

mod house;
mod stories;
mod support;
