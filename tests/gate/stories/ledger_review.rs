//! Who heard what, when and why: what `noticegate ledger` finds is what stands in the file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::support::review_cli::{
    AUTUMN, NOTE, OTHER, Reaped, busy, command, derived, done, key_file, of, outcomes, places,
    rows, settled, tell,
};
use crate::support::review_scan::{questions, scan, values};
use crate::support::world::{NUMBER, bodiless, of_kind};
use crate::support::{World, WorldSettings, recording};

#[tokio::test]
async fn every_filter_finds_what_a_reader_of_the_whole_file_would_find() {
    let world = busy().await;
    let entries = settled(&world);
    let digest = entries[0]["policies"].as_str().unwrap();
    for (flags, holds) in questions(digest) {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let expected = scan(&entries, holds);
        let found = rows(&world, &flags);
        let mut newest = places(&found);
        newest.reverse();
        assert_eq!(newest, expected, "{flags:?}, newest first");
        for row in &found {
            let keys: Vec<&String> = row.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["seq", "entry", "outcome", "people"], "the shape is stable");
            let place = usize::try_from(row["seq"].as_u64().unwrap()).unwrap();
            assert_eq!(row["entry"], entries[place]);
        }
        let count = done(&world, &[&["ledger", "query", "--count"], &flags[..]].concat());
        assert_eq!(count.trim(), expected.len().to_string(), "{flags:?} counted");
    }
    assert_eq!(places(&rows(&world, &["--oldest"])), scan(&entries, |_, _| true));
}

#[tokio::test]
async fn counts_by_field_and_over_time_are_those_of_the_file() {
    let world = busy().await;
    let entries = settled(&world);
    let all = outcomes(&entries);
    for field in [
        "kind",
        "decision",
        "caller",
        "role",
        "recording",
        "call",
        "account",
        "purpose",
        "clause",
        "notice",
        "policy",
        "reason",
        "action",
        "form",
        "artefact",
        "writer",
        "key",
        "ending",
    ] {
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for entry in &entries {
            for value in values(field, entry, all.get(entry["id"].as_str().unwrap())) {
                *expected.entry(value).or_default() += 1;
            }
        }
        let words = ["ledger", "query", "--format", "json", "--limit", "1000", "--by", field];
        let told = tell(&world, &words).json();
        let pair = |line: &Value| {
            (line[field].as_str().unwrap().to_owned(), line["count"].as_u64().unwrap())
        };
        assert_eq!(told.iter().map(pair).collect::<BTreeMap<_, _>>(), expected, "by {field}");
        let counts: Vec<u64> = told.iter().map(|line| line["count"].as_u64().unwrap()).collect();
        assert!(counts.is_sorted_by(|a, b| a >= b), "the most frequent first: {counts:?}");
    }
    for (unit, length) in [("hour", 13), ("day", 10), ("month", 7)] {
        for flags in [&[][..], &["--decision", "permit", "--since", "2026-11-01T00:00:00Z"]] {
            let words = ["ledger", "query", "--format", "json", "--histogram", unit];
            let told = tell(&world, &[&words, flags].concat()).json();
            let mut expected: BTreeMap<String, u64> = BTreeMap::new();
            for row in rows(&world, flags) {
                let at = row["entry"]["at"].as_str().unwrap()[..length].to_owned();
                *expected.entry(at).or_default() += 1;
            }
            let pair = |line: &Value| {
                (
                    line["start"].as_str().unwrap()[..length].to_owned(),
                    line["count"].as_u64().unwrap(),
                )
            };
            assert_eq!(
                told.iter().map(pair).collect::<Vec<_>>(),
                expected.into_iter().collect::<Vec<_>>()
            );
        }
    }
}

