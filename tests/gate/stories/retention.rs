//! When the time of a recording is over: not a second before the published words say so, and not a
//! second after.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use noticegate::facts::Facts;
use noticegate::folder;
use noticegate::identity::Caller;
use noticegate::media::{Action, Form, MediaRef};
use noticegate::notice::Circumstance;
use noticegate::policy::{Ground, Policies, Question, Retention, Scenario, Stated};
use proptest::prelude::*;
use serde_json::json;

use crate::support::policies::{Folder, one_notice};
use crate::support::sweep::state;
use crate::support::world::copy_folder;
use crate::support::{CALL, RECORDING, World, WorldSettings, path, recording};

fn sample() -> Policies {
    Policies::load(&folder::read(Path::new("policies")).unwrap()).unwrap()
}

/// The sample's words under one notice.
fn under(sentences: &[(&str, &str)]) -> Policies {
    let temporary = tempfile::tempdir().unwrap();
    copy_folder(Path::new("policies"), temporary.path());
    one_notice(temporary.path(), sentences);
    Policies::load(&folder::read(temporary.path()).unwrap()).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn seconds(number: i64) -> SignedDuration {
    SignedDuration::from_secs(number)
}

fn facts(policies: &Policies, recording: &str) -> Arc<Facts> {
    let quoted = recording.lines().map(|line| match line.split_once(" = ") {
        Some((key, time)) if time.ends_with('Z') => format!("{key} = \"{time}\"\n"),
        _ => format!("{line}\n"),
    });
    let text = format!("roles = []\n[recording]\n{}", quoted.collect::<String>());
    let scenario: Scenario = toml::from_str(&text).unwrap();
    scenario.question(policies.vocabulary(), at("2026-11-23T12:00:00Z")).unwrap().facts
}

/// The clauses that end a use, as the gate decides about it: those in `keeps` that forbid it.
fn ended(policies: &Policies, facts: &Arc<Facts>, now: Timestamp, keeps: &[&str]) -> bool {
    let caller = Arc::new(Caller {
        id: "anybody".to_owned(),
        roles: policies.roles().iter().cloned().collect(),
        on_behalf_of: None,
        bound_purpose: None,
        default_purpose: None,
        proof: noticegate::identity::Proof {
            issuer: String::new(),
            key_id: None,
            token_id: None,
            expires_at: Timestamp::MAX,
        },
    });
    let recipients: Vec<Option<String>> =
        policies.vocabulary().recipients.keys().cloned().map(Some).collect();
    policies.purposes().all(|purpose| {
        Action::USES.iter().all(|action| {
            let none = [None];
            let to: &[Option<String>] = if *action == Action::Share { &recipients } else { &none };
            to.iter().all(|recipient| {
                let question = Question {
                    caller: Arc::clone(&caller),
                    action: *action,
                    media: MediaRef::recording(facts.account, facts.recording, Form::Wav),
                    purpose: Some(purpose.clone()),
                    stated: Stated {
                        circumstances: vec![Circumstance::Reference, Circumstance::Reason],
                        recipient: recipient.clone(),
                        country: recipient.is_some().then(|| "ZZ".to_owned()),
                    },
                    facts: Arc::clone(facts),
                    now,
                };
                let (decision, answer) = policies.judge(&question);
                let by_keep = decision.citations.iter().any(|cited| match &cited.ground {
                    Ground::Clause { clause, .. } => keeps.contains(&clause.as_str()),
                    Ground::Guardrail { .. } => false,
                });
                answer.is_err() && by_keep
            })
        })
    })
}

/// Holds a time to the gate's own decisions around it, and to itself whenever it is asked.
fn hold_to_the_gate(policies: &Policies, facts: &Arc<Facts>, keeps: &[&str]) -> Retention {
    let retention = policies.retention(facts, facts.ended_at());
    let Some(due) = retention.due else { return retention };
    assert!(!ended(policies, facts, due - seconds(1), keeps), "not a second before {due}");
    assert!(ended(policies, facts, due, keeps), "at {due}");
    assert!(ended(policies, facts, due + seconds(1), keeps), "a second after {due}");
    for now in [due - seconds(1), due, due + seconds(1), due + seconds(1_000_000_000)] {
        let then = policies.retention(facts, now);
        assert_eq!((then.due, then.is_over(now)), (Some(due), now >= due), "asked at {now}");
    }
    retention
}

fn by(retention: &Retention) -> Vec<String> {
    let clause = |cited: &Arc<noticegate::policy::Citation>| match &cited.ground {
        Ground::Clause { clause, notice, quote } => {
            assert!(!quote.is_empty());
            format!("{notice}#{clause}")
        }
        Ground::Guardrail { .. } => cited.policy.clone(),
    };
    retention.clauses.iter().map(clause).collect()
}

#[test]
fn the_sample_notice_ends_a_call_after_a_year_and_a_sales_call_after_two() {
    let policies = sample();
    let keeps = ["keep", "keep-sales"];
    let told = |recording: &str| {
        let retention = hold_to_the_gate(&policies, &facts(&policies, recording), &keeps);
        (retention.due.map(|due| due.to_string()), by(&retention))
    };
    let year = Some("2027-04-01T10:01:40Z".to_owned());
    let call = "made = 2026-04-01T10:00:00Z\nseconds = 100\ncall-type = \"support\"";
    let (due, clauses) = told(call);
    assert_eq!((due, clauses[0].as_str()), (year.clone(), "2026-03-01#keep"));
    let sales = "made = 2026-04-01T10:00:00Z\nseconds = 100\ncall-type = \"sales\"";
    let (due, clauses) = told(sales);
    assert_eq!(due.as_deref(), Some("2028-03-31T10:01:40Z"));
    assert_eq!(clauses, ["2026-03-01#keep-sales", "2026-03-01#keep"]);
    // Nobody said what kind of call it is: then the gate refuses after a year, too.
    assert_eq!(told("made = 2026-04-01T10:00:00Z\nseconds = 100").0, year);
    // A hold stops the deletion, not the time.
    let held = facts(&policies, &format!("{call}\ncircumstances = [\"hold\"]"));
    assert_eq!(policies.retention(&held, held.ended_at()).due.map(|due| due.to_string()), year);
    // Made under the first notice, and shortened by the second.
    let (due, clauses) = told("made = 2026-02-01T10:00:00Z\nseconds = 0");
    assert_eq!(due.as_deref(), Some("2027-02-01T10:00:00Z"));
    assert_eq!(clauses[0], "2026-03-01#keep");
    // Before the first notice nothing was promised, so nothing ends.
    assert_eq!(told("made = 2025-01-01T10:00:00Z"), (None, Vec::new()));
}

/// What had a longer time under its own notice ends in the second in which the shorter one takes
/// effect.
#[test]
fn a_shorter_time_counts_from_the_day_of_its_notice() {
    let policies = sample();
    let facts = facts(&policies, "made = 2025-02-15T10:00:00Z\nseconds = 10");
    let retention = hold_to_the_gate(&policies, &facts, &["keep", "keep-sales"]);
    assert_eq!(retention.due, Some(at("2026-03-01T00:00:00Z")));
}

const LISTEN: &str =
    "effect = \"permit\"\nroles = [\"quality-analyst\"]\npurposes = [\"quality-monitoring\"]";

#[test]
fn a_clause_for_some_uses_ends_those_alone() {
    let part = "effect = \"keep\"\nperiod = \"30 days\"\npurposes = [\"quality-monitoring\"]";
    let policies = under(&[("listening", LISTEN), ("part", part)]);
    let facts = facts(&policies, "made = 2026-04-01T10:00:00Z");
    assert_eq!(policies.retention(&facts, at("2036-04-01T10:00:00Z")), Retention::default());
    let none = under(&[("listening", LISTEN)]);
    assert_eq!(none.retention(&facts, at("2036-04-01T10:00:00Z")).due, None);
    assert_eq!(none.shortest_keep(), None);
}

#[test]
fn an_exception_that_anybody_could_have_is_a_use_that_is_left() {
    let keep = "effect = \"keep\"\nperiod = \"30 days\"";
    let due = |sentences: &[(&str, &str)]| {
        let policies = under(sentences);
        let facts = facts(&policies, "made = 2026-04-01T10:00:00Z");
        policies.retention(&facts, at("2036-04-01T10:00:00Z")).due
    };
    for except in ["{ roles = [\"legal-counsel\"] }", "{ needs = [\"reference\"] }"] {
        let keep = format!("{keep}\nexcept = [{except}]");
        assert_eq!(due(&[("listening", LISTEN), ("keep", &keep)]), None, "{except}");
    }
    let own = format!("{keep}\nactions = [\"access\", \"describe\"]");
    let sharing = format!("{keep}\nactions = [\"share\"]");
    for (except, is_due) in [
        ("", true),
        ("except = [{ recipients = [\"court\"] }]", false),
        ("except = [{ countries = [\"GB\"] }]", false),
        ("recipients = [\"court\"]", false),
    ] {
        let sharing = format!("{sharing}\n{except}");
        let found = due(&[("listening", LISTEN), ("keep", &own), ("sharing", &sharing)]);
        assert_eq!(found.is_some(), is_due, "{except}");
    }
}

#[test]
fn the_clock_of_a_case_begins_when_it_is_closed_and_never_while_it_is_open() {
    let policies = under(&[
        ("listening", LISTEN),
        (
            "keep",
            "effect = \"keep\"\nperiod = \"90 days\"\nexcept = [{ purposes = [\"complaint-handling\"] }]",
        ),
        (
            "complaints",
            "effect = \"keep\"\nperiod = \"60 days\"\nclock = \"case-end\"\npurposes = [\"complaint-handling\"]",
        ),
    ]);
    let keeps = ["keep", "complaints"];
    let due = |more: &str| {
        let made = format!("made = 2026-04-01T10:00:00Z\nseconds = 60\n{more}");
        let facts = facts(&policies, &made);
        (hold_to_the_gate(&policies, &facts, &keeps).due, facts)
    };
    let (closed, _) = due("case-closed = 2026-08-01T00:00:00Z");
    assert_eq!(closed, Some(at("2026-09-30T00:00:00Z")));
    let (early, _) = due("case-closed = 2026-04-02T00:00:00Z");
    assert_eq!(early, Some(at("2026-06-30T10:01:00Z")));
    let (open, facts) = due("circumstances = [\"open-case\"]");
    assert_eq!(open, None);
    assert_eq!(policies.retention(&facts, at("2036-01-01T00:00:00Z")).due, None);
    // Nobody knows of a case: the use that is only for cases is refused, and holds nothing back.
    assert_eq!(due("").0, Some(at("2026-06-30T10:01:00Z")));
}

/// A doubt refuses a use, and deletes nothing.
#[test]
fn where_everything_depends_on_a_case_that_nobody_knows_of_nothing_is_due() {
    let policies = under(&[
        ("listening", LISTEN),
        ("training", "effect = \"keep\"\nperiod = \"30 days\"\npurposes = [\"staff-training\"]"),
        ("keep", "effect = \"keep\"\nperiod = \"60 days\"\nclock = \"case-end\""),
    ]);
    let unknown = facts(&policies, "made = 2026-04-01T10:00:00Z");
    assert_eq!(policies.retention(&unknown, at("2036-01-01T00:00:00Z")).due, None);
    let closed =
        facts(&policies, "made = 2026-04-01T10:00:00Z\ncase-closed = 2026-05-01T00:00:00Z");
    let due = hold_to_the_gate(&policies, &closed, &["training", "keep"]).due;
    assert_eq!(due, Some(at("2026-06-30T00:00:00Z")));
}

/// Words enough for notices of all kinds.
const WORDS: &str = r#"
[[purpose]]
id = "care"
name = "care"
iri = "urn:x:care"
[[purpose]]
id = "proof"
name = "proof"
iri = "urn:x:proof"
[[purpose]]
id = "record-keeping"
name = "keeping records"
iri = "urn:x:records"
[[role]]
id = "clerk"
name = "clerks"
[[recipient]]
id = "court"
name = "a court"
[[call-type]]
id = "sales"
name = "sales calls"
"#;

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever clauses say, the time is over where the gate itself has ended every use.
    #[test]
    fn the_time_is_over_when_the_gate_has_ended_every_use(
        clauses in prop::collection::vec((1u32..100, 0usize..4, any::<bool>(), 0usize..3), 1..4),
        (closed, sales) in (prop::option::of(0i64..100), any::<bool>()),
    ) {
        let mut text = "We record calls.\n\n".to_owned();
        let mut meaning = "[[clause]]\nid = \"listen\"\nquote = \"We record calls.\"\n\
            effect = \"permit\"\nroles = [\"clerk\"]\npurposes = [\"care\"]\n".to_owned();
        let mut keeps = Vec::new();
        for (index, (days, purposes, of_case, except)) in clauses.iter().enumerate() {
            let name = format!("keep{index}");
            text.push_str(&format!("A promise of {name}.\n\n"));
            let purposes = ["", "purposes = [\"care\"]\n", "purposes = [\"proof\"]\n", "call-types = [\"sales\"]\n"][*purposes];
            let clock = if *of_case { "clock = \"case-end\"\n" } else { "" };
            let except = ["", "except = [{ purposes = [\"proof\"] }]\n", "except = [{ call-types = [\"sales\"] }]\n"][*except];
            meaning.push_str(&format!(
                "[[clause]]\nid = \"{name}\"\nquote = \"A promise of {name}.\"\neffect = \"keep\"\n\
                 period = \"{days} days\"\n{purposes}{clock}{except}"
            ));
            keeps.push(name);
        }
        let header = "effective = \"2026-01-01T00:00:00Z\"";
        // Clauses that contradict each other are refused before they can end anything.
        let Ok(policies) = Folder::new(WORDS).notice("2026-01-01", header, &text, &meaning).load()
        else { return Ok(()) };
        let made = at("2026-04-01T10:00:00Z");
        let closed = closed.map(|day| made + seconds(day * 86_400));
        let closed = closed.map(|closed| format!("case-closed = {closed}\n")).unwrap_or_default();
        let kind = if sales { "call-type = \"sales\"" } else { "" };
        let facts = facts(&policies, &format!("made = {made}\nseconds = 60\n{closed}{kind}"));
        // Where nobody knows of a case, one that counts from a case refuses in doubt, from the start.
        // That deletes nothing, unless it is for some purposes alone and others have ended.
        let doubts = |purposes: usize| [0, 3].contains(&purposes);
        let known = clauses.iter().zip(&keeps).filter(|((_, purposes, of_case, _), _)| {
            !(closed.is_empty() && *of_case && doubts(*purposes))
        });
        let keeps: Vec<&str> = known.map(|(_, name)| name.as_str()).collect();
        let due = hold_to_the_gate(&policies, &facts, &keeps).due;
        // Where all is known, nothing is missed either.
        if !closed.is_empty() {
            let end = at("2027-04-01T10:00:00Z");
            prop_assert_eq!(due.is_some(), ended(&policies, &facts, end, &keeps));
        }
    }
}

