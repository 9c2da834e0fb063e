//! What callers can make the gate hold, at the most (`[limits]`). `docs/OPERATIONS.md` has the table.

use serde::Deserialize;

use super::{Bytes, Count, Millis};

/// Limits on callers (`[limits]`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once.
    pub connections_max: Count<1, 1_000_000>,
    /// Connections at once of one address (IPv4), or one network of 64 bits (IPv6).
    pub connections_per_address_max: Count<1, 1_000_000>,
    /// TLS handshake.
    pub handshake_timeout_ms: Millis<10, 60_000>,
    /// From the first byte of a request to the end of its head; also the idle time between two.
    pub header_timeout_ms: Millis<10, 300_000>,
    /// The longest time a caller may take no byte of a stream.
    pub write_timeout_ms: Millis<10, 600_000>,
    /// Bytes of a request head.
    pub header_bytes_max: Bytes<8192, 65_536>,
    /// Header lines of a request.
    pub header_count_max: Count<8, 200>,
    /// HTTP/2 streams a connection.
    pub streams_max: Count<1, 1000>,
    /// Requests of one connection that a caller takes back before they are answered, beyond those
    /// that were answered.
    pub resets_max: Count<1, 10_000>,
    /// Requests at once, all callers together, each until its last byte is sent.
    pub requests_max: Count<1, 1_000_000>,
    /// Requests at once of one caller, each until its last byte is sent.
    pub streams_per_caller_max: Count<1, 1_000_000>,
    /// Requests a second of one address or network, proven or not; 0 sets no limit.
    pub requests_per_address_per_second: Count<0, 1_000_000>,
    /// Requests a second of one caller; 0 sets no limit.
    pub requests_per_caller_per_second: Count<0, 1_000_000>,
    /// Bytes of a token.
    pub token_bytes_max: Bytes<256, 32_768>,
    /// Verified tokens kept in memory.
    pub tokens_max: Count<0, 1_000_000>,
    /// The longest recording served.
    pub response_bytes_max: Bytes<1, { u64::MAX }>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: Count::of(10_000),
            connections_per_address_max: Count::of(1_000),
            handshake_timeout_ms: Millis::of(10_000),
            header_timeout_ms: Millis::of(30_000),
            write_timeout_ms: Millis::of(120_000),
            header_bytes_max: Bytes::of(16_384),
            header_count_max: Count::of(64),
            streams_max: Count::of(100),
            resets_max: Count::of(100),
            requests_max: Count::of(10_000),
            streams_per_caller_max: Count::of(1_000),
            requests_per_address_per_second: Count::of(0),
            requests_per_caller_per_second: Count::of(0),
            token_bytes_max: Bytes::of(8_192),
            tokens_max: Count::of(100_000),
            response_bytes_max: Bytes::of(8 << 30),
        }
    }
}
