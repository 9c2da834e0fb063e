//! `clauses.cedar`: any text loads or is refused with reasons; none ends the process.
//!
//! Slow, since each accepted text goes through the whole validator: some hundred a second.

#![no_main]

use libfuzzer_sys::fuzz_target;
use noticegate::policy::{NoticeSource, Policies, PolicySources};

fuzz_target!(|clauses: &str| {
    let sources = PolicySources {
        schema: include_str!("../../policies/schema.cedarschema").to_owned(),
        guardrails: include_str!("../../policies/guardrails.cedar").to_owned(),
        notices: vec![NoticeSource {
            version: "2026-03-01".to_owned(),
            header: include_str!("../../policies/notices/2026-03-01/clauses.toml").to_owned(),
            text: include_str!("../../policies/notices/2026-03-01/notice.md").to_owned(),
            clauses: clauses.to_owned(),
        }],
    };
    match Policies::load(&sources) {
        Ok(policies) => assert_eq!(*policies.digest(), sources.digest()),
        Err(error) => assert!(!error.problems.is_empty(), "a refusal says why"),
    }
});