/// Pages of three while requests come in: what was there at the first page comes once.
#[tokio::test]
async fn each_entry_is_on_one_page_also_while_more_are_written() {
    let world = busy().await;
    let there = scan(&settled(&world), |_, _| true);
    for oldest in [false, true] {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut words = vec!["ledger", "query", "--format", "json", "--limit", "3"];
            words.extend(oldest.then_some("--oldest"));
            words.extend(after.as_deref().map(|_| "--after"));
            words.extend(after.as_deref());
            let page = tell(&world, &words).json();
            found.extend(places(
                &page.iter().filter(|l| l.get("seq").is_some()).cloned().collect::<Vec<_>>(),
            ));
            after = page.iter().find_map(|line| Some(line.get("next")?.as_str()?.to_owned()));
            if after.is_none() {
                break;
            }
            if found.len() < 18 {
                assert_eq!(world.send(world.ana(&of(AUTUMN, ".mp3"))).await.status, 200);
                settled(&world);
            }
        }
        let once: BTreeSet<u64> = found.iter().copied().collect();
        assert_eq!(once.len(), found.len(), "no entry comes twice");
        assert!(there.iter().all(|place| once.contains(place)), "none is missing");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_what_can() {
    let world = busy().await;
    for (flags, said) in [
        (&["--field", "colour=red"][..], "recording"),
        (&["--not", "colour=red"], "recording"),
        (&["--field", "caller"], "FIELD=VALUE"),
        (&["--since", "yesterday"], "30d"),
        (&["--until", "2026-13-01"], "2026-11-03"),
        (&["--since", "2026-11-03T09:00:00"], "2026-11-03T09:00:00Z"),
        (&["--number", "404 555 0123"], "plus sign"),
        (&["--after", "x"], "number"),
        (&["--sessions", "--after", "17"], "two numbers"),
    ] {
        let told = tell(&world, &[&["ledger", "query"], flags].concat());
        assert_eq!((told.code, told.out.as_str()), (3, ""), "{flags:?}: {}", told.err);
        assert!(told.err.contains(said), "{flags:?}: {}", told.err);
    }
    let told = tell(&world, &["ledger", "query", "--number", "+14045559999"]);
    assert_eq!((told.code, told.err.as_str()), (0, ""));
    assert_eq!(told.out, "Nothing is recorded about this number.\n");
    assert_eq!(done(&world, &["ledger", "query", "--number", "+14045559999", "--count"]), "0\n");
}

/// Beside a gate, after it, with what it derived thrown away, and without the secrets.
#[tokio::test]
async fn the_answers_are_the_same_with_a_gate_without_one_and_with_a_new_index() {
    let mut world = busy().await;
    let beside = rows(&world, &["--decision", "permit"]);
    assert!(!beside.is_empty());
    let told = tell(&world, &["ledger", "rebuild"]);
    assert_eq!(told.code, 1, "a gate uses it");
    assert!(told.err.contains("stop the gate"), "{}", told.err);
    assert_eq!(rows(&world, &["--decision", "permit"]), beside);
    world.stop().await;
    assert_eq!(rows(&world, &["--decision", "permit"]), beside);
    let everything = |world: &World| {
        let people = ["ledger", "query", "--number", NUMBER, "--format", "json", "--limit", "999"];
        let sessions = ["ledger", "query", "--sessions", "--format", "json"];
        let words = ["ledger", "query", "--words", "compl*", "--by", "caller"];
        let all = rows(world, &[]);
        (all, done(world, &people), done(world, &sessions), done(world, &words))
    };
    let before = everything(&world);
    std::fs::remove_dir_all(derived(&world)).unwrap();
    assert_eq!(everything(&world), before, "without the index");
    let said = done(&world, &["ledger", "rebuild"]);
    assert_eq!(said, format!("The search index holds {} entries.\n", world.read_entries().len()));
    assert_eq!(everything(&world), before, "rebuilt");

    // The secrets elsewhere: everything but people.
    let key = key_file(&world);
    let away = key.with_extension("away");
    std::fs::rename(&key, &away).unwrap();
    let bare = rows(&world, &[]);
    assert_eq!(places(&bare), places(&before.0));
    assert!(bare.iter().all(|row| row["people"].is_null()), "nobody is known");
    let told = tell(&world, &["ledger", "query", "--number", NUMBER]);
    assert_eq!(told.code, 1);
    assert!(told.err.contains("key file"), "{}", told.err);
    assert!(!key.exists(), "no new secrets are made for an old ledger");
    std::fs::rename(&away, &key).unwrap();
    assert_eq!(everything(&world), before);
}

#[tokio::test]
async fn one_entry_is_shown_by_its_number_and_by_the_id_that_an_answer_named() {
    let mut world = busy().await;
    let answer = world.send(world.ana(&of(AUTUMN, ".wav"))).await;
    let id = answer.entry().to_owned();
    let entries = settled(&world);
    let place = entries.iter().position(|entry| entry["id"] == *id).unwrap().to_string();
    for gate in [true, false] {
        let by_number = tell(&world, &["ledger", "show", &place, "--format", "json"]).json();
        let by_id = tell(&world, &["ledger", "show", &id, "--format", "json"]).json();
        assert_eq!(by_number, by_id);
        assert_eq!(by_number[0]["entry"]["id"], *id);
        assert_eq!(by_number[0]["outcome"]["of"], *id);
        assert_eq!(by_number[0]["outcome"]["bytes"], answer.body.len());
        assert_eq!(by_number[0]["people"]["net"]["address"], "127.0.0.1");
        let human = done(&world, &["ledger", "show", &id]);
        assert!(human.contains("\"ending\": \"complete\""), "{human}");
        for unknown in ["4711", "0190a1b2-0000-7000-8000-000000000000", "x", "-1"] {
            let told = tell(&world, &["ledger", "show", "--", unknown]);
            assert_eq!((told.code, told.out.as_str()), (1, ""), "{unknown}");
            assert!(told.err.contains("no entry"), "{}", told.err);
        }
        if gate {
            world.stop().await;
        }
    }
}

#[tokio::test]
async fn the_tail_shows_the_last_entries_and_then_those_that_come() {
    let world = busy().await;
    let there = settled(&world).len();
    let last = tell(&world, &["ledger", "tail", "-n", "3", "--format", "json"]).json();
    let expected: Vec<u64> = (there as u64 - 3..there as u64).collect();
    assert_eq!(places(&last), expected, "oldest first");
    let words = ["ledger", "tail", "-f", "-n", "1", "--format", "json"];
    let child = command(&world, &words).stdout(Stdio::piped()).spawn().unwrap();
    let mut child = Reaped(child);
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["seq"], there - 1);
    let answer = world.send(world.ana(&of(AUTUMN, ".wav"))).await;
    assert_eq!(next()["entry"]["id"], answer.entry());
    assert_eq!(next()["entry"]["of"], answer.entry());
}

