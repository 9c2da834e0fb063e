//! The ledger's disclosures as lines that can be compared.

use serde_json::Value;

use super::world::of_kind;

/// One line for each intent, with what its outcome says, in the order of the intents:
/// `GET wav bytes=2-5 -> 206, 4 bytes from 2, complete`.
pub fn disclosures(entries: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let outcomes = of_kind(entries, "outcome");
    let line = |intent: &&Value| {
        let of: Vec<_> = outcomes.iter().filter(|outcome| outcome["of"] == intent["id"]).collect();
        assert_eq!(of.len(), 1, "an intent has one outcome: {intent}");
        let outcome = of[0];
        let range = intent["range"].as_str().map(|range| format!(" {range}")).unwrap_or_default();
        let channels = intent["media"]["channels"].as_u64();
        let channels = channels.map(|count| format!(" in {count}")).unwrap_or_default();
        format!(
            "{} {}{channels}{range} -> {}, {} bytes from {}, {}",
            text(&intent["method"]),
            text(&intent["media"]["form"]),
            outcome["status"],
            outcome["bytes"],
            outcome["first"].as_u64().unwrap_or(0),
            text(&outcome["ending"]),
        )
    };
    of_kind(entries, "intent").iter().map(line).collect()
}
