//! Promise 1: every permit cites a clause, and its quote stands verbatim in the published text.

use std::path::Path;

use noticegate::clock::Clock;
use noticegate::config::Config;
use noticegate::serve::Prepared;

use crate::support::world::of_kind;
use crate::support::{NOW, World, WorldSettings, path};

#[tokio::test]
async fn a_permitted_disclosure_cites_its_clause_and_is_recorded_first() {
    let mut world = World::new().await;
    let answer = world.send(world.ana(&path(".wav"))).await;
    assert_eq!(answer.status, 200);
    let served = world
        .standin
        .media(
            crate::support::ACCOUNT,
            crate::support::RECORDING,
            noticegate::standin::MediaFormat::Wav,
            None,
        )
        .unwrap();
    assert_eq!(answer.body, served);
    assert_eq!(answer.header("content-type"), Some("audio/x-wav"));
    let id = answer.entry().to_owned();
    assert_eq!(world.media_requests(), [format!("GET {}", path(".wav"))]);
    let entries = world.entries().await;
    let kinds: Vec<&str> = entries.iter().map(|e| e["t"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["start", "intent", "outcome", "stop"]);
    let intent = &entries[1];
    assert_eq!(intent["id"], id.as_str());
    assert_eq!(intent["caller"]["id"], "test|ana");
    assert_eq!(intent["purpose"], "quality-monitoring");
    assert_eq!(intent["decision"]["cited"][0]["clause"], "quality");
    assert_eq!(intent["decision"]["notice"], "2026-03-01");
    let outcome = &entries[2];
    assert_eq!(outcome["of"], id.as_str());
    assert_eq!(outcome["ending"], "complete");
    assert_eq!(outcome["bytes"], served.len());
    assert_eq!(outcome["status"], 200);
}

#[tokio::test]
async fn a_use_that_the_notice_forbids_is_refused_in_its_words() {
    let mut world = World::new().await;
    let request = world.who("ana", "quality-analyst", "marketing", &path(".wav"));
    let answer = world.send(request).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    let quote = "We do not use recordings for marketing, and we do not sell them.";
    assert_eq!(problem["quote"], quote);
    assert_eq!(problem["clause"], "no-marketing");
    assert_eq!(problem["notice"], "2026-03-01");
    // Twilio's own error object, so that its SDKs raise it.
    assert_eq!(problem["code"], 20403);
    assert_eq!(problem["status"], 403);
    assert!(problem["message"].as_str().unwrap().contains(quote));
    assert!(problem["more_info"].is_string());
    assert_eq!(problem["entry"], answer.entry());
    assert_eq!(world.media_requests(), Vec::<String>::new());
    let entries = world.entries().await;
    assert!(of_kind(&entries, "intent").is_empty());
    let refusals = of_kind(&entries, "refusal");
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0]["reason"], "forbidden");
    assert_eq!(refusals[0]["decision"]["cited"][0]["clause"], "no-marketing");
    assert_eq!(refusals[0]["id"], answer.entry());
}

/// Changes one file of the policies and says why the gate then does not start.
async fn refused_at_load(policies: fn(&Path)) -> String {
    let settings = WorldSettings { policies, ..WorldSettings::default() };
    let world = World::prepare(&settings).await;
    let config = Config::load(&world.folder.join("noticegate.toml")).unwrap();
    Prepared::new(config, Clock::manual(NOW.parse().unwrap())).unwrap_err().to_string()
}

fn change(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} holds `{from}`");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

const CLAUSES: &str = "notices/2026-03-01/clauses.cedar";

#[tokio::test]
async fn a_permit_without_a_promise_does_not_start() {
    let invented = refused_at_load(|folder| {
        change(folder, CLAUSES, "the leader of the team that took your call", "our partners");
    })
    .await;
    assert!(invented.contains("does not stand in the notice word for word"), "{invented}");
    assert!(invented.contains("2026-03-01/quality/quality-analyst"), "{invented}");
    let no_quote = refused_at_load(|folder| change(folder, CLAUSES, "@quote", "@words")).await;
    assert!(no_quote.contains("needs an @quote"), "{no_quote}");
    let no_clause =
        refused_at_load(|folder| change(folder, CLAUSES, "@clause(\"quality\")", "")).await;
    assert!(no_clause.contains("needs an @clause"), "{no_clause}");
    let no_id = refused_at_load(|folder| {
        change(folder, CLAUSES, "@id(\"2026-03-01/quality/quality-analyst\")", "");
    })
    .await;
    assert!(no_id.contains("needs an @id"), "{no_id}");
}

#[tokio::test]
async fn a_notice_whose_text_has_changed_does_not_start() {
    let changed = refused_at_load(|folder| {
        change(folder, "notices/2026-03-01/notice.md", "12 months", "24 months");
    })
    .await;
    assert!(changed.contains("is not the one that was published"), "{changed}");
}

#[tokio::test]
async fn a_policy_filed_under_what_it_is_not_bound_to_does_not_start() {
    let other_notice = refused_at_load(|folder| {
        change(
            folder,
            CLAUSES,
            "resource.notice == Noticegate::Notice::\"2026-03-01\"",
            "resource.notice == Noticegate::Notice::\"2025-02-01\"",
        );
    })
    .await;
    assert!(other_notice.contains("holds for notice 2025-02-01"), "{other_notice}");
    let any_purpose = refused_at_load(|folder| {
        let purpose = "context.purpose == Noticegate::Purpose::\"quality-monitoring\"";
        change(folder, CLAUSES, purpose, &format!("({purpose} || true)"));
    })
    .await;
    assert!(any_purpose.contains("must hold for one purpose"), "{any_purpose}");
    let guardrail = refused_at_load(|folder| {
        change(
            folder,
            "guardrails.cedar",
            "forbid (principal, action, resource)\nunless",
            "permit (principal, action, resource)\nwhen",
        );
    })
    .await;
    assert!(guardrail.contains("may only forbid"), "{guardrail}");
}

#[tokio::test]
async fn what_the_validator_objects_to_does_not_start() {
    let typo = refused_at_load(|folder| {
        change(folder, CLAUSES, "Role::\"quality-analyst\"", "Role::\"quality-analist\"");
    })
    .await;
    assert!(typo.contains("quality-analist"), "{typo}");
    let maybe_absent = refused_at_load(|folder| {
        change(
            folder,
            CLAUSES,
            "context.purpose == Noticegate::Purpose::\"marketing\"",
            "resource.direction == Noticegate::Direction::\"inbound\"",
        );
    })
    .await;
    assert!(maybe_absent.contains("direction"), "{maybe_absent}");
    let syntax = refused_at_load(|folder| change(folder, CLAUSES, "permit (", "allow (")).await;
    assert!(syntax.contains("clauses.cedar:"), "the line is named: {syntax}");
    let twice = refused_at_load(|folder| {
        change(
            folder,
            CLAUSES,
            "@id(\"2026-03-01/quality/team-lead\")",
            "@id(\"2026-03-01/keep\")",
        );
    })
    .await;
    assert!(twice.contains("used twice"), "{twice}");
}
