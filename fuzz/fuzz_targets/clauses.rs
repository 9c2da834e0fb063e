//! `vocabulary.toml`, `clauses.toml` and a notice: any three texts derive policies or are refused
//! with reasons. What is derived is, read by Cedar, as many policies as the clauses make, each with
//! the words of its clause; and loading finds nothing in it that deriving put there.
//!
//! The input is the three texts with a line `=====` between them. Where the second says `SHA256`,
//! the digest of the third is put in, so that inputs get past that check. Slow: some a second.

#![no_main]

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use cedar_policy::PolicySet;
use libfuzzer_sys::fuzz_target;
use noticegate::notice::{Clause, Effect, Kind, Notice};
use noticegate::policy::{DerivedFile, Draft, NoticeSource, Policies, PolicySources};

const VERSION: &str = "2026-03-01";

/// It fits every vocabulary.
const GUARDRAILS: &str = r#"
@id("no-promise")
@reason("no notice was in force")
forbid (principal, action, resource)
unless { resource has notice };
"#;

fuzz_target!(|folder: &str| {
    let mut sources = sources(folder);
    let draft = Draft::read(&sources);
    let files = match draft.derive() {
        Ok(files) => files,
        Err(problems) => return assert!(!problems.is_empty(), "a refusal says why"),
    };
    assert_eq!(Draft::read(&sources).derive().as_ref(), Ok(&files), "every run derives the same");

    let [notice] = draft.notices().all() else { panic!("there is one notice") };
    for DerivedFile { path, text } in files {
        match path.as_str() {
            "schema.cedarschema" => sources.schema = text,
            "notices/2026-03-01/clauses.cedar" => {
                check(notice, &text);
                sources.notices[0].clauses = text;
            }
            other => panic!("derived `{other}`"),
        }
    }
    match Policies::load(&sources) {
        Ok(policies) => assert_eq!(*policies.digest(), sources.digest()),
        Err(error) => {
            assert!(!error.problems.is_empty(), "a refusal says why");
            // A derived file that differs, a policy or schema that Cedar objects to.
            let about = |file: &str| !file.ends_with(".cedar") && file != "schema.cedarschema";
            let ours = error.problems.iter().find(|p| !about(&p.file) || p.file == "policies");
            assert_eq!(ours, None, "what is derived is sound");
        }
    }
});

fn sources(folder: &str) -> PolicySources {
    let mut texts = folder.splitn(3, "\n=====\n").map(str::to_owned);
    let mut next = || texts.next().unwrap_or_default();
    let (vocabulary, meaning, text) = (next(), next(), next());
    let sha256 = digest(&SHA256, text.as_bytes());
    let sha256: String = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    PolicySources {
        vocabulary,
        schema: String::new(),
        guardrails: GUARDRAILS.to_owned(),
        notices: vec![NoticeSource {
            version: VERSION.to_owned(),
            meaning: meaning.replacen("SHA256", &sha256, 1),
            text,
            clauses: String::new(),
        }],
        ..PolicySources::default()
    }
}

/// The derived text, as Cedar reads it, against the clauses.
fn check(notice: &Notice, text: &str) {
    let set: PolicySet = text.parse().expect("the derived text is Cedar");
    assert_eq!(set.templates().count(), 0);
    let mut expected: BTreeMap<&str, (usize, &Clause)> = BTreeMap::new();
    for clause in &notice.clauses {
        expected.insert(&clause.id, (policies_of(clause), clause));
    }
    for policy in set.policies() {
        let id = policy.annotation("clause").expect("a derived policy names its clause");
        let (left, clause) = expected.get_mut(id).expect("its clause is there");
        assert_eq!(policy.annotation("quote"), Some(clause.quote.as_str()));
        assert_eq!(policy.annotation("notice"), Some(VERSION));
        *left = left.checked_sub(1).expect("no more policies than the clause makes");
    }
    assert!(expected.values().all(|(left, _)| *left == 0), "a policy is missing");
}

/// How many policies a clause makes: a permit one for each role, every other rule one.
fn policies_of(clause: &Clause) -> usize {
    match &clause.effect {
        Effect::Rule(rule) if rule.kind == Kind::Permit => rule.roles.len(),
        Effect::Rule(_) => 1,
        Effect::Inform { .. } | Effect::Undecided => 0,
    }
}
