//! The texts that policies are made of, as they lie in `policies/`.

use aws_lc_rs::digest::{Context, SHA256};

use serde::{Deserialize, Serialize};

use super::PolicyDigest;

/// Everything that `policies/` holds and that decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySources {
    /// `vocabulary.toml`
    pub vocabulary: String,
    /// `schema.cedarschema`, derived; empty if it is not there.
    pub schema: String,
    /// `guardrails.cedar`
    pub guardrails: String,
    /// `notices/*`, by name.
    pub notices: Vec<NoticeSource>,
    /// `administration.cedar`; empty if it is not there, and then nobody may administer anything
    /// through the gate.
    #[serde(default)]
    pub administration: String,
    /// `administration.cedarschema`, derived; empty if it is not there.
    #[serde(default)]
    pub administration_schema: String,
    /// `law/`
    #[serde(default)]
    pub law: LawSource,
}

/// The folder `law`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LawSource {
    /// `consent.tsv`
    pub consent: String,
    /// `area_codes.tsv`
    pub area_codes: String,
    /// `overrides.toml`, if the organisation has one.
    pub overrides: Option<String>,
}

/// One folder of `notices/`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeSource {
    /// The folder's name.
    pub version: String,
    /// `clauses.toml`
    pub meaning: String,
    /// The published text, byte for byte.
    pub text: String,
    /// `clauses.cedar`, derived; empty if it is not there.
    pub clauses: String,
}

impl PolicySources {
    /// The digest that ledger entries carry: every text with its length, in a fixed order.
    #[must_use]
    pub fn digest(&self) -> PolicyDigest {
        let mut context = Context::new(&SHA256);
        let mut add = |text: &str| {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        };
        add(&self.vocabulary);
        add(&self.schema);
        add(&self.guardrails);
        for notice in &self.notices {
            for text in [&notice.version, &notice.meaning, &notice.text, &notice.clauses] {
                add(text);
            }
        }
        let LawSource { consent, area_codes, overrides } = &self.law;
        for text in [&self.administration, consent, area_codes].into_iter().chain(overrides) {
            add(text);
        }
        // Ledgers keep sets of policies from before there was one, under the digest of that time.
        if !self.administration_schema.is_empty() {
            add("administration.cedarschema");
            add(&self.administration_schema);
        }
        PolicyDigest(hex(context.finish().as_ref()).into())
    }
}

/// SHA-256 of a text in lower-case hex, as a notice's header names it.
#[must_use]
pub fn text_digest(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&SHA256, text.as_bytes());
    hex(digest.as_ref())
}

/// Lower-case hex.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
