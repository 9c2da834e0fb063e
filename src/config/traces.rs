//! Where requests are sent as spans of a trace (`[traces]`).

use std::path::PathBuf;

use serde::Deserialize;

use super::Count;

/// A collector of OpenTelemetry's (`[traces]`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Traces {
    /// Its URL for traces, OTLP over HTTP; absent means that none are sent.
    pub endpoint: Option<String>,
    /// PEM file of the authorities that may sign its certificate, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Of a hundred traces that no caller began, how many are sent.
    pub sample_percent: Count<0, 100>,
}

impl Default for Traces {
    fn default() -> Self {
        Self { endpoint: None, ca_file: None, sample_percent: Count::of(100) }
    }
}
