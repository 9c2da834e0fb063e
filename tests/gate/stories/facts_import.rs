//! Tables of statements: begun with a dry run, told line by line what is wrong, on record as a whole
//! or not at all, and once.

use std::io::Write;
use std::process::Stdio;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::review_cli::{Told, command, done, tell};
use crate::support::world::{CALL, NUMBER, Store, of_kind, on_both_stores, path};
use crate::support::{World, WorldSettings};

on_both_stores!(a_table_is_tried_imported_and_then_known, ten_thousand_consents_take_seconds);

/// Written as people write: a number with brackets, semicolons between cells, Excel's `TRUE`.
const TABLE: &str = "\u{feff}Number;About;At;State;Form;Purposes\r\n\
    \"+1 (404) 555-0123\";CA0123456789abcdef0123456789abcdef;2026-11-03T10:15:05+01:00;given;spoke;\"staff-training; quality-monitoring\"\r\n\
    '+14045550188;CA0123456789abcdef0123456789abcdef;2026-11-03T09:15:05Z;given;contract;\r\n";

fn table(world: &World, text: &str) -> String {
    let path = world.folder.join("table.csv");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn import(world: &World, more: &[&str]) -> Told {
    let file = world.folder.join("table.csv");
    let words = ["consent", "import", file.to_str().unwrap(), "--format", "json"];
    tell(world, &[&words, more].concat())
}

fn statements(world: &World) -> Vec<Value> {
    of_kind(&world.read_entries(), "statement").into_iter().cloned().collect()
}

async fn a_table_is_tried_imported_and_then_known(store: Store) {
    let world = World::with(WorldSettings { law: true, store, ..WorldSettings::default() }).await;
    let trainer = || world.who("tom", "trainer", "staff-training", &path(".wav"));
    table(&world, TABLE);
    assert_eq!(world.send(trainer()).await.status, 403);

    let tried = import(&world, &["--dry-run"]);
    assert_eq!(tried.code, 0, "{}", tried.err);
    let expected = json!({"summary": {"rows": 2, "kinds": {"consent given": 2}, "people": 2,
        "calls": 1, "new": 2, "known": 0, "entry": null, "dry_run": true}});
    assert_eq!(tried.json(), [expected]);
    assert_eq!(statements(&world), [] as [Value; 0], "a dry run records nothing");
    assert_eq!(world.send(trainer()).await.status, 403);

    let imported = import(&world, &["--by", "rita"]);
    let summary = &imported.json()[0]["summary"];
    assert_eq!((&summary["new"], &summary["known"]), (&json!(2), &json!(0)), "{summary}");
    let entries = world.read_entries();
    let first = usize::try_from(summary["entry"].as_u64().unwrap()).unwrap();
    assert_eq!(entries[first]["actor"], "rita");
    assert_eq!(entries[first]["said"]["consent"]["at"], "2026-11-03T09:15:05Z");
    world.hears(first as u64 + 1);
    assert_eq!(world.send(trainer()).await.status, 200, "the gate decides by it");

    let again = import(&world, &[]);
    let summary = &again.json()[0]["summary"];
    assert_eq!((&summary["new"], &summary["known"]), (&json!(0), &json!(2)), "{summary}");
    let mixed =
        format!("{TABLE}{}", TABLE.lines().nth(1).unwrap().replace("given;spoke", "refused;"));
    table(&world, &mixed);
    let summary = import(&world, &[]).json()[0]["summary"].clone();
    assert_eq!((&summary["new"], &summary["known"]), (&json!(1), &json!(2)), "{summary}");
    assert_eq!(statements(&world).len(), 3);
    let text: String = world.read_entries().iter().map(Value::to_string).collect();
    assert!(!text.contains("4045550"), "a number stands in no entry");
    for told in [&tried, &imported, &again] {
        assert!(!told.out.contains("5550") && !told.err.contains("5550"), "nor in what is told");
    }
}

#[tokio::test]
async fn every_bad_line_is_told_and_nothing_is_imported() {
    let world = World::new().await;
    table(
        &world,
        "number,at,state,form,purposes,until\n\
         +14045550123,2026-11-03T09:15:05Z,given,spoke,staff-training,\n\
         +14045550123,2026-11-03T09:15:05Z,given,,,\n\
         404 555 0177,2026-11-03T09:15:05Z,refused,,,\n\
         +14045550123,3.11.2026,refused,,staff-trianing,\n\
         +14045550123,2026-11-03T09:15:05Z,given,wrote,staff-trianing,\n\
         +14045550123,2026-11-03T09:15:05Z,given,wrote,,2026-11-02T00:00:00Z\n\
         +14045550123,2199-11-03T09:15:05Z,refused,,,\n",
    );
    let file = world.folder.join("table.csv");
    let told = tell(&world, &["consent", "import", file.to_str().unwrap()]);
    assert_eq!(told.code, 3);
    let expected = [
        "line 3, form: this does not fit; how consent was given: stayed-on, pressed-key",
        "line 4, number: this is no telephone number; write it with a plus sign and its country",
        "line 5, at: nobody knows whether the day or the month comes first",
        "line 6, purposes: this does not fit; the vocabulary has no purpose `staff-trianing`; \
         did you mean `staff-training`?",
        "line 7, until: this does not fit; a time after `at`",
        "line 8, at: this does not fit; a time that has come",
        "6 problems in 6 lines; nothing was imported.",
    ];
    let lines: Vec<&str> = told.out.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{}", told.out);
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\nis not\n{expected}");
    }
    let json = import(&world, &[]);
    assert_eq!(json.code, 3);
    assert_eq!(json.json()[0]["line"], 3);
    assert_eq!(json.json()[0]["column"], "form");
    assert_eq!(json.json()[6]["summary"]["problems"], 6);
    assert!(
        !told.out.contains("0177") && !told.out.contains("404555"),
        "no number is repeated: {}",
        told.out
    );
    assert_eq!(statements(&world), [] as [Value; 0]);

    let absent = tell(&world, &["consent", "import", "nothing.csv"]);
    assert_eq!(absent.code, 3);
    assert!(absent.err.contains("nothing.csv"), "{}", absent.err);
}

