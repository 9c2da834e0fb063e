//! The sweep (`[retention]`).

use jiff::civil::Time;
use serde::Deserialize;

use super::Count;
use crate::media::AccountSid;
use crate::purpose::Purpose;

/// What deletes at Twilio the recordings whose time is over (`[retention]`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// The role in which it deletes: a clause has to permit it.
    pub role: String,
    /// The purpose for which it does.
    pub purpose: Purpose,
    /// When `serve` sweeps each day, by the local time of the machine; absent, only the command does.
    pub schedule: Option<Time>,
    /// The accounts that are swept; none means all.
    pub accounts: Vec<AccountSid>,
    /// Deletions in a second.
    pub per_second: Count<1, 100>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            role: "retention-operator".to_owned(),
            purpose: Purpose::record_keeping(),
            schedule: None,
            accounts: Vec::new(),
            per_second: Count::of(10),
        }
    }
}
