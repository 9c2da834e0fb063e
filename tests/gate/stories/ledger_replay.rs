//! Past decisions made again: from the entry alone with the policies of that time, and by a draft.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use noticegate::config::Config;
use noticegate::folder;
use noticegate::ledger::{Ask, Courier, Ledger, Refused, Review, recall};
use noticegate::policy::{Policies, Question, Reason, Refusal, Verdict};
use noticegate::standin::{Direction, Fault, Misbehaviour, RecordingStatus, SampleRecording};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;

use super::decisions::any_question;
use crate::support::policies::{change, derive};
use crate::support::review_cli::{
    AUTUMN, busy, command, derived, done, of, places, rows, settled, tell, told, until,
};
use crate::support::world::{NUMBER, copy_folder, of_kind};
use crate::support::{World, WorldSettings, recording, tokens};

const MEANING: &str = "notices/2026-03-01/clauses.toml";

/// Calls that differ in everything that decides.
fn calls() -> Vec<SampleRecording> {
    let call = |n: u32, made: &str| SampleRecording {
        call_sid: Some(format!("CA{n:032x}")),
        ..recording(&format!("RE{n:032x}"), made)
    };
    vec![
        call(1, "2026-11-03T09:15:02Z"),
        call(2, "2025-12-01T09:15:02Z"),
        call(3, "2025-03-01T09:15:02Z"),
        call(4, "2024-06-01T09:15:02Z"),
        SampleRecording { direction: Direction::OutboundApi, ..call(5, "2026-10-03T09:15:02Z") },
        SampleRecording { to: "+14045550177".to_owned(), ..call(6, "2025-10-03T09:15:02Z") },
        SampleRecording { channels: 1, call_sid: None, ..call(7, "2026-10-03T09:15:02Z") },
        SampleRecording { status: RecordingStatus::Processing, ..call(8, "2026-11-20T09:15:02Z") },
        call(9, "2026-11-20T09:15:02Z"),
    ]
}

/// Everybody asks for everything.
async fn ask_for_all(world: &World) {
    for call in calls() {
        for (role, purpose, form) in [
            ("quality-analyst", "quality-monitoring", ".wav"),
            ("team-lead", "quality-monitoring", ".mp3"),
            ("trainer", "staff-training", ".wav"),
            ("privacy-officer", "rights-request", ".json"),
            ("complaints-handler", "complaint-handling", ".wav"),
            ("complaints-handler", "record-of-transaction", ".mp3"),
            ("quality-analyst", "marketing", ".wav"),
            ("quality-analyst", "no-such-purpose", ".wav"),
        ] {
            let asked = world.who("somebody", role, purpose, &of(&call.sid, form));
            let asked = match purpose {
                "complaint-handling" if call.channels == 2 => {
                    asked.header("noticegate-reference", "CASE-1").header("noticegate-reason", "x")
                }
                _ => asked,
            };
            world.send(asked).await;
        }
        // A token for one purpose, and a request for it, for another and for none.
        let mut claims =
            tokens::claims(world.clock.now(), "bound", &["quality-analyst", "trainer"]);
        claims["why"] = "quality-monitoring".into();
        let token = format!("Bearer {}", world.key.sign(&claims));
        for purpose in [Some("quality-monitoring"), Some("staff-training"), None] {
            let asked = crate::support::Client::get(&of(&call.sid, ".wav"));
            let asked = asked.header("authorization", &token);
            let asked = match purpose {
                Some(purpose) => asked.header("noticegate-purpose", purpose),
                None => asked,
            };
            world.send(asked).await;
        }
    }
}

