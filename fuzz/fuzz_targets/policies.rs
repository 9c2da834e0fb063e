//! `guardrails.cedar`: any text loads or is refused with reasons; none ends the process.
//!
//! Slow, since each accepted text goes through the whole validator: some a second.

#![no_main]

use libfuzzer_sys::fuzz_target;
use noticegate::policy::{NoticeSource, Policies, PolicySources};

fuzz_target!(|guardrails: &str| {
    let sources = PolicySources {
        vocabulary: include_str!("../../policies/vocabulary.toml").to_owned(),
        schema: include_str!("../../policies/schema.cedarschema").to_owned(),
        guardrails: guardrails.to_owned(),
        notices: vec![NoticeSource {
            version: "2025-02-01".to_owned(),
            meaning: include_str!("../../policies/notices/2025-02-01/clauses.toml").to_owned(),
            text: include_str!("../../policies/notices/2025-02-01/notice.md").to_owned(),
            clauses: include_str!("../../policies/notices/2025-02-01/clauses.cedar").to_owned(),
        }],
    };
    match Policies::load(&sources) {
        Ok(policies) => assert_eq!(*policies.digest(), sources.digest()),
        Err(error) => assert!(!error.problems.is_empty(), "a refusal says why"),
    }
});