/// Somebody who watches does not keep a gate from starting, and sees what it writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_starts_beside_somebody_who_follows_and_who_asks() {
    let mut world = busy().await;
    world.stop().await;
    let words = ["ledger", "tail", "-f", "-n", "1", "--format", "json"];
    let mut child = Reaped(command(&world, &words).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["entry"]["t"], "stop");
    done(&world, &["ledger", "review", "1", "--verdict", "appropriate"]);
    assert_eq!(next()["entry"]["t"], "review");
    assert_eq!(rows(&world, &["--kind", "review"]).len(), 1, "the index has it at once");
    let world = world.started();
    assert_eq!(next()["entry"]["t"], "start");
    let answer = world.send(world.ana(&of(AUTUMN, ".wav"))).await;
    assert_eq!(next()["entry"]["id"], answer.entry());
    settled(&world);
    assert_eq!(rows(&world, &["--kind", "start"]).len(), 2);
}

/// A sitting: a player asks here and there, and each second counts once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_player_s_requests_are_one_sitting_with_each_part_counted_once() {
    let bytes = bytes::Bytes::from(vec![7; 1_000]);
    let audio = noticegate::standin::SampleAudio::Bytes { wav: bytes.clone(), mp3: bytes };
    let made = "2026-11-03T09:15:02Z";
    let of_thousand = noticegate::standin::SampleRecording { audio, ..recording(AUTUMN, made) };
    let endless = noticegate::standin::SampleRecording {
        audio: noticegate::standin::SampleAudio::Zeros { length: 64 << 20 },
        ..recording(OTHER, made)
    };
    let settings =
        WorldSettings { recordings: vec![of_thousand, endless], ..WorldSettings::default() };
    let world = World::with(settings).await;
    let at = |time: &str| world.clock.set(format!("2026-11-23T{time}Z").parse().unwrap());
    let part = async |range: &str| {
        let request = world.ana(&of(AUTUMN, ".wav")).header("range", range);
        let status = world.send(request).await.status;
        settled(&world);
        status
    };
    at("12:00:00");
    let head = world.ana(&of(AUTUMN, ".wav")).method("HEAD");
    assert_eq!(world.send(head).await.status, 200);
    for (time, range) in [
        ("12:00:01", "bytes=0-299"),
        ("12:01:00", "bytes=200-399"),
        ("12:01:30", "bytes=0-99"),
        ("12:06:29", "bytes=900-999"),
    ] {
        at(time);
        assert_eq!(part(range).await, 206);
    }
    at("12:11:30");
    assert_eq!(part("bytes=500-549").await, 206);
    // Another purpose, person or form is another sitting, also at the same time.
    for (who, role, purpose, form) in [
        ("ana", "privacy-officer", "rights-request", ".wav"),
        ("tom", "team-lead", "quality-monitoring", ".wav"),
        ("ana", "quality-analyst", "quality-monitoring", ".mp3"),
    ] {
        assert_eq!(world.send(world.who(who, role, purpose, &of(AUTUMN, form))).await.status, 200);
    }
    settled(&world);
    let found = rows(&world, &["--sessions"]);
    let one = |row: &Value| {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        let heard = row["share_heard"].as_f64().map(|share| (share * 1_000.0).round());
        (text("caller"), text("purpose"), text("form"), row["requests"].as_u64().unwrap(), heard)
    };
    let expected = [
        ("test|ana", "quality-monitoring", "mp3", 1, 1_000.0),
        ("test|tom", "quality-monitoring", "wav", 1, 1_000.0),
        ("test|ana", "rights-request", "wav", 1, 1_000.0),
        ("test|ana", "quality-monitoring", "wav", 1, 50.0),
        ("test|ana", "quality-monitoring", "wav", 5, 500.0),
    ]
    .map(|(who, why, form, n, heard)| (who.into(), why.into(), form.into(), n, Some(heard)));
    assert_eq!(found.iter().map(one).collect::<Vec<_>>(), expected);
    assert_eq!(found[4]["heard"], serde_json::json!([[0, 400], [900, 1000]]));
    assert_eq!(found[4]["bytes"], 300 + 200 + 100 + 100);

    // One who leaves has what was handed over, and no more than there is.
    at("13:00:00");
    let response = world.client.start(bodiless(world.ana(&of(OTHER, ".wav")))).await;
    drop(response);
    let entries = settled(&world);
    let left = of_kind(&entries, "outcome").pop().unwrap();
    let found = rows(&world, &["--sessions", "--recording", OTHER]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["bytes"], left["bytes"]);
    assert_eq!(found[0]["endings"], serde_json::json!({ "caller-left": 1 }));
    assert!(found[0]["share_heard"].as_f64().unwrap() < 1.0);

    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut words = vec!["ledger", "query", "--sessions", "--format", "json", "--limit", "2"];
        words.extend(after.as_deref().map(|_| "--after"));
        words.extend(after.as_deref());
        let page = tell(&world, &words).json();
        seen.extend(page.iter().filter_map(|line| line.get("first")?.as_u64()));
        after = page.iter().find_map(|line| Some(line.get("next")?.as_str()?.to_owned()));
        if after.is_none() {
            break;
        }
        // A page that is under way shows the ledger as it was.
        assert_eq!(world.send(world.ana(&of(AUTUMN, ".wav"))).await.status, 200);
        settled(&world);
    }
    let once: BTreeSet<u64> = seen.iter().copied().collect();
    assert_eq!((seen.len(), once.len()), (6, 6), "each sitting is on one page");
}

