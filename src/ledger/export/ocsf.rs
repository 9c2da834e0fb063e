//! Entries as events of the Open Cybersecurity Schema Framework 1.8.0, for a SIEM.
//!
//! | entry | class, activity |
//! |---|---|
//! | intent, refusal: `access` | File Hosting Activity 6006: 2 Download; 17 Access Check for HEAD |
//! | `describe`, `share`, `delete` | 6006: 9 Preview, 12 Share, 4 Delete |
//! | `start`, `stop`, `resume` | Application Lifecycle 6002: 3 Start, 4 Stop, 6 Enable |
//!
//! All else is left out and counted: outcomes stand in the events of their intents, and no class
//! fits the rest. The schema asks for an endpoint. Where the address may not be shown, its name is
//! `redacted`; where it has been erased, `erased`. The leaf of the entry is
//! `unmapped.ledger.leaf`: the schema's own place for it (profile `record_integrity`) comes with
//! 1.9.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::columns::{clause, kind, moment};
use super::{Record, hex, text};

/// The version of the schema.
const SCHEMA: &str = "1.8.0";

/// Writes the event of a record; `false` if it has none.
pub(super) fn write(to: &mut impl Write, record: &Record<'_>) -> io::Result<bool> {
    let event = match kind(record.entry) {
        Some("intent") => access(record, true),
        Some("refusal") => access(record, false),
        Some("start") => lifecycle(record, 3, "Start"),
        Some("stop") => lifecycle(record, 4, "Stop"),
        Some("resume") => lifecycle(record, 6, "Enable"),
        _ => None,
    };
    let Some(event) = event else { return Ok(false) };
    serde_json::to_writer(&mut *to, &event)?;
    to.write_all(b"\n")?;
    Ok(true)
}

