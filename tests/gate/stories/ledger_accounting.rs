//! What leaves the ledger for others: exports for their tools, and the accounting for a person.

#![expect(clippy::print_stdout, reason = "a check that cannot be made says so")]

use std::path::Path;
use std::process::{Command, Stdio};

use http_body_util::BodyExt;
use noticegate::standin::{Fault, Misbehaviour};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::support::ledger::leaf;
use crate::support::policies::{change, derive};
use crate::support::process::{Process, listening, one, until_nothing_is_open, world_of_processes};
use crate::support::review_cli::{
    AUTUMN, BRITISH, MISSING, NOTE, OLD, OTHER, Reaped, busy, command, done, key_file, of, rows,
    settled, tell, until,
};
use crate::support::world::{NUMBER, of_kind};
use crate::support::{Client, World, WorldSettings};

/// The other end of every call of the world's history.
const BOTH: &str = "+14045550188";
/// What a spreadsheet would compute.
const FORMULA: &str = "=cmd()";
/// Everything that tells of people in the world's history.
const PERSONAL: [&str; 7] = [NUMBER, BRITISH, "127.0.0.1", "Probe/7.1", NOTE, "CASE-1234", FORMULA];

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn with_a_formula() -> World {
    let mut world = busy().await;
    let asked = world.ana(&of(AUTUMN, ".wav")).header("noticegate-reason", FORMULA);
    assert_eq!(world.send(asked).await.status, 200);
    world.stop().await;
    world
}

/// Exports into a file; returns it, after its entry was held against it.
fn export(world: &World, words: &[&str]) -> Vec<u8> {
    let out = world.folder.join("out.export");
    let out_text = out.to_str().unwrap();
    let said = done(world, &[&["ledger", "export", "--out", out_text], words].concat());
    let file = std::fs::read(&out).unwrap();
    std::fs::remove_file(&out).unwrap();
    assert!(!world.folder.join("out.export.part").exists());
    let entry = world.read_entries().pop().unwrap();
    assert_eq!((&entry["t"], &entry["actor"]), (&"export".into(), &"rita".into()));
    assert_eq!(entry["sha256"], sha256(&file));
    assert!(said.contains(&sha256(&file)), "{said}");
    assert!(said.starts_with(&format!("{} entries", entry["entries"])), "{said}");
    file
}

#[derive(serde::Deserialize)]
struct Line<'a> {
    seq: u64,
    leaf: String,
    #[serde(borrow)]
    entry: &'a RawValue,
}

#[tokio::test]
async fn an_export_has_what_the_query_finds_and_people_only_when_it_is_told_to() {
    let world = with_a_formula().await;
    for filter in [&[][..], &["--decision", "permit", "--since", "2026-11-01"]] {
        for people in [false, true] {
            let flags = [filter, if people { &["--people"][..] } else { &[] }].concat();
            let expected = rows(&world, &[filter, &["--oldest"]].concat());
            let jsonl = String::from_utf8(export(&world, &flags)).unwrap();
            let lines: Vec<Line<'_>> =
                jsonl.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(lines.len(), expected.len(), "{filter:?}");
            for (line, row) in lines.iter().zip(&expected) {
                assert_eq!(line.seq, row["seq"]);
                let hash = leaf(line.entry.get().as_bytes());
                let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(line.leaf, hash, "the exact bytes stand in the line");
            }
            // Since the last one, exports themselves have come.
            let expected = rows(&world, filter).len();
            let csv = export(&world, &[&flags[..], &["--form", "csv"]].concat());
            let csv = String::from_utf8(csv).unwrap();
            assert_eq!(csv.matches("\r\n").count(), expected + 1);
            let events = ["intent", "refusal", "start", "stop", "resume"];
            let found = rows(&world, filter);
            let fits = |row: &&Value| events.contains(&row["entry"]["t"].as_str().unwrap());
            let expected = found.iter().filter(fits).count();
            let ocsf = export(&world, &[&flags[..], &["--form", "ocsf"]].concat());
            let ocsf = String::from_utf8(ocsf).unwrap();
            assert_eq!(ocsf.lines().count(), expected);
            let expected = rows(&world, filter).len();
            let file = export(&world, &[&flags[..], &["--form", "parquet"]].concat());
            assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"));
            let reader = SerializedFileReader::new(bytes::Bytes::from(file.clone())).unwrap();
            let table: Vec<String> =
                reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
            assert_eq!(table.len(), expected);
            in_python(&world, &file, expected);
            let table = table.join("\n");
            for text in [&jsonl, &csv, &table] {
                for personal in PERSONAL {
                    let there = filter.is_empty() && people;
                    let has = text.contains(personal);
                    assert!(has || !there, "`{personal}` is there");
                    assert!(people || !has, "`{personal}` is not there");
                }
            }
            assert!(people || PERSONAL.iter().all(|personal| !ocsf.contains(personal)));
            if people && filter.is_empty() {
                assert!(csv.contains(",'=cmd(),") && csv.contains(",'+1404"), "no formula");
                assert!(!csv.contains(",=") && !csv.contains(",+"), "no formula");
            }
        }
    }
    let marked = export(&world, &["--form", "csv", "--mark"]);
    assert!(marked.starts_with("\u{feff}seq,".as_bytes()));
}

