//! What comes to the gate beside requests of callers: Twilio's callbacks, Flex' agents, pages of other
//! origins.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::{Count, no_secret};
use crate::media::AccountSid;
use crate::purpose::Purpose;
use crate::secret::Secret;

/// Pages of other origins (`[cors]`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cors {
    /// The origins whose pages may read answers, such as `https://flex.twilio.com`.
    pub origins: Vec<String>,
}

/// Agents of Twilio Flex (`[flex]`), whose player asks at `/flex/url_provider`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flex {
    /// From a role in Flex to a role of the vocabulary. What is not listed counts nothing.
    pub roles: BTreeMap<String, String>,
    /// The purpose when the player's URL names none.
    pub default_purpose: Option<Purpose>,
}

/// Twilio's callbacks (`[webhooks]`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhooks {
    /// The file in which callbacks wait to be passed on. The default is in the ledger's folder.
    pub outbox: Option<PathBuf>,
    /// For how long an application that does not answer is tried.
    pub give_up_hours: Count<1, 168>,
    /// PEM file of the authorities that may sign the certificates of applications, instead of the
    /// public ones.
    pub ca_file: Option<PathBuf>,
    /// Each webhook.
    #[serde(rename = "hook")]
    pub hooks: Vec<Webhook>,
}

/// One webhook (`[[webhooks.hook]]`), at `/webhooks/` and its name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Its name in the path.
    pub name: String,
    /// The account whose callbacks it takes.
    pub account: AccountSid,
    /// The origins by which Twilio calls it, such as `https://rec.example.com`. The default is the
    /// first of `listen.names`.
    #[serde(default)]
    pub origins: Vec<String>,
    /// What Twilio signs with: auth tokens, and shared keys with their ids.
    #[serde(rename = "key")]
    pub keys: Vec<WebhookKey>,
    /// The application's URL that callbacks are passed on to; absent, the gate only learns.
    pub forward_to: Option<String>,
    /// File with the key that the application verifies with. The default is the first key.
    pub forward_key_file: Option<PathBuf>,
    /// The key, once read.
    #[serde(skip)]
    pub forward_key: Option<Secret>,
}

/// What Twilio signs callbacks with (`[[webhooks.hook.key]]`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookKey {
    /// The id of a shared key; an auth token has none.
    pub id: Option<String>,
    /// File that holds it.
    pub file: Option<PathBuf>,
    /// Environment variable that holds it.
    pub env: Option<String>,
    /// The key, once read.
    #[serde(skip, default = "no_secret")]
    pub secret: Secret,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self { outbox: None, give_up_hours: Count::of(24), ca_file: None, hooks: Vec::new() }
    }
}
