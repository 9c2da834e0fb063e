//! A share, told to who made it or runs the gate: in JSON, without its link.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Share;

impl Share {
    /// Its state in one word.
    #[must_use]
    pub fn word(&self, now: Timestamp) -> &'static str {
        match self.state(now) {
            Err(stopped) => stopped.as_str().strip_prefix("share-").unwrap_or_default(),
            Ok(()) if self.uses_left() == 0 => "used-up",
            Ok(()) => "live",
        }
    }

    /// Everything about it but its link and its secrets.
    #[must_use]
    pub fn tell(&self, now: Timestamp) -> Value {
        let (terms, question) = (&self.terms, &self.question);
        let private = self.private.clone().unwrap_or_default();
        let clause = self.clause.as_ref();
        let told = json!({
            "id": self.id,
            "state": self.word(now),
            "recording": question.facts.recording,
            "account": question.media.account,
            "form": question.media.row().form,
            "made_by": question.caller.id,
            "made_at": question.now,
            "purpose": question.purpose.as_ref().map(|purpose| purpose.as_str()),
            "recipient": {
                "class": question.stated.recipient,
                "name": private.name,
                "country": question.stated.country,
                "contract": private.contract,
            },
            "circumstances": question.stated.circumstances.iter().map(|c| c.as_str())
                .collect::<Vec<_>>(),
            "clause": clause.map(|(id, notice)| json!({"id": id, "notice": notice})),
            "expires_at": terms.expires_at,
            "uses": terms.uses,
            "uses_left": self.uses_left(),
            "last_used_at": self.uses.last().map(|used| used.at),
            "portion": terms.portion,
            "download": terms.download,
            "password": terms.password,
            "binding": terms.binding,
            "identity_check": private.identity_check,
            "approved_by": private.approved_by,
            "review_due": terms.review_due,
            "ended_at": self.end.map(|end| end.at),
            "note": private.note,
        });
        without_nothing(told)
    }
}

/// What is not there has no key.
fn without_nothing(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                kept.map(|(key, value)| (key, without_nothing(value))).collect::<Map<_, _>>(),
            )
        }
        other => other,
    }
}
