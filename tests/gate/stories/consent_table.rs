//! The table of the law: for each place, who is on the call and what they said, and what follows.
//! It is kept in `policies/law/decisions.out`, for a lawyer to read.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use noticegate::facts::{Base, Ends, Facts, Numbers, Reading, Recorded, fold};
use noticegate::folder;
use noticegate::law::{Medium, Place};
use noticegate::policy::{Policies, Scenario};
use serde_json::{Value, json};

use crate::support::world::CALL;

const FILE: &str = "policies/law/decisions.out";
const STARTED: &str = "2026-11-03T09:15:02Z";
const CALLER: &str = "client:caller";
const AGENT: &str = "client:agent";

/// The columns: what both said, as statements of the call.
fn columns() -> Vec<(&'static str, Vec<Value>)> {
    let said = |who: &str, state: &str, form: Option<&str>| {
        let mut consent = json!({"state": state, "at": STARTED});
        if let Some(form) = form {
            consent["form"] = json!(form);
        }
        json!({"about": [CALL], "participant": {"name": who}, "consent": consent})
    };
    let agent = || said(AGENT, "given", Some("contract"));
    vec![
        ("nobody asked", vec![]),
        ("agent only", vec![agent()]),
        ("caller only", vec![said(CALLER, "given", Some("spoke"))]),
        ("both", vec![agent(), said(CALLER, "given", Some("spoke"))]),
        ("caller refused", vec![agent(), said(CALLER, "refused", None)]),
        ("withdrawn", vec![agent(), said(CALLER, "withdrawn", None)]),
    ]
}

fn decide(policies: &Policies, caller_in: Place, medium: Medium, said: &[Value]) -> bool {
    let party = |who: &str, place: Place, agent: bool| {
        let party = json!({"address": place, "agent": agent});
        json!({"about": [CALL], "participant": {"name": who}, "party": party})
    };
    let mut statements =
        vec![party(CALLER, caller_in, false), party(AGENT, "US-GA".parse().unwrap(), true)];
    statements.extend(said.iter().cloned());
    let statements: Vec<Recorded> = (0..)
        .zip(statements)
        .map(|(seq, statement)| Recorded {
            seq,
            statement: serde_json::from_value(statement).unwrap(),
            erased: false,
        })
        .collect();
    let started_at: Timestamp = STARTED.parse().unwrap();
    let now: Timestamp = "2026-11-24T09:00:00Z".parse().unwrap();
    let ends = Ends { direction: None, numbers: Numbers::default(), unnumbered: 2, all: true };
    let base = Base { started_at, ends: Some(&ends), medium: Some(medium) };
    let reading: Reading<'_> = policies.reading();
    let scenario = format!(
        "roles = [\"quality-analyst\"]\npurpose = \"quality-monitoring\"\n[recording]\nmade = \"{STARTED}\"\n"
    );
    let scenario: Scenario = toml::from_str(&scenario).unwrap();
    let mut question = scenario.question(policies.vocabulary(), now).unwrap();
    let folded = fold(&base, &statements, question.purpose.as_ref(), &reading, now);
    question.facts = Arc::new(Facts {
        consent: folded.consent,
        register: folded.register,
        ..(*question.facts).clone()
    });
    policies.judge(&question).1.is_ok()
}

#[test]
fn the_table_of_the_law_is_what_is_decided() {
    let policies = Policies::load(&folder::read(Path::new("policies")).unwrap()).unwrap();
    let mut table = String::from(
        "# May a quality analyst listen for quality monitoring to a call between a caller who lives in\n\
         # this place and an agent in Georgia (US-GA, where one consent is enough)? By what both said.\n\
         # Derived from policies/law and the sample notice; a test holds this file to what is decided.\n\n",
    );
    let columns = columns();
    let _ = write!(table, "{:<12} {:<10}", "place", "by");
    for (name, _) in &columns {
        let _ = write!(table, " {name:<15}");
    }
    table.push('\n');
    let places: Vec<Place> = policies.law().places().collect();
    for place in places {
        let row = policies.law().row(place).unwrap();
        let media = match row.telephone == row.video {
            true => vec![("either", Medium::Telephone)],
            false => vec![("telephone", Medium::Telephone), ("video", Medium::Video)],
        };
        for (by, medium) in media {
            let _ = write!(table, "{:<12} {by:<10}", place.to_string());
            for (_, said) in &columns {
                let word = if decide(&policies, place, medium, said) { "permit" } else { "refuse" };
                let _ = write!(table, " {word:<15}");
            }
            let text = table.trim_end().len();
            table.truncate(text);
            table.push('\n');
        }
    }
    if std::env::var_os("UPDATE_TABLE").is_some() {
        std::fs::write(FILE, &table).unwrap();
    }
    let kept = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(kept == table, "{FILE} is not what is decided; UPDATE_TABLE=1 writes it");
    let of =
        |place: &str| kept.lines().find(|line| line.starts_with(&format!("{place} "))).unwrap();
    assert!(of("US-GA").split_whitespace().nth(2) == Some("permit"));
    assert!(of("US-CA").split_whitespace().filter(|word| *word == "permit").count() == 1);
}