/// Makes every decision of a ledger again, by its entry and the policies that the ledger has kept;
/// one of each sort at the command line. How many were permitted, refused and never decided.
fn explain_all(world: &World) -> (usize, usize, usize) {
    let config = Config::load(&world.folder.join("noticegate.toml")).unwrap();
    let mut review = Review::open(&config.ledger, |_| {}).unwrap();
    let mut kept: BTreeMap<String, Policies> = BTreeMap::new();
    let mut sorts = BTreeSet::new();
    let mut count = [0; 3];
    for (place, entry) in world.read_entries().iter().enumerate() {
        let kind = entry["t"].as_str().unwrap();
        let decided = matches!(kind, "intent" | "refusal") && entry.get("facts").is_some();
        let sort = (kind.to_owned(), entry["reason"].to_string(), decided);
        let code = match (decided, kind) {
            (true, "intent") => 0,
            (true, _) => 2,
            (false, _) => 1,
        };
        count[code] += 1;
        if decided {
            let row = review.rows(&[place as u64]).unwrap().remove(0);
            let recalled = recall(&row.bytes).unwrap();
            let policies = kept.entry(recalled.digest.clone()).or_insert_with(|| {
                review.policies(&recalled.digest).unwrap().expect("the ledger keeps policies")
            });
            let (decision, answer) = policies.judge(&recalled.question);
            assert!(recalled.agrees(&decision, &answer), "{entry}");
            assert_eq!(answer.is_ok(), kind == "intent", "{entry}");
        }
        if !sorts.insert(sort) {
            continue;
        }
        let told = tell(world, &["explain", &place.to_string(), "--format", "json"]);
        assert_eq!(usize::try_from(told.code).unwrap(), code, "{entry} {}", told.err);
        if decided {
            let value = &told.json()[0];
            assert_eq!(
                (&value["agrees"], &value["permitted"]),
                (&true.into(), &(code == 0).into())
            );
        } else {
            let said =
                if kind == "refusal" { "before it came to a decision" } else { "no decision" };
            assert!(told.out.is_empty() && told.err.contains(said), "{entry} {}", told.err);
        }
    }
    let [permitted, undecided, refused] = count;
    (permitted, refused, undecided)
}

#[tokio::test]
async fn every_decision_can_be_made_again_from_its_entry_alone() {
    let settings = WorldSettings {
        recordings: calls(),
        issuer: "purpose_claim = \"why\"".to_owned(),
        ..WorldSettings::default()
    };
    let mut world = World::with(settings).await;
    world.standin.misbehave(Misbehaviour {
        path_contains: format!("{}.json", calls()[8].sid),
        fault: Fault::ReplaceJson(
            serde_json::json!({ "encryption_details": { "type": "rsa-aes" } }),
        ),
        times: None,
    });
    ask_for_all(&world).await;
    // Other policies decide the second half, and then there are none at all.
    let policies = world.folder.join("policies");
    let from = "purposes = [\"quality-monitoring\"]\n";
    change(&policies, MEANING, from, &format!("{from}needs = [\"reference\"]\n"));
    derive(&policies);
    world.running().reload();
    until("the new policies are in force", || {
        (!of_kind(&world.read_entries(), "policies").is_empty()).then_some(())
    });
    ask_for_all(&world).await;
    settled(&world);
    world.stop().await;
    std::fs::remove_dir_all(&policies).unwrap();
    done(&world, &["ledger", "erase", "--number", NUMBER, "--reason", "asked for", "--yes"]);
    let (permitted, refused, undecided) = explain_all(&world);
    assert!(permitted > 20 && refused > 80 && undecided > 20, "{permitted} {refused} {undecided}");
    let digests: BTreeSet<String> = of_kind(&world.read_entries(), "intent")
        .iter()
        .map(|intent| intent["decision"]["policies"].to_string())
        .collect();
    assert_eq!(digests.len(), 2, "both sets of policies permitted something");

    // Somebody who changes what an entry says it rests on is found.
    let entries = world.read_entries();
    let tamper = |kind: &str, from: &str, to: &str| {
        let holds = |entry: &&Value| entry["t"] == kind && entry.to_string().contains(from);
        let place = entries.iter().position(|entry| holds(&entry)).unwrap();
        let file = rusqlite::Connection::open(&world.ledger).unwrap();
        let change = "UPDATE entry SET bytes = CAST(replace(CAST(bytes AS TEXT), ?, ?) AS BLOB)
                      WHERE seq = ?";
        assert_eq!(file.execute(change, (from, to, place)).unwrap(), 1);
        let told = tell(&world, &["explain", &place.to_string()]);
        assert_eq!(told.code, 4, "{}{}", told.out, told.err);
        assert!(told.out.contains("NOT the same"), "{}", told.out);
        file.execute(change, (to, from, place)).unwrap();
    };
    tamper("intent", "2026-03-01/quality/", "2026-03-01/copycat/");
    tamper("intent", "\"purpose\":\"quality-monitoring\"", "\"purpose\":\"marketing\"");
    tamper("refusal", "\"reason\":\"forbidden\"", "\"reason\":\"not-permitted\"");
    tamper("refusal", "2026-03-01/no-marketing", "2026-03-01/no-nonsense");
}

