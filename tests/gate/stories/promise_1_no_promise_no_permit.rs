//! Promise 1: every permit cites a clause, and its quote stands verbatim in the published text.

use std::path::Path;

use noticegate::clock::Clock;
use noticegate::config::Config;
use noticegate::serve::Prepared;

use crate::support::policies::{append, change};
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
    refused(&World::prepare(&settings).await)
}

fn prepared(world: &World) -> Result<Prepared, String> {
    let config = Config::load(&world.folder.join("noticegate.toml")).unwrap();
    let clock = Clock::manual(NOW.parse().unwrap());
    Prepared::new(config, clock).map_err(|error| error.to_string())
}

fn refused(world: &World) -> String {
    prepared(world).expect_err("the folder is refused")
}

const GUARDRAILS: &str = "guardrails.cedar";

const MEANING: &str = "notices/2026-03-01/clauses.toml";
const DERIVED: &str = "notices/2026-03-01/clauses.cedar";

#[tokio::test]
async fn a_permit_without_a_promise_does_not_start() {
    let invented = refused_at_load(|folder| {
        change(folder, MEANING, "the leader of the team that took your call", "our partners");
    })
    .await;
    assert!(invented.contains("does not stand in the notice word for word"), "{invented}");
    assert!(invented.contains("clause `quality`"), "{invented}");
    let cut = refused_at_load(|folder| {
        change(
            folder,
            MEANING,
            "We do not use recordings to train computer models.",
            "We do not u",
        );
    })
    .await;
    assert!(cut.contains("shorter than 16 bytes"), "{cut}");
    // What the derived file says beyond the clauses is said by nobody, however it came there.
    for (from, to) in [
        ("@quote", "@words"),
        ("@clause(\"quality\")\n", ""),
        ("Role::\"quality-analyst\"", "Role::\"trainer\""),
        ("resource.notice == Noticegate::Notice::\"2026-03-01\"", "true"),
        (
            "(context.purpose == Noticegate::Purpose::\"quality-monitoring\")",
            "(context.purpose == Noticegate::Purpose::\"quality-monitoring\" || true)",
        ),
        ("forbid (", "permit ("),
        ("permit (", "allow ("),
    ] {
        let settings = WorldSettings::default();
        let world = World::prepare(&settings).await;
        change(&world.folder.join("policies"), DERIVED, from, to);
        let error = refused(&world);
        let said = "this is not what the clauses and the vocabulary derive";
        assert!(error.contains(said), "{from}: {error}");
        assert!(error.contains("clauses.cedar:"), "the line is named: {error}");
    }
    let more = refused_at_load(|folder| {
        append(folder, DERIVED, "permit (principal, action, resource);\n");
    })
    .await;
    assert!(more.contains("this is not what"), "{more}");
    let gone = refused_at_load(|folder| {
        std::fs::remove_file(folder.join(DERIVED)).unwrap();
    })
    .await;
    assert!(gone.contains("the derived file is not there"), "{gone}");
}

#[tokio::test]
async fn a_sentence_that_nobody_has_read_does_not_start() {
    let open = refused_at_load(|folder| {
        change(
            folder,
            MEANING,
            "effect = \"permit\"\nroles = [\"legal-counsel\"]\npurposes = [\"legal-claims\"]\n\
             needs = [\"open-case\"]",
            "effect = \"undecided\"",
        );
    })
    .await;
    assert!(open.contains("clause `legal-claims` is undecided"), "{open}");
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
async fn a_guardrail_may_only_forbid_and_says_why() {
    let permits = refused_at_load(|folder| {
        append(
            folder,
            GUARDRAILS,
            "@id(\"x\") @reason(\"y\") permit (principal, action, resource);",
        );
    })
    .await;
    assert!(permits.contains("`x` permits; a guardrail may only forbid"), "{permits}");
    let no_reason = refused_at_load(|folder| {
        append(folder, GUARDRAILS, "@id(\"x\") forbid (principal, action, resource);");
    })
    .await;
    assert!(no_reason.contains("guardrail `x` needs an @reason"), "{no_reason}");
    let no_id = refused_at_load(|folder| {
        append(folder, GUARDRAILS, "@reason(\"y\") forbid (principal, action, resource);");
    })
    .await;
    assert!(no_id.contains("needs an @id"), "{no_id}");
    let twice = refused_at_load(|folder| {
        let more = "@id(\"2026-03-01/keep\") @reason(\"y\")\n\
                    forbid (principal, action, resource) when { resource.channels == 7 };";
        append(folder, GUARDRAILS, more);
    })
    .await;
    assert!(twice.contains("used twice"), "{twice}");
}

/// Cedar's own validator, in strict mode and with warnings as errors, sees every policy.
#[tokio::test]
async fn what_the_validator_objects_to_does_not_start() {
    for (condition, said) in [
        ("resource.consent == Noticegate::Consent::\"perhaps\"", "perhaps"),
        ("resource.direction == Noticegate::Direction::\"inbound\"", "direction"),
        ("context.purpose == \"marketing\"", "String"),
        ("resource.ageSeconds < \"1\"", "String"),
        ("false && resource.encrypted", "impossible"),
        ("resource.channels == 7", ""),
    ] {
        let world = World::prepare(&WorldSettings::default()).await;
        let more = format!(
            "@id(\"x\") @reason(\"y\") forbid (principal, action, resource) when {{ {condition} }};"
        );
        append(&world.folder.join("policies"), GUARDRAILS, &more);
        if said.is_empty() {
            assert!(prepared(&world).is_ok(), "the shape of these tests is sound");
        } else {
            let error = refused(&world);
            assert!(error.contains(said), "{condition}: {error}");
        }
    }
    let syntax = refused_at_load(|folder| change(folder, GUARDRAILS, "forbid (", "deny (")).await;
    assert!(syntax.contains("guardrails.cedar:"), "the line is named: {syntax}");
}

/// The engine would overflow its stack, or pass what it did not finish checking.
#[tokio::test]
async fn a_policy_too_deep_to_be_checked_does_not_start() {
    for (condition, said) in [
        (format!("{}true{}", "(".repeat(5_000), ")".repeat(5_000)), "nests deeper"),
        (vec!["resource.encrypted"; 2_900].join(" || "), "nest too deeply"),
        (format!("resource.status == \"{}\"", "x".repeat(70_000)), "longer than"),
    ] {
        let world = World::prepare(&WorldSettings::default()).await;
        let more = format!(
            "@id(\"x\") @reason(\"y\") forbid (principal, action, resource) when {{ {condition} }};"
        );
        append(&world.folder.join("policies"), GUARDRAILS, &more);
        let error = refused(&world);
        assert!(error.contains(said), "{said}: {}", &error[..200.min(error.len())]);
    }
}
