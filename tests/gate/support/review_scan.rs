//! Questions to the ledger, and what a reader of the whole file would answer.

use std::collections::BTreeSet;

use serde_json::Value;

use super::review_cli::{AUTUMN, BRITISH, OLD, OTHER, outcomes};

/// The values that an entry has in a field, read from the file alone.
pub fn values(field: &str, entry: &Value, outcome: Option<&Value>) -> Vec<String> {
    let texts = |pointers: &[&str]| -> Vec<String> {
        let found = pointers.iter().filter_map(|pointer| entry.pointer(pointer)?.as_str());
        found.map(str::to_owned).collect()
    };
    let decision = match entry["t"].as_str().unwrap() {
        "intent" => vec!["permit".to_owned()],
        "refusal" => vec!["refuse".to_owned()],
        _ => Vec::new(),
    };
    let list = |pointer: &str| entry.pointer(pointer).and_then(Value::as_array).cloned();
    match field {
        "kind" => texts(&["/t"]),
        "decision" => decision,
        "caller" => texts(&["/caller/id"]),
        "recording" => texts(&["/media/recording"]),
        "call" => texts(&["/facts/call"]),
        "account" => texts(&["/media/account"]),
        "purpose" => texts(&["/purpose"]),
        "notice" => texts(&["/decision/notice"]),
        "policy" => texts(&["/decision/policies", "/policies"]),
        "reason" => texts(&["/reason"]),
        "action" => texts(&["/action"]),
        "form" => texts(&["/media/form"]),
        "artefact" => texts(&["/facts/artefact"]),
        "writer" => texts(&["/w"]),
        "key" => texts(&["/caller/key"]),
        "ending" => {
            let ending = outcome.and_then(|outcome| outcome["ending"].as_str());
            ending.map(str::to_owned).into_iter().collect()
        }
        "role" => list("/caller/roles")
            .unwrap_or_default()
            .iter()
            .map(|role| role.as_str().unwrap().to_owned())
            .collect(),
        "clause" => {
            let cited = list("/decision/cited").unwrap_or_default();
            let one = |cited: &Value| match (cited["notice"].as_str(), cited["clause"].as_str()) {
                (Some(notice), Some(clause)) => format!("{notice}#{clause}"),
                _ => cited["policy"].as_str().unwrap().to_owned(),
            };
            cited.iter().map(one).collect::<BTreeSet<_>>().into_iter().collect()
        }
        _ => panic!("no such field: {field}"),
    }
}

/// The places of entries of which something holds.
pub fn scan(entries: &[Value], holds: impl Fn(&Value, Option<&Value>) -> bool) -> Vec<u64> {
    let outcomes = outcomes(entries);
    let all = entries.iter().enumerate();
    let found = all.filter(|(_, entry)| holds(entry, outcomes.get(entry["id"].as_str().unwrap())));
    found.map(|(place, _)| place as u64).collect()
}

fn is(entry: &Value, pointer: &str, value: &str) -> bool {
    entry.pointer(pointer).and_then(Value::as_str) == Some(value)
}

pub type Holds = Box<dyn Fn(&Value, Option<&Value>) -> bool>;