/// At the outermost surface: the second counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn use_ends_at_the_gate_in_the_second_of_each_limit() {
    let recordings = vec![recording(RECORDING, "2026-03-01T00:00:00Z")];
    let world = World::with(WorldSettings { recordings, ..WorldSettings::default() }).await;
    let labels = json!({"about": [CALL], "labels": {"call_type": "sales"}});
    state(&world.folder.join("noticegate.toml"), &world.clock, labels);
    let wav = path(".wav");
    let proof =
        || world.send(world.who("cho", "complaints-handler", "record-of-transaction", &wav));
    // Consent is needed where the law may demand everybody's.
    let consents = ["+14045550123", "+14045550188"].map(|number| {
        json!({"about": [CALL], "participant": {"number": number},
            "consent": {"at": "2026-03-01T00:00:00Z", "state": "given", "form": "spoke"}})
    });
    for consent in consents {
        state(&world.folder.join("noticegate.toml"), &world.clock, consent);
    }
    for (now, listening, proving) in [
        ("2027-03-01T00:00:03Z", 200, 200),
        ("2027-03-01T00:00:04Z", 403, 200),
        ("2027-03-01T00:00:05Z", 403, 200),
        ("2028-02-29T00:00:03Z", 403, 200),
        ("2028-02-29T00:00:04Z", 403, 403),
        ("2028-02-29T00:00:05Z", 403, 403),
    ] {
        world.clock.set(at(now));
        assert_eq!(world.send(world.ana(&wav)).await.status, listening, "{now}");
        assert_eq!(proof().await.status, proving, "{now}");
    }
    let policies = sample();
    let question =
        facts(&policies, "made = 2026-03-01T00:00:00Z\nseconds = 4\ncall-type = \"sales\"");
    assert_eq!(
        policies.retention(&question, world.clock.now()).due,
        Some(at("2028-02-29T00:00:04Z"))
    );
}