#[tokio::test]
async fn labels_payments_and_cases_come_in_one_table() {
    let world = World::new().await;
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    let table = format!(
        "kind,about,line,labels,taken,pauses,case,at,state\n\
         labels,{CALL},support,-,,,,,\n\
         payment,{CALL},,,yes,,,,\n\
         case,{CALL},,,,,C-1,2026-11-04T09:00:00Z,open\n"
    );
    // From standard input.
    let mut child = command(&world, &["call", "import", "-", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(table.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kinds = json!({"case": 1, "labels": 1, "payment": 1});
    assert_eq!((&summary["summary"]["kinds"], &summary["summary"]["new"]), (&kinds, &json!(3)));
    world.hears(summary["summary"]["entry"].as_u64().unwrap() + 2);
    let answer = world.send(world.ana(&path(".wav"))).await;
    assert_eq!(answer.status, 403);
    assert!(String::from_utf8_lossy(&answer.body).contains("a card may have been recorded"));
}

/// In a build that is not optimised, on a machine that does other things.
async fn ten_thousand_consents_take_seconds(store: Store) {
    let world = World::with(WorldSettings { store, ..WorldSettings::default() }).await;
    let mut rows = String::from("number,about,at,state,form,purposes\n");
    for count in 0..10_000 {
        rows.push_str(&format!(
            "+1404{:07},CA{count:032x},2026-11-03T09:15:05Z,given,spoke,staff-training\n",
            2_000_000 + count
        ));
    }
    table(&world, &rows);
    for (more, new, known) in [(&["--dry-run"][..], 10_000, 0), (&[], 10_000, 0), (&[], 0, 10_000)]
    {
        let started = Instant::now();
        let told = import(&world, more);
        let took = started.elapsed();
        assert_eq!(told.code, 0, "{}", told.err);
        let summary = &told.json()[0]["summary"];
        assert_eq!((&summary["new"], &summary["known"]), (&json!(new), &json!(known)), "{summary}");
        assert!(took.as_secs() < 60, "{more:?} took {took:?}");
    }
    let told = done(&world, &["consent", "show", "+14042009999", "--format", "json"]);
    let shown: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(shown["history"].as_array().unwrap().len(), 1);
    assert!(!told.contains("2009999") && !told.contains(NUMBER));
}
