//! An entry as the search index takes it: by what it can be found, and what it means for listening
//! sessions.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::index::{Document, Event, Field};

/// What describes an entry. Nothing is missing but what the entry lacks: an entry of a later
/// version is found by what is known of it.
pub(super) fn describe(
    seq: u64,
    entry: &Value,
    opened: Option<&Value>,
    people: impl Iterator<Item = u64>,
) -> Document {
    let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str);
    let mut terms: Vec<(Field, String)> = Vec::new();
    for (field, pointer) in [
        (Field::Kind, "/t"),
        (Field::Caller, "/caller/id"),
        (Field::Caller, "/caller/for"),
        (Field::Recipient, "/recipient"),
        (Field::Recording, "/media/recording"),
        (Field::Call, "/facts/call"),
        (Field::Account, "/media/account"),
        (Field::Purpose, "/purpose"),
        (Field::Notice, "/decision/notice"),
        (Field::Policy, "/decision/policies"),
        (Field::Policy, "/policies"),
        (Field::Share, "/share"),
        (Field::Reason, "/reason"),
        (Field::Action, "/action"),
        (Field::Form, "/media/form"),
        (Field::Artefact, "/facts/artefact"),
        (Field::Writer, "/w"),
        (Field::Key, "/caller/key"),
        (Field::Country, "/country"),
    ] {
        terms.extend(text(pointer).map(|value| (field, value.to_owned())));
    }
    let kind = text("/t").unwrap_or_default();
    let decision = match kind {
        "intent" | "deletion" | "share" => Some("permit"),
        "refusal" => Some("refuse"),
        _ => None,
    };
    terms.extend(decision.map(|decision| (Field::Decision, decision.to_owned())));
    let list = |pointer: &str| {
        entry.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    };
    if decision == Some("permit") {
        terms.extend(text("/id").map(|id| (Field::Sample, sample(id))));
    }
    let roles = list("/caller/roles").iter().filter_map(Value::as_str);
    terms.extend(roles.map(|role| (Field::Role, role.to_owned())));
    for cited in list("/decision/cited") {
        let part = |name: &str| cited.get(name).and_then(Value::as_str);
        match (part("notice"), part("clause"), part("policy")) {
            (Some(notice), Some(clause), _) => {
                terms.push((Field::Clause, format!("{notice}#{clause}")));
            }
            (_, _, Some(policy)) => terms.push((Field::Clause, policy.to_owned())),
            _ => {}
        }
    }
    if kind == "review" {
        let of = list("/of").iter().filter_map(Value::as_u64);
        terms.extend(of.map(|place| (Field::Of, place.to_string())));
    }
    terms.extend(people.map(|person| (Field::Person, person.to_string())));
    let shown = |pointer: &str| opened.and_then(|o| o.pointer(pointer)).and_then(Value::as_str);
    terms.extend(shown("/net/address").map(|address| (Field::Address, address.to_owned())));
    let mut words: Vec<String> = Vec::new();
    let said = [
        "/said/reason",
        "/said/reference",
        "/net/agent",
        "/share/name",
        "/share/note",
        "/share/contract",
    ];
    words.extend(said.into_iter().filter_map(shown).map(str::to_owned));
    words.extend(
        ["/detail", "/caller/id", "/actor"].into_iter().filter_map(text).map(str::to_owned),
    );
    Document {
        seq,
        id: id(text("/id")),
        at: text("/at").and_then(|at| at.parse().ok()).unwrap_or(Timestamp::UNIX_EPOCH),
        terms,
        text: words,
        event: event(kind, entry),
    }
}

fn event(kind: &str, entry: &Value) -> Event {
    let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str);
    let number = |key: &str| entry.get(key).and_then(Value::as_u64);
    let owned = |pointer: &str| text(pointer).unwrap_or_default().to_owned();
    match kind {
        "intent" => Event::Disclosure {
            caller: owned("/caller/id"),
            recording: owned("/media/recording"),
            purpose: owned("/purpose"),
            form: owned("/media/form"),
            share: text("/share").map(str::to_owned),
        },
        "outcome" => Event::Outcome {
            of: id(text("/of")),
            bytes: number("bytes").unwrap_or(0),
            first: number("first").unwrap_or(0),
            length: number("length"),
            ending: owned("/ending"),
        },
        "review" => {
            let of = entry.get("of").and_then(Value::as_array).map(Vec::as_slice);
            let of = of.unwrap_or_default().iter().filter_map(Value::as_u64).collect();
            Event::Review { of, verdict: owned("/reason") }
        }
        _ => Event::Other,
    }
}

/// The part that an entry falls into: the same at every gate and in every index, and none that its
/// caller can choose.
fn sample(id: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, id.as_bytes());
    format!("{:02x}", digest.as_ref().first().copied().unwrap_or_default())
}

/// The bytes of a name; of one that is none, nobody's.
fn id(text: Option<&str>) -> [u8; 16] {
    text.and_then(|text| text.parse::<Uuid>().ok()).unwrap_or_default().into_bytes()
}
