//! One entry in one line: number, time, what happened.

use serde_json::Value;

use super::Row;

/// The line of an entry.
#[must_use]
pub fn line(row: &Row) -> String {
    let time = row.entry.get("at").and_then(Value::as_str).unwrap_or("-");
    let time: String = time.chars().take(19).collect();
    format!("{:>6}  {time}Z  {}", row.seq, happened(row))
}

/// What happened, by an entry, in a few words.
#[must_use]
pub fn happened(row: &Row) -> String {
    let entry = &row.entry;
    let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
    let number = |pointer: &str| entry.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let asked = || {
        format!(
            "{} {} {} {} for {}",
            text("/caller/id"),
            text("/action"),
            text("/media/recording"),
            text("/media/form"),
            text("/purpose")
        )
    };
    let cited = || match text("/decision/cited/0/clause") {
        "-" => text("/decision/cited/0/policy").to_owned(),
        clause => format!("{} of {}", clause, text("/decision/cited/0/notice")),
    };
    let done = || {
        let outcome = row.outcome.as_ref()?;
        let ending = outcome.get("ending")?.as_str()?;
        Some(format!(": {ending} after {} bytes", outcome.get("bytes")?.as_u64()?))
    };
    let by = |what: &str| format!("{what} by {}", text("/actor"));
    match text("/t") {
        "intent" => {
            format!("permit   {} by clause {}{}", asked(), cited(), done().unwrap_or_default())
        }
        "refusal" => match text("/decision/cited/0/policy") {
            "-" => format!("refusal  {}: {}", asked(), text("/reason")),
            _ => format!("refusal  {}: {} by {}", asked(), text("/reason"), cited()),
        },
        "share" => {
            let to = text("/recipient");
            format!("share    {} to {to} by clause {}: {}", asked(), cited(), text("/share"))
        }
        "share-end" => format!("{} of {}: {}", by("share-end"), text("/share"), text("/reason")),
        "outcome" => format!(
            "outcome  {} after {} bytes, of {}",
            text("/ending"),
            number("/bytes"),
            text("/of")
        ),
        "deletion" => format!("deletion {} by clause {}, {}", asked(), cited(), text("/actor")),
        "deleted" => format!(
            "deleted  {} {}: {} with status {}, of {}",
            text("/media/recording"),
            text("/media/form"),
            text("/ending"),
            number("/status"),
            text("/of")
        ),
        "start" => format!("start    with policies {}", text("/policies")),
        "policies" => format!("policies {} are in force", text("/policies")),
        "policies-refused" => {
            let why = text("/detail").lines().nth(1).unwrap_or("look at the whole entry").trim();
            format!("policies in the folder refused: {why}")
        }
        "resume" => format!("resume   after: {}", text("/detail")),
        "export" => {
            format!("{}: {} entries, {}", by("export"), number("/entries"), text("/detail"))
        }
        "statement" => {
            let said = entry.get("said").and_then(Value::as_object);
            let kind = said.and_then(|said| said.keys().next()).map_or("-", String::as_str);
            format!("{}: {kind}", by("statement"))
        }
        "console" => format!("{}: {}, {}", by("console"), text("/action"), text("/detail")),
        "console-refused" => format!(
            "{}: {}, {}: {}",
            by("console refused"),
            text("/action"),
            text("/detail"),
            text("/reason")
        ),
        "accounting" => format!("{}: {} lines", by("accounting"), number("/entries")),
        "review" => format!("{}: {}", by("review"), text("/reason")),
        "redaction" => format!("{}: {}", by("redaction"), text("/reason")),
        "prune" => format!("{}: entries before {}", by("prune"), number("/before")),
        other => other.to_owned(),
    }
}