/// Another reader of Parquet, where there is one.
fn in_python(world: &World, file: &[u8], rows: usize) {
    let path = world.folder.join("table.parquet");
    std::fs::write(&path, file).unwrap();
    let script = "import sys, pyarrow.parquet as p; print(p.read_table(sys.argv[1]).num_rows)";
    let python = Command::new("python3").args(["-c", script]).arg(&path).output();
    match python {
        Ok(output) if output.status.success() => {
            assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), rows.to_string());
        }
        _ => println!("skipped: pyarrow is not installed"),
    }
}

/// What cannot be finished leaves nothing behind that looks like an export.
#[tokio::test]
async fn an_export_is_whole_or_not_there() {
    let mut world = busy().await;
    world.stop().await;
    let folder = world.folder.join("exports");
    std::fs::create_dir(&folder).unwrap();
    std::fs::create_dir(folder.join("taken")).unwrap();
    let taken = folder.join("taken");
    let told = tell(&world, &["ledger", "export", "--people", "--out", taken.to_str().unwrap()]);
    assert_eq!(told.code, 1, "{}", told.out);
    assert!(told.err.contains("taken"), "{}", told.err);
    let nowhere = folder.join("nowhere/file");
    let told = tell(&world, &["ledger", "export", "--out", nowhere.to_str().unwrap()]);
    assert_eq!((told.code, told.out.as_str()), (1, ""));
    let left: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left, ["taken"], "nothing is left of what was begun");
}

/// A reader that goes away, as `head` does, ends a command without an uproar.
#[tokio::test]
async fn a_closed_pipe_ends_every_command_that_prints() {
    let world = busy().await;
    for words in [
        &["ledger", "query", "--limit", "1000"][..],
        &["ledger", "query", "--sessions"],
        &["ledger", "show", "1"],
        &["ledger", "export"],
        &["ledger", "subject", NUMBER],
        &["ledger", "tail", "-n", "3"],
        &["ledger", "tail", "-f", "-n", "3"],
        &["explain", "1"],
    ] {
        let mut child = command(&world, words);
        let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut child = Reaped(child);
        drop(child.0.stdout.take());
        let ended = until(&format!("{words:?} ends"), || child.0.try_wait().unwrap());
        let mut said = String::new();
        std::io::Read::read_to_string(&mut child.0.stderr.take().unwrap(), &mut said).unwrap();
        assert!(ended.code().is_some(), "{words:?}: {ended}");
        assert!(!said.contains("panicked"), "{words:?}: {said}");
    }
}

const SENTENCE: &str =
    "our complaints team uses the recording of your call to find out what happened";

/// The notice says it in other words from now on.
fn reword(folder: &Path) {
    let to = "our complaints team listens to the recording of your call to learn what happened";
    change(folder, "notices/2026-03-01/notice.md", SENTENCE, to);
    change(folder, "notices/2026-03-01/clauses.toml", SENTENCE, to);
    let text = std::fs::read(folder.join("notices/2026-03-01/notice.md")).unwrap();
    let meaning = folder.join("notices/2026-03-01/clauses.toml");
    let old = std::fs::read_to_string(&meaning).unwrap();
    let line = old.lines().find(|line| line.starts_with("sha256")).unwrap().to_owned();
    let new = format!("sha256 = \"{}\"", sha256(&text));
    std::fs::write(&meaning, old.replace(&line, &new)).unwrap();
    derive(folder);
}