/// The environment may name a policy folder; an entry still has its own.
#[tokio::test]
async fn an_entry_is_explained_by_its_own_policies_whatever_the_environment_names() {
    let mut world = busy().await;
    world.stop().await;
    let mut command = command(&world, &["explain", "1"]);
    command.env("NOTICEGATE_POLICIES", "elsewhere");
    let told = told(command);
    assert_eq!(told.code, 0, "{}{}", told.out, told.err);
    assert!(told.out.contains("the same as it was then"), "{}", told.out);
}

#[derive(Debug)]
struct NoCourier;

impl Courier for NoCourier {
    fn post(&self, _: &str, _: Vec<u8>) -> Result<(u16, Vec<u8>), String> {
        Err("nobody is there".to_owned())
    }
}

/// How many random questions are decided and made again.
const QUESTIONS: usize = 800;

/// Any question at all: what comes back from the bytes of its entry gets the same answer on the
/// same grounds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recalled_from_an_entry_is_decided_as_it_was() {
    let policies = Policies::load(&folder::read(Path::new("policies")).unwrap()).unwrap();
    let world = World::prepare(&WorldSettings::default()).await;
    let config = Config::load(&world.folder.join("noticegate.toml")).unwrap();
    let clock = world.clock.clone();
    let ledger = Ledger::open(&config.ledger, clock, &policies, Box::new(NoCourier)).unwrap();
    let ask = Ask {
        method: "GET",
        range: None,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        agent: None,
        reference: None,
        reason: None,
    };
    let mut random = TestRunner::deterministic();
    let mut asked: BTreeMap<String, (String, Result<(), Reason>)> = BTreeMap::new();
    while asked.len() < QUESTIONS {
        let question: Question = any_question().new_tree(&mut random).unwrap().current();
        let (expected, answer) = policies.judge(&question);
        let id = match policies.decide(question) {
            Verdict::Permit(permit) => ledger.intend(permit, &ask).unwrap().0.id().to_string(),
            Verdict::Refuse(refusal) => {
                let Refusal { question, decision, reason, .. } = refusal;
                let refused = Refused {
                    caller: Some(question.caller),
                    action: question.action,
                    media: Some(question.media),
                    share: None,
                    purpose: question.purpose,
                    stated: question.stated,
                    facts: Some(question.facts),
                    decision: Some(decision),
                    reason: reason.code(),
                    detail: None,
                    at: question.now,
                };
                ledger.refuse(&refused, &ask).await.unwrap().to_string()
            }
        };
        asked.insert(id, (format!("{expected:?}"), answer));
    }
    tokio::task::spawn_blocking(move || ledger.close()).await.unwrap();
    let file = rusqlite::Connection::open(&world.ledger).unwrap();
    let mut statement = file.prepare("SELECT bytes FROM entry ORDER BY seq").unwrap();
    let all = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let (mut permits, mut found) = (0, 0);
    for bytes in all.map(Result::unwrap) {
        let entry: Value = serde_json::from_slice(&bytes).unwrap();
        let Some((expected, answer)) = asked.get(entry["id"].as_str().unwrap()) else { continue };
        let recalled = recall(&bytes).unwrap();
        let (decision, again) = policies.judge(&recalled.question);
        assert!(recalled.agrees(&decision, &again), "{entry}");
        assert_eq!(&format!("{decision:?}"), expected, "{entry}");
        assert_eq!(again.is_ok(), answer.is_ok(), "{entry}");
        let code = |answer: &Result<(), Reason>| answer.as_ref().err().map(Reason::code);
        assert_eq!(code(&again), code(answer), "{entry}");
        permits += usize::from(again.is_ok());
        found += 1;
    }
    assert_eq!(found, QUESTIONS);
    assert!(permits > 30 && permits < QUESTIONS - 30, "both are among them: {permits}");
}