#[tokio::test]
async fn a_review_is_an_entry_and_its_note_opens_but_does_not_stand_there() {
    let world = busy().await;
    let note = "spoke with the caller, all is well";
    let said = done(
        &world,
        &["ledger", "review", "1", "2", "--verdict", "appropriate", "--note", note, "--by", "rita"],
    );
    let entries = world.read_entries();
    let place = (entries.len() - 1).to_string();
    assert_eq!(said, format!("On record as entry {place}.\n"));
    let review = entries.last().unwrap();
    assert_eq!((&review["t"], &review["reason"]), (&"review".into(), &"appropriate".into()));
    assert_eq!(review["of"], serde_json::json!([1, 2]));
    assert_eq!(review["actor"], "rita");
    let raw = std::fs::read(&world.ledger).unwrap();
    let log = std::fs::read(format!("{}-wal", world.ledger.display())).unwrap_or_default();
    for text in [note, NOTE, NUMBER] {
        let held = |file: &[u8]| file.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(!held(&raw) && !held(&log), "what tells of people is sealed");
    }
    let shown = tell(&world, &["ledger", "show", &place, "--format", "json"]).json();
    assert!(shown[0]["people"].to_string().contains(note), "it opens");
    assert!(rows(&world, &["--kind", "review"]).len() == 1);
    let told = tell(&world, &["ledger", "review", "1", "--verdict", "fine"]);
    assert!(told.code != 0 && told.err.contains("needs-explanation"), "{}", told.err);
}