#[tokio::test]
async fn the_person_s_copy_names_no_employee_and_quotes_the_notice_as_it_was() {
    let mut world = busy().await;
    reword(&world.folder.join("policies"));
    world.running().reload();
    until("the new words are in force", || {
        (!of_kind(&world.read_entries(), "policies").is_empty()).then_some(())
    });
    world.clock.set("2026-11-23T13:00:00Z".parse().unwrap());
    let asked = world.who("cleo", "complaints-handler", "complaint-handling", &of(OTHER, ".mp3"));
    let asked = asked.header("noticegate-reference", "CASE-9");
    assert_eq!(world.send(asked).await.status, 200);
    world.stop().await;
    let before = world.read_entries().len();
    let text = done(&world, &["ledger", "subject", "+44 7700 900123"]);
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for staff in ["ana", "tom", "cleo", "pia", "complaints-handler", "team-lead", "rita"] {
        assert!(!text.contains(&format!("|{staff}")) && !flat.contains(&format!(" {staff} ")));
    }
    assert!(flat.contains("there were 3 disclosures"), "{text}");
    assert!(flat.contains(&format!("\u{201c}If you make a complaint, {SENTENCE}.\u{201d}")));
    assert!(flat.contains("our complaints team listens to the recording of your call to learn"));
    assert!(flat.contains("handling complaints") && flat.contains("quality monitoring"));
    assert!(
        flat.contains("1 November 2026, 09:10 UTC") && flat.contains("23 November 2026, 13:00")
    );
    assert!(!flat.contains("CASE-") && !flat.contains(NOTE) && !flat.contains(NUMBER));
    let entry = world.read_entries().pop().unwrap();
    assert_eq!((&entry["t"], &entry["entries"]), (&"accounting".into(), &3.into()));
    assert!(!entry.to_string().contains("7700"), "no number is on record");
    assert_eq!(world.read_entries().len(), before + 1, "each accounting is an entry");
    let quoted = std::fs::read_to_string("policies/notices/2026-03-01/notice.md").unwrap();
    let quoted = quoted.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(quoted.contains(SENTENCE), "the quote stands verbatim in the notice");

    let full = done(&world, &["ledger", "subject", BRITISH, "--full"]);
    for staff in ["test|cleo (complaints-handler)", "test|tom (team-lead)", "rita"] {
        assert!(full.contains(staff), "{full}");
    }
    let summary = done(&world, &["ledger", "subject", BRITISH, "--full", "--summary"]);
    assert!(summary.contains("2 times, last on 23 November 2026, 13:00 UTC"), "{summary}");
    assert!(summary.contains("there were 3 disclosures"));
    let since = done(&world, &["ledger", "subject", BRITISH, "--since", "2026-11-23"]);
    assert!(since.contains("there was 1 disclosure"), "{since}");
    assert!(since.contains("Covers            23 November 2026, 00:00 UTC to"));
    // Everybody on a call has it, and nobody is told of the others.
    for (number, lines) in [(NUMBER, 3), (BRITISH, 3), (BOTH, 6)] {
        let csv = done(&world, &["ledger", "subject", number, "--form", "csv"]);
        for other in [NUMBER, BRITISH, BOTH] {
            assert!(!csv.contains(other) && !csv.contains("test|"));
        }
        assert_eq!(csv.lines().count(), 1 + lines, "{csv}");
    }
    let told = tell(&world, &["ledger", "subject", BRITISH, "--summary"]);
    assert!(told.code != 0 && told.err.contains("--full"));
}