fn draft(world: &World, edit: impl FnOnce(&Path)) -> PathBuf {
    let folder = world.folder.join("draft");
    let _ = std::fs::remove_dir_all(&folder);
    copy_folder(&world.folder.join("policies"), &folder);
    edit(&folder);
    derive(&folder);
    folder
}

fn replayed(world: &World, draft: &Path, more: &[&str]) -> (i32, Value) {
    let words = ["replay", "--policies", draft.to_str().unwrap(), "--format", "json"];
    let told = tell(world, &[&words[..], more].concat());
    (told.code, told.json().remove(0))
}

#[tokio::test]
async fn a_draft_is_told_exactly_what_it_would_change() {
    let world = busy().await;
    let entries = settled(&world);
    let same = draft(&world, |_| {});
    for more in [&[][..], &["--since", "2026-11-01"], &["--purpose", "rights-request"]] {
        let (code, value) = replayed(&world, &same, more);
        let decided = |row: &&Value| row["entry"].get("facts").is_some();
        let decided = rows(&world, more).iter().filter(decided).count();
        assert_eq!((code, &value["decisions"]), (0, &decided.into()), "{value}");
        assert_eq!((&value["same"], &value["groups"]), (&decided.into(), &serde_json::json!([])));
    }
    // A stranger, and a recording that Twilio does not have.
    assert_eq!(replayed(&world, &same, &[]).1["undecided"], 2);

    // One clause less: the privacy officer's.
    let less = draft(&world, |folder| {
        let rule = "effect = \"permit\"\nroles = [\"privacy-officer\"]\npurposes = [\"rights-request\"]\n\n# This";
        change(folder, MEANING, rule, "effect = \"inform\"\n\n# This");
    });
    let (code, value) = replayed(&world, &less, &[]);
    let place = entries.iter().position(|entry| entry["caller"]["id"] == "test|pia").unwrap();
    assert_eq!(code, 2);
    assert_eq!(
        value["groups"],
        serde_json::json!([{ "shift": "lost", "by": "not-permitted", "roles": "privacy-officer",
                             "purpose": "rights-request", "count": 1 }])
    );
    assert_eq!(value["examples"], serde_json::json!({ "lost": [place] }));

    // Some may more, some less.
    let other = draft(&world, |folder| {
        let needs = "purposes = [\"complaint-handling\"]\nneeds = [\"reference\"]\n";
        change(folder, MEANING, needs, "purposes = [\"complaint-handling\"]\n");
        let quality = "purposes = [\"quality-monitoring\"]\n";
        change(folder, MEANING, quality, &format!("{quality}directions = [\"outbound\"]\n"));
    });
    let (code, value) = replayed(&world, &other, &[]);
    assert_eq!(code, 2);
    let lost = |role: &str| {
        let of_role = |entry: &&&Value| {
            entry["purpose"] == "quality-monitoring" && entry["caller"]["roles"][0] == *role
        };
        of_kind(&entries, "intent").iter().filter(of_role).count()
    };
    let group = |shift: &str, by: &str, roles: &str, purpose: &str, count: usize| {
        serde_json::json!({ "shift": shift, "by": by, "roles": roles, "purpose": purpose,
                            "count": count })
    };
    assert_eq!(
        value["groups"].as_array().unwrap()[..],
        [
            group(
                "lost",
                "not-permitted",
                "quality-analyst",
                "quality-monitoring",
                lost("quality-analyst")
            ),
            group("lost", "not-permitted", "team-lead", "quality-monitoring", lost("team-lead")),
            group(
                "gained",
                "complaints of 2026-03-01",
                "complaints-handler",
                "complaint-handling",
                1
            ),
        ]
    );
    let decisions = value["decisions"].as_u64().unwrap();
    let changed = lost("quality-analyst") + lost("team-lead") + 1;
    assert_eq!(value["same"].as_u64().unwrap() + changed as u64, decisions);
    let refused = rows(&world, &["--caller", "test|cleo", "--decision", "refuse"]);
    assert_eq!(value["examples"]["gained"], serde_json::json!(places(&refused)));
    for place in value["examples"]["lost"].as_array().unwrap() {
        let entry = &entries[usize::try_from(place.as_u64().unwrap()).unwrap()];
        assert_eq!(
            (&entry["t"], &entry["purpose"]),
            (&"intent".into(), &"quality-monitoring".into())
        );
    }
    let (code, value) = replayed(&world, &other, &["--purpose", "rights-request"]);
    assert_eq!((code, &value["decisions"]), (0, &1.into()));
    let words = ["replay", "--policies", other.to_str().unwrap(), "--number", "+14045559999"];
    assert_eq!(tell(&world, &words).code, 0, "about nobody, nothing changes");
    let human = tell(&world, &["replay", "--policies", other.to_str().unwrap()]);
    for said in ["Would be refused:", "Would be permitted:", "2 refusals had no proven caller"] {
        assert!(human.out.contains(said), "{}", human.out);
    }

    let bad = draft(&world, |_| {});
    change(&bad, MEANING, "check the quality of our service", "check the taste of our service");
    let told = tell(&world, &["replay", "--policies", bad.to_str().unwrap()]);
    assert_eq!(told.code, 3);
    assert!(told.out.contains("does not stand in the notice"), "{}", told.out);
    assert_eq!(tell(&world, &["replay", "--policies", "nowhere"]).code, 3);
    let told = tell(&world, &["replay", "--policies", same.to_str().unwrap(), "--since", "x"]);
    assert_eq!(told.code, 3);
    assert!(derived(&world).exists() && entries.iter().any(|e| e["media"]["recording"] == AUTUMN));
}