/// An event's class and activity, by number and name.
struct Class {
    class: (u32, &'static str),
    activity: (u32, &'static str),
}

/// What every event has. `None` without a time: the schema asks for one.
fn base(record: &Record<'_>, class: &Class) -> Option<Map<String, Value>> {
    let entry = record.entry;
    let time = moment(entry)?;
    let ((class_uid, class_name), (activity_id, activity_name)) = (class.class, class.activity);
    let mut metadata = object([
        ("version", Some(json!(SCHEMA))),
        ("product", Some(product())),
        ("uid", string(entry.get("id"))),
        ("sequence", Some(json!(record.seq))),
        ("event_code", string(entry.get("t"))),
        ("log_version", string(entry.get("v"))),
        ("original_time", string(entry.get("at"))),
    ]);
    if class_uid == 6006 {
        metadata.insert("profiles".to_owned(), json!(["security_control"]));
    }
    Some(object([
        ("category_uid", Some(json!(6))),
        ("category_name", Some(json!("Application Activity"))),
        ("class_uid", Some(json!(class_uid))),
        ("class_name", Some(json!(class_name))),
        ("activity_id", Some(json!(activity_id))),
        ("activity_name", Some(json!(activity_name))),
        ("type_uid", Some(json!(class_uid * 100 + activity_id))),
        ("type_name", Some(json!(format!("{class_name}: {activity_name}")))),
        ("severity_id", Some(json!(1))),
        ("severity", Some(json!("Informational"))),
        ("time", Some(json!(time.as_millisecond()))),
        ("metadata", Some(metadata.into())),
    ]))
}

fn product() -> Value {
    json!({
        "name": "noticegate",
        "vendor_name": "noticegate",
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// What happened to the gate itself.
fn lifecycle(record: &Record<'_>, activity: u32, name: &'static str) -> Option<Value> {
    let class = Class { class: (6002, "Application Lifecycle"), activity: (activity, name) };
    let mut event = base(record, &class)?;
    event.extend(object([
        ("status_id", Some(json!(1))),
        ("status", Some(json!("Success"))),
        ("status_detail", string(record.entry.get("detail"))),
        ("app", Some(product())),
        ("unmapped", Some(unmapped(record, &["policies", "version", "w", "wn", "wp"]))),
    ]));
    Some(event.into())
}

/// A disclosure, or its refusal.
fn access(record: &Record<'_>, permitted: bool) -> Option<Value> {
    let entry = record.entry;
    let class = Class { class: (6006, "File Hosting Activity"), activity: activity(entry) };
    let mut event = base(record, &class)?;
    let (control, word) = if permitted { (1, "Allowed") } else { (2, "Blocked") };
    let (status_id, status) = status(record, permitted);
    let code = record.outcome.and_then(|outcome| outcome.get("status")).filter(|s| s.is_u64());
    let outcome = |key| record.outcome.and_then(|outcome| outcome.get(key));
    event.extend(object([
        ("status_id", Some(json!(status_id))),
        ("status", Some(status)),
        ("status_code", string(if permitted { code } else { entry.get("reason") })),
        ("status_detail", string(if permitted { outcome("ending") } else { entry.get("detail") })),
        ("action_id", Some(json!(control))),
        ("action", Some(json!(if permitted { "Allowed" } else { "Denied" }))),
        ("disposition_id", Some(json!(control))),
        ("disposition", Some(json!(word))),
        ("actor", Some(actor(entry, permitted))),
        ("src_endpoint", Some(endpoint(record))),
        ("file", Some(file(entry, record.outcome))),
        ("http_request", Some(request(record).into())),
        ("http_response", code.map(|code| response(code, outcome("bytes")))),
        ("share", string(entry.get("share"))),
        ("enrichments", enrichments(entry)),
        ("unmapped", Some(unmapped(record, UNMAPPED))),
    ]));
    Some(event.into())
}

/// Keys of an intent or refusal that the schema has no place for.
const UNMAPPED: &[&str] =
    &["recipient", "range", "circumstances", "facts", "unrecorded", "w", "wn", "wp"];

fn activity(entry: &Value) -> (u32, &'static str) {
    let head = entry.get("method").and_then(Value::as_str) == Some("HEAD");
    match entry.get("action").and_then(Value::as_str) {
        Some("access") if head => (17, "Access Check"),
        Some("access") => (2, "Download"),
        Some("describe") => (9, "Preview"),
        Some("share") => (12, "Share"),
        Some("delete") => (4, "Delete"),
        Some(_) => (99, "Other"),
        None => (0, "Unknown"),
    }
}

/// What came of it. A disclosure that is not known to have ended may have been whole.
fn status(record: &Record<'_>, permitted: bool) -> (u8, Value) {
    let ending = record.outcome.and_then(|outcome| outcome.get("ending")).and_then(Value::as_str);
    match ending {
        _ if !permitted => (2, json!("Failure")),
        Some("complete") => (1, json!("Success")),
        Some("not-released" | "upstream-error") => (2, json!("Failure")),
        None | Some("unknown") => (0, json!("Unknown")),
        Some(part) => (99, json!(part)),
    }
}

fn actor(entry: &Value, permitted: bool) -> Value {
    let caller = |key: &str| entry.get("caller").and_then(|caller| caller.get(key));
    let user = match string(caller("id")) {
        Some(id) => object([
            ("uid", Some(id)),
            ("groups", groups(caller("roles"))),
            ("credential_uid", string(caller("key"))),
        ]),
        None => object([("name", Some(json!("unknown"))), ("type_id", Some(json!(0)))]),
    };
    let session = object([("issuer", string(caller("issuer"))), ("uid", string(caller("token")))]);
    let decision = if permitted { "permitted" } else { "refused" };
    let digest = string(entry.pointer("/decision/policies"));
    let cited = entry.pointer("/decision/cited").and_then(Value::as_array);
    let authorizations: Vec<Value> = cited
        .into_iter()
        .flatten()
        .filter_map(|cited| {
            let uid = string(cited.get("policy"))?;
            let name = clause(cited).map(Value::from);
            let policy = [("uid", Some(uid)), ("name", name), ("version", digest.clone())];
            Some(json!({ "decision": decision, "policy": object(policy) }))
        })
        .collect();
    object([
        ("user", Some(user.into())),
        ("session", (!session.is_empty()).then(|| session.into())),
        ("authorizations", (!authorizations.is_empty()).then(|| authorizations.into())),
    ])
    .into()
}

fn groups(roles: Option<&Value>) -> Option<Value> {
    let names = roles?.as_array()?.iter().filter_map(|role| string(Some(role)));
    Some(names.map(|name| json!({ "name": name })).collect::<Vec<_>>().into())
}

fn endpoint(record: &Record<'_>) -> Value {
    let Some(opened) = record.opened else { return json!({ "name": "redacted" }) };
    match string(opened.pointer("/net/address")) {
        Some(ip) => json!({ "ip": ip }),
        None => json!({ "name": "erased" }),
    }
}

fn file(entry: &Value, outcome: Option<&Value>) -> Value {
    let media = |key: &str| entry.get("media").and_then(|media| media.get(key));
    let recording = text(media("recording")).unwrap_or("unknown".into());
    let (ending, mime) = match media("form").and_then(Value::as_str) {
        Some("wav") => (Some("wav"), Some("audio/x-wav")),
        Some("mp3") => (Some("mp3"), Some("audio/mpeg")),
        Some("metadata") => (Some("json"), Some("application/json")),
        _ => (None, None),
    };
    let name = ending.map_or_else(|| recording.to_string(), |e| format!("{recording}.{e}"));
    let length = outcome.and_then(|outcome| outcome.get("length")).filter(|l| l.is_u64());
    object([
        ("name", Some(json!(name))),
        ("type_id", Some(json!(1))),
        ("type", Some(json!("Regular File"))),
        ("uid", string(media("recording"))),
        ("ext", ending.map(Value::from)),
        ("mime_type", mime.map(Value::from)),
        ("size", length.cloned()),
        ("created_time", started(entry)),
    ])
    .into()
}

fn started(entry: &Value) -> Option<Value> {
    let text = entry.pointer("/facts/started_at").and_then(Value::as_str)?;
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(json!(time.as_millisecond()))
}

fn request(record: &Record<'_>) -> Map<String, Value> {
    let agent = record.opened.and_then(|opened| opened.pointer("/net/agent"));
    object([
        ("uid", string(record.entry.get("id"))),
        ("http_method", string(record.entry.get("method"))),
        ("user_agent", string(agent)),
    ])
}

fn response(code: &Value, bytes: Option<&Value>) -> Value {
    let length = bytes.filter(|bytes| bytes.is_u64()).cloned();
    object([("code", Some(code.clone())), ("body_length", length)]).into()
}

/// Why, and by which words of the notice.
fn enrichments(entry: &Value) -> Option<Value> {
    let recording = text(entry.pointer("/media/recording")).unwrap_or("unknown".into());
    let about = |kind: &str, data: Value| {
        json!({
            "name": "file.uid",
            "value": recording,
            "type": kind,
            "data": data,
            "provider": "noticegate",
        })
    };
    let purpose = string(entry.get("purpose"));
    let mut all: Vec<Value> = purpose
        .into_iter()
        .map(|purpose| about("purpose", json!({ "purpose": purpose })))
        .collect();
    let cited = entry.pointer("/decision/cited").and_then(Value::as_array);
    all.extend(cited.into_iter().flatten().filter_map(|cited| {
        let (clause, notice) = (cited.get("clause")?, cited.get("notice"));
        Some(about("clause", json!({ "clause": clause, "notice": notice })))
    }));
    (!all.is_empty()).then(|| all.into())
}

/// What the schema has no place for, and the leaf.
fn unmapped(record: &Record<'_>, keys: &[&str]) -> Value {
    let mut rest = Map::new();
    let ledger = json!({ "leaf": hex(record.leaf), "leaf_algorithm": "SHA-256, RFC 6962" });
    rest.insert("ledger".to_owned(), ledger);
    for key in keys {
        if let Some(value) = record.entry.get(key) {
            rest.insert((*key).to_owned(), value.clone());
        }
    }
    let opened = |key| record.opened.and_then(|opened| opened.get(key));
    for (key, value) in [("said", opened("said")), ("subject", opened("subject"))] {
        if let Some(value) = value {
            rest.insert(key.to_owned(), value.clone());
        }
    }
    if let Some(outcome) = record.outcome {
        rest.insert("outcome".to_owned(), outcome.clone());
    }
    rest.into()
}

/// A value as the schema's strings want it.
fn string(value: Option<&Value>) -> Option<Value> {
    text(value).map(Value::from)
}

fn object<const N: usize>(pairs: [(&str, Option<Value>); N]) -> Map<String, Value> {
    pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}