/// Refusals and what upstream did not have disclosed nothing.
#[tokio::test]
async fn what_was_not_disclosed_is_not_accounted_for() {
    let world = busy().await;
    world.standin.misbehave(Misbehaviour {
        path_contains: format!("{AUTUMN}.wav"),
        fault: Fault::Status { status: 404, retry_after: None },
        times: None,
    });
    world.clock.set("2026-11-24T12:00:00Z".parse().unwrap());
    let asked = world.who("kim", "team-lead", "quality-monitoring", &of(AUTUMN, ".wav"));
    assert_eq!(world.send(asked).await.status, 404);
    for sid in [OLD, MISSING] {
        let asked = world.who("kim", "team-lead", "quality-monitoring", &of(sid, ".wav"));
        assert!(world.send(asked).await.status >= 400);
    }
    let entries = settled(&world);
    let intents = of_kind(&entries, "intent");
    let intents = intents.iter().filter(|entry| entry["caller"]["id"] == "test|kim");
    assert_eq!(intents.count(), 1, "there is an intent, and nothing came of it");
    let full = done(&world, &["ledger", "subject", NUMBER, "--full"]);
    assert!(!full.contains("kim"), "{full}");
    assert!(full.contains("there were 3 disclosures"), "{full}");
    assert!(!full.contains(OLD) && full.contains(AUTUMN));
    let nobody = done(&world, &["ledger", "subject", "+14045559999"]);
    assert!(nobody.contains("Nothing was disclosed."), "{nobody}");
    let entries = world.read_entries();
    let accountings = of_kind(&entries, "accounting");
    assert_eq!(accountings.len(), 2);
    assert_eq!(accountings[1]["entries"], 0);
    std::fs::remove_file(key_file(&world)).unwrap();
    let told = tell(&world, &["ledger", "subject", NUMBER]);
    assert_eq!((told.code, told.out.as_str()), (1, ""), "without secrets, nobody is found");
}

/// A crash leaves a disclosure of which nobody knows how it ended: it counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_cut_off_counts_as_disclosed() {
    let world = world_of_processes(WorldSettings::default()).await;
    let process = Process::start(&world.folder, &[]);
    let client = Client::new(process.address, world.authority.certificate());
    world.standin.misbehave(Misbehaviour {
        path_contains: ".wav".to_owned(),
        fault: Fault::StallAfter { bytes: 2_000 },
        times: None,
    });
    let mut response = client.start(listening(&world)()).await;
    assert!(response.body_mut().frame().await.is_some(), "some of it was handed over");
    process.kill();
    // Before any gate has closed it, and after.
    let said = "how much was handed over is not known. Counted as disclosed in full.";
    let open = done(&world, &["ledger", "subject", NUMBER]);
    assert!(open.contains("there was 1 disclosure"), "{open}");
    let process = Process::start(&world.folder, &[]);
    world.standin.behave();
    until_nothing_is_open(&world).await;
    let closed = done(&world, &["ledger", "subject", NUMBER]);
    assert!(closed.contains("there was 1 disclosure") && closed.contains(said), "{closed}");
    let sessions = rows(&world, &["--sessions"]);
    assert_eq!(sessions[0]["endings"], serde_json::json!({ "unknown": 1 }));
    assert_eq!(sessions[0]["requests"], 1);
    assert_eq!(one(&world, &process).await.status, 200);
    assert!(process.terminate());
    assert!(open.contains(said), "also while it is open: {open}");
}

#[tokio::test]
async fn the_page_needs_nothing_else_and_a_browser_shows_it() {
    let mut world = busy().await;
    world.stop().await;
    let page = world.folder.join("accounting.html");
    let name = "<script>alert(1)</script> & Sons";
    let words = ["ledger", "subject", BRITISH, "--form", "page", "--organisation", name, "--out"];
    let said = done(&world, &[&words[..], &[page.to_str().unwrap()]].concat());
    assert!(said.starts_with("2 disclosures in "), "{said}");
    let html = std::fs::read_to_string(&page).unwrap();
    for outside in ["http:", "https:", "src=", "<link", "<script", "url(", "@import", "test|"] {
        assert!(!html.contains(outside), "{outside} is not in it");
    }
    assert!(html.contains("&lt;script&gt;") && html.contains("If you make a complaint"));
    let profile = world.folder.join("profile");
    let shown = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", page.display()))
        .output();
    let Ok(shown) = shown else {
        println!("skipped: chromium is not installed");
        return;
    };
    let dom = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(dom.contains("<caption>Disclosures, the earliest first</caption>"), "{dom}");
    assert!(dom.contains("handling complaints") && !dom.contains("<script"), "{dom}");
}