/// The words of a line as a shell reads them, as far as the first redirection.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '>' | '|') => break,
            (None, ' ') if word.is_empty() => {}
            (None, ' ') => words.push(std::mem::take(&mut word)),
            (_, c) => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// Each example in a help text is a command line that the command takes.
#[tokio::test]
async fn the_examples_in_the_help_texts_are_commands_that_there_are() {
    let world = World::prepare(&WorldSettings::default()).await;
    let help = done(&world, &["ledger", "--help"]);
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let mut all: Vec<Vec<&str>> = names
        .filter(|name| !["", "help"].contains(name))
        .map(|name| vec!["ledger", name])
        .collect();
    assert!(all.len() >= 13, "{all:?}");
    all.extend([vec!["replay"], vec!["explain"], vec!["witness"]]);
    for words in all {
        let help = done(&world, &[&words[..], &["--help"]].concat());
        let (_, examples) =
            help.split_once("Example").unwrap_or_else(|| panic!("{words:?}: {help}"));
        let examples = examples.replace("\\\n", " ");
        let mut found = 0;
        for line in examples.lines().map(str::trim) {
            let Some(rest) = line.strip_prefix("noticegate ") else { continue };
            let mut example = shell_words(rest);
            assert_eq!(&example[..words.len()], &words[..], "{line}");
            example.push("--help".to_owned());
            let example: Vec<&str> = example.iter().map(String::as_str).collect();
            let told = tell(&world, &example);
            assert_eq!(told.code, 0, "{line}: {}", told.err);
            // What it names is described.
            for flag in example.iter().filter(|word| word.starts_with("--")) {
                assert!(help.contains(flag), "{line}: {flag}");
            }
            found += 1;
        }
        assert!(found > 0, "{words:?} shows an example");
    }
}
