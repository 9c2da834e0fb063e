//! Changing a policy folder as its authors would.

use std::path::Path;

use noticegate::folder;
use noticegate::notice::Problem;
use noticegate::policy::{
    DerivedFile, Draft, Explained, Ground, NoticeSource, Policies, PolicySources, Scenario,
};

/// Replaces one passage of one file.
pub fn change(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} holds `{from}`");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Takes a guardrail out of a folder.
pub fn without_guardrail(folder: &Path, id: &str) {
    let path = folder.join("guardrails.cedar");
    let text = std::fs::read_to_string(&path).unwrap();
    let start = text.find(&format!("@id(\"{id}\")")).unwrap();
    let end = start + text[start..].find("};").unwrap() + 2;
    std::fs::write(path, format!("{}{}", &text[..start], &text[end..])).unwrap();
}

/// Adds to the end of a file.
pub fn append(folder: &Path, file: &str, more: &str) {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, text + more).unwrap();
}

/// Writes the derived files anew, as `noticegate derive` does.
pub fn derive(folder: &Path) {
    let sources = folder::read(folder).unwrap();
    for DerivedFile { path, text } in Draft::read(&sources).derive().unwrap() {
        std::fs::write(folder.join(path), text).unwrap();
    }
}

/// Puts one notice in the place of all in a folder. Each sentence has a name and a meaning;
/// it governs what was recorded since the beginning of 2026.
pub fn one_notice(folder: &Path, sentences: &[(&str, &str)]) {
    let text: String = sentences.iter().map(|(id, _)| format!("A promise of {id}.\n\n")).collect();
    let clauses = sentences.iter().map(|(id, meaning)| {
        format!("[[clause]]\nid = \"{id}\"\nquote = \"A promise of {id}.\"\n{meaning}\n")
    });
    let clauses: String = clauses.collect();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let notice = folder.join("notices/2026-01-01");
    std::fs::remove_dir_all(folder.join("notices")).unwrap();
    std::fs::create_dir_all(&notice).unwrap();
    std::fs::write(notice.join("notice.txt"), text).unwrap();
    let meaning = format!(
        "title = \"A notice\"\npublished = \"https://notice.example/\"\ntext = \"notice.txt\"\n\
         sha256 = \"{digest}\"\neffective = \"2026-01-01T00:00:00Z\"\n{clauses}"
    );
    std::fs::write(notice.join("clauses.toml"), meaning).unwrap();
    derive(folder);
}

/// The sample's guardrails without its purposes.
const GUARDRAILS: &str = r#"
@id("guardrail-no-promise")
@reason("no notice was in force when this recording was made, so nothing was promised about it")
forbid (principal, action, resource) unless { resource has notice };

@id("guardrail-consent-refused")
@reason("a person on this call refused consent, or withdrew it")
forbid (
  principal,
  action in [
    Noticegate::Action::"access", Noticegate::Action::"describe", Noticegate::Action::"share"
  ],
  resource
)
when {
  [Noticegate::Consent::"refused", Noticegate::Consent::"withdrawn"].contains(resource.consent)
};

@id("guardrail-objection")
@reason("a person on this call objected to this purpose, or withdrew from it")
forbid (
  principal,
  action in [
    Noticegate::Action::"access", Noticegate::Action::"describe", Noticegate::Action::"share"
  ],
  resource
)
when { resource.objections.contains(context.purpose) };

@id("guardrail-hold")
@reason("a legal hold lies on this recording, so it may not be deleted")
forbid (principal, action == Noticegate::Action::"delete", resource)
when { resource.circumstances.contains(Noticegate::Circumstance::"hold") };
"#;

/// A policy folder that exists in memory alone.
#[derive(Clone)]
pub struct Folder(pub PolicySources);

impl Folder {
    /// A folder with a vocabulary, guardrails that name no word of it, and no notice.
    pub fn new(vocabulary: &str) -> Self {
        Self(PolicySources {
            vocabulary: vocabulary.to_owned(),
            guardrails: GUARDRAILS.to_owned(),
            ..PolicySources::default()
        })
    }

    /// Adds a notice in plain text; `header` is `effective = "…"` and what else there is to say.
    pub fn notice(mut self, version: &str, header: &str, text: &str, clauses: &str) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let meaning = format!(
            "title = \"A notice\"\npublished = \"https://notice.example/\"\ntext = \"notice.txt\"\n\
             sha256 = \"{digest}\"\n{header}\n{clauses}"
        );
        self.0.notices.push(NoticeSource {
            version: version.to_owned(),
            meaning,
            text: text.to_owned(),
            clauses: String::new(),
        });
        self
    }

    /// Derives and loads it.
    pub fn load(mut self) -> Result<Policies, Vec<Problem>> {
        for DerivedFile { path, text } in Draft::read(&self.0).derive()? {
            match path.split('/').nth(1) {
                None => self.0.schema = text,
                Some(version) => {
                    let mut notices = self.0.notices.iter_mut();
                    notices.find(|notice| notice.version == version).unwrap().clauses = text;
                }
            }
        }
        Policies::load(&self.0).map_err(|error| error.problems)
    }
}

/// Decides a question that is written as a policy test writes it.
pub fn ask(policies: &Policies, scenario: &str) -> Explained {
    let scenario: Scenario = toml::from_str(scenario).unwrap();
    let at = scenario.at.expect("a scenario says when");
    policies.explain(scenario.question(policies.vocabulary(), at).unwrap())
}

/// The ids of the clauses and guardrails that decided.
pub fn deciders(explained: &Explained) -> Vec<&str> {
    let mut found = Vec::new();
    for citation in &explained.citations {
        found.push(match &citation.ground {
            Ground::Clause { clause, .. } => clause.as_str(),
            Ground::Guardrail { .. } => citation.policy.as_str(),
        });
    }
    found.dedup();
    found
}
