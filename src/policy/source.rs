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

impl NoticeSource {
    /// What a clause derives, as it stands in `clauses.cedar`; empty if that is nothing.
    #[must_use]
    pub fn cedar_of(&self, clause: &str) -> String {
        let named = format!("@clause(\"{clause}\")");
        let policies = self.clauses.split("\n\n");
        let own = policies.filter(|policy| policy.lines().any(|line| line == named));
        own.map(str::trim_end).collect::<Vec<_>>().join("\n\n")
    }
}

impl PolicySources {
    /// The text of one policy, by its @id, as it stands in its file with the comment above it.
    #[must_use]
    pub fn policy(&self, id: &str) -> Option<&str> {
        let notices = self.notices.iter().map(|notice| &notice.clauses);
        let files = notices.chain([&self.guardrails, &self.administration]);
        let mark = format!("@id(\"{id}\")");
        files.filter_map(|text| one_policy(text, &mark)).next()
    }

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

/// The policy around an annotation: from the end of the one before, without what stands apart above
/// it, to its own end.
fn one_policy<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let at = text.find(mark)?;
    let (before, after) = text.split_at_checked(at)?;
    let start = before.rfind(";\n").map_or(0, |end| end + 2);
    let start = before.rfind("\n\n").map_or(start, |gap| start.max(gap + 2));
    let end = after.find(";\n").map_or(text.len(), |end| at + end + 1);
    text.get(start..end).map(str::trim)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_policy_is_found_with_its_comment() {
        let guardrails = "// All of them.\n\n// Why.\n@id(\"a\")\n@reason(\"r\")\nforbid (principal, action, \
                          resource);\n// Next.\n@id(\"ab\")\npermit (principal, action, resource);\n";
        let sources =
            PolicySources { guardrails: guardrails.to_owned(), ..PolicySources::default() };
        let found = sources.policy("a").unwrap();
        assert!(
            found.starts_with("// Why.\n@id(\"a\")") && found.ends_with("resource);"),
            "{found}"
        );
        assert!(sources.policy("ab").unwrap().starts_with("// Next."));
        assert_eq!(sources.policy("b"), None);
    }
}