/// Questions, and what a reader of the whole file would answer.
pub fn questions(digest: &str) -> Vec<(Vec<String>, Holds)> {
    let words = |text: &str| text.split('|').map(str::to_owned).collect::<Vec<_>>();
    let field = |flag: &'static str, name: &'static str, value: &'static str| -> (_, Holds) {
        let holds = move |entry: &Value, outcome: Option<&Value>| {
            values(name, entry, outcome).iter().any(|found| found == value)
        };
        (vec![flag.to_owned(), value.to_owned()], Box::new(holds))
    };
    let after = |time: &'static str| {
        move |entry: &Value| {
            let at: jiff::Timestamp = entry["at"].as_str().unwrap().parse().unwrap();
            at >= time.parse().unwrap()
        }
    };
    let known = |sid: &'static str| {
        move |e: &Value| is(e, "/media/recording", sid) && e.get("facts").is_some()
    };
    let digest = digest.to_owned();
    let mut all: Vec<(Vec<String>, Holds)> = vec![
        (Vec::new(), Box::new(|_, _| true)),
        field("--caller", "caller", "test|ana"),
        field("--role", "role", "team-lead"),
        field("--recording", "recording", AUTUMN),
        field("--call", "call", "CA0000000000000000000000000000ab02"),
        field("--purpose", "purpose", "complaint-handling"),
        field("--clause", "clause", "2026-03-01#quality"),
        field("--clause", "clause", "2026-03-01#no-marketing"),
        field("--decision", "decision", "refuse"),
        field("--kind", "kind", "outcome"),
        field("--recipient", "caller", "nobody"),
        field("--share", "caller", "nobody"),
        (words("--field|form=mp3"), Box::new(|e, _| is(e, "/media/form", "mp3"))),
        (
            words("--field|ending=complete"),
            Box::new(|_, o| o.is_some_and(|o| is(o, "/ending", "complete"))),
        ),
        (
            vec!["--field".into(), format!("policy={digest}")],
            Box::new(move |e, _| {
                is(e, "/policies", &digest) || is(e, "/decision/policies", &digest)
            }),
        ),
        (
            words("--not|caller=test|ana")
                .into_iter()
                .take(1)
                .chain(["caller=test|ana".into()])
                .collect(),
            Box::new(|e, _| !is(e, "/caller/id", "test|ana")),
        ),
        (
            words("--caller|test_ana|--caller|test_tom")
                .iter()
                .map(|word| word.replace('_', "|"))
                .collect(),
            Box::new(|e, _| is(e, "/caller/id", "test|ana") || is(e, "/caller/id", "test|tom")),
        ),
        (
            words("--kind|intent|--field|form=wav|--not|purpose=quality-monitoring"),
            Box::new(|e, _| {
                is(e, "/t", "intent")
                    && is(e, "/media/form", "wav")
                    && !is(e, "/purpose", "quality-monitoring")
            }),
        ),
        (
            words("--address|127.0.0.1"),
            Box::new(|e, _| matches!(e["t"].as_str(), Some("intent" | "refusal"))),
        ),
        (words("--address|127.0.0.2"), Box::new(|_, _| false)),
        (
            words("--words|compl* BILL"),
            Box::new(|e, _| is(e, "/t", "intent") && is(e, "/caller/id", "test|cleo")),
        ),
        (
            words("--words|case-1234"),
            Box::new(|e, _| is(e, "/t", "intent") && is(e, "/caller/id", "test|cleo")),
        ),
        (
            words("--words|probe"),
            Box::new(|e, _| is(e, "/t", "intent") && is(e, "/caller/id", "test|cleo")),
        ),
        (words("--words|bill nowhere"), Box::new(|_, _| false)),
    ];
    for (flag, time) in [
        ("2026-11-01T09:10:00Z", "2026-11-01T09:10:00Z"),
        ("2026-11-01T10:10:00.5+01:00", "2026-11-01T09:10:00.5Z"),
        ("2026-11-03", "2026-11-03T00:00:00Z"),
        ("2026-11-02T23:59:59.5Z", "2026-11-02T23:59:59.5Z"),
        ("2026-11-02T23:59:59.500001Z", "2026-11-02T23:59:59.500001Z"),
    ] {
        let since = after(time);
        all.push((vec!["--since".into(), flag.into()], Box::new(move |e, _| since(e))));
        let until = after(time);
        all.push((vec!["--until".into(), flag.into()], Box::new(move |e, _| !until(e))));
    }
    let (since, until) = (after("2026-11-01T00:00:00Z"), after("2026-11-03T00:00:00Z"));
    all.push((
        words("--since|2026-11-01|--until|2026-11-03|--decision|permit"),
        Box::new(move |e, _| since(e) && !until(e) && is(e, "/t", "intent")),
    ));
    all.push((words("--since|99999d"), Box::new(|_, _| true)));
    for spelling in ["+14045550123", "+1 (404) 555-0123", "+1.404.555.0123", "+1/404/5550123"] {
        let one = known(AUTUMN);
        let other = known(OLD);
        all.push((
            vec!["--number".into(), spelling.into()],
            Box::new(move |e, _| one(e) || other(e)),
        ));
    }
    let other = known(OTHER);
    all.push((vec!["--number".into(), "+44 7700 900123".into()], Box::new(move |e, _| other(e))));
    let other = known(OTHER);
    all.push((
        vec!["--number".into(), BRITISH.into(), "--decision".into(), "refuse".into()],
        Box::new(move |e, _| other(e) && is(e, "/t", "refusal")),
    ));
    all
}
