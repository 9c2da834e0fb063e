//! `guardrails.cedar`: any text loads or is refused with reasons; none ends the process.
//!
//! The rest of the folder is as small as it can be, since each accepted text goes through the whole
//! validator: some a second.

#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use libfuzzer_sys::fuzz_target;
use noticegate::policy::{DerivedFile, Draft, NoticeSource, Policies, PolicySources};

const VOCABULARY: &str = r#"
[[purpose]]
id = "staff-training"
name = "training our staff"
[[role]]
id = "trainer"
name = "trainers"
[[line]]
id = "support"
name = "the support line"
numbers = ["+14045550188"]
[[label]]
id = "health"
name = "calls about health"
"#;

const TEXT: &str = "We use recordings to train our staff.\n";

const CLAUSES: &str = r#"
title = "Calls"
published = "https://a.example/calls"
effective = "2025-02-01T00:00:00Z"
text = "notice.txt"
sha256 = "SHA256"

[[clause]]
id = "training"
quote = "We use recordings to train our staff."
effect = "permit"
roles = ["trainer"]
purposes = ["staff-training"]
"#;

static FOLDER: LazyLock<PolicySources> = LazyLock::new(|| {
    let sha256 = digest(&SHA256, TEXT.as_bytes());
    let sha256: String = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut sources = PolicySources {
        vocabulary: VOCABULARY.to_owned(),
        notices: vec![NoticeSource {
            version: "2025-02-01".to_owned(),
            meaning: CLAUSES.replace("SHA256", &sha256),
            text: TEXT.to_owned(),
            clauses: String::new(),
        }],
        ..PolicySources::default()
    };
    let files = Draft::read(&sources).derive().expect("a sound folder");
    let [schema, clauses]: [DerivedFile; 2] = files.try_into().expect("two derived files");
    (sources.schema, sources.notices[0].clauses) = (schema.text, clauses.text);
    Policies::load(&sources).expect("a sound folder");
    sources
});

fuzz_target!(|guardrails: &str| {
    let sources = PolicySources { guardrails: guardrails.to_owned(), ..FOLDER.clone() };
    match Policies::load(&sources) {
        Ok(policies) => assert_eq!(*policies.digest(), sources.digest()),
        Err(error) => assert!(!error.problems.is_empty(), "a refusal says why"),
    }
});
