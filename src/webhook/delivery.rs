//! One callback on its way to the application, and how it is tried again.
//!
//! A [`Courier`] does the HTTP, so that nothing here knows of sockets or TLS. What comes back is a
//! status or one of three reasons: no text of the network's ends up in a log or on disk.

use std::fmt::Debug;
use std::time::Duration;

use aws_lc_rs::rand;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::{Deserialize, Serialize};

/// LIMIT: the longest pause between two tries, unless the application asks for a longer one.
pub const PAUSE_MAX: Duration = Duration::from_mins(15);

/// LIMIT: the longest pause that an application may ask for. What asks for more is tried earlier.
pub const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// Who the gate says it is: applications may look for Twilio's own words.
const AGENT: &str = "TwilioProxy/1.1 noticegate";

/// The verbs that Twilio calls back with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verb {
    /// GET: all is in the URL.
    Get,
    /// POST of a form or of JSON.
    Post,
}

/// A request to the application. `Debug` shows neither URL nor body.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The verb.
    pub verb: Verb,
    /// The whole URL, as it was signed. It is to be sent as it stands, and no redirect followed.
    pub url: String,
    /// The type of the body, if there is one.
    pub content_type: Option<String>,
    /// The body; empty for GET.
    pub body: String,
    /// `X-Twilio-Signature`, made with the application's key.
    pub signature: String,
    /// `I-Twilio-Idempotency-Token`: the same at every try of this delivery.
    pub idempotency_token: String,
}

impl Delivery {
    /// The headers to send, beside `Host` and `Content-Length`.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, &str)> {
        let mut headers = vec![
            ("user-agent", AGENT),
            ("accept", "*/*"),
            ("x-twilio-signature", &self.signature),
            ("i-twilio-idempotency-token", &self.idempotency_token),
        ];
        headers.extend(self.content_type.as_deref().map(|kind| ("content-type", kind)));
        headers
    }
}

impl Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery").field("verb", &self.verb).finish_non_exhaustive()
    }
}

/// What an application answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header `Retry-After`, as it was sent.
    pub retry_after: Option<String>,
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// No connection, or none that can be trusted.
    #[error("the application could not be reached")]
    Unreachable,
    /// None in time.
    #[error("the application took too long to answer")]
    TooSlow,
    /// The connection ended, or what came is not HTTP.
    #[error("the application broke off its answer")]
    BrokeOff,
}

/// Brings a delivery to its URL and waits for the answer, some seconds at most. Called by several
/// threads at once; each call blocks its thread.
pub trait Courier: Debug + Send + Sync {
    /// The head of the answer; its body is of no interest.
    ///
    /// # Errors
    /// [`NoAnswer`] if there was none.
    fn deliver(&self, delivery: &Delivery) -> Result<Answer, NoAnswer>;
}

/// Why a delivery did not succeed, in words that name neither URL nor person.
pub(super) fn failure(answered: &Result<Answer, NoAnswer>) -> Option<String> {
    match answered {
        Ok(Answer { status: 200..=299, .. }) => None,
        Ok(Answer { status, .. }) => Some(format!("the application answered with status {status}")),
        Err(reason) => Some(reason.to_string()),
    }
}

/// How long to wait after the try of this number (the first is 1).
pub(super) fn pause(tries: u32, answered: &Result<Answer, NoAnswer>, now: Timestamp) -> Duration {
    let mut random = [0u8; 2];
    // Without randomness all wait equally long, which is no harm.
    let _ = rand::fill(&mut random);
    let pause = backoff(tries, u16::from_le_bytes(random));
    let asked = answered.as_ref().ok().and_then(|answer| answer.retry_after.as_deref());
    pause.max(asked.map_or(Duration::ZERO, |text| retry_after(text, now)))
}

/// 1 s, 2 s, 4 s and so on, of which up to a half is left out at random.
fn backoff(tries: u32, random: u16) -> Duration {
    let whole = 2u64.saturating_pow(tries.saturating_sub(1)).min(PAUSE_MAX.as_secs());
    let half = Duration::from_secs(whole) / 2;
    half + half * u32::from(random) / u32::from(u16::MAX)
}

/// RFC 9110 section 10.2.3: seconds or a date. What is neither asks for nothing.
fn retry_after(text: &str, now: Timestamp) -> Duration {
    let text = text.trim();
    let asked = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => rfc2822::parse(text)
            .ok()
            .and_then(|until| Duration::try_from(until.timestamp().duration_since(now)).ok())
            .unwrap_or_default(),
    };
    asked.min(RETRY_AFTER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_lose_a_half_at_most() {
        for (tries, whole) in
            [(0, 1), (1, 1), (2, 2), (3, 4), (10, 512), (11, 900), (64, 900), (u32::MAX, 900)]
        {
            let whole = Duration::from_secs(whole);
            assert_eq!(backoff(tries, u16::MAX), whole, "{tries}");
            assert_eq!(backoff(tries, 0), whole / 2, "{tries}");
        }
    }

    #[test]
    fn an_application_may_ask_for_a_longer_pause_up_to_an_hour() {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().unwrap();
        for (text, seconds) in [
            ("120", 120),
            (" 120 ", 120),
            ("0", 0),
            ("-1", 0),
            ("soon", 0),
            ("99999999999999999999999", 0),
            ("999999", 3600),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 37),
            ("Sun, 06 Nov 1994 08:48:37 GMT", 0),
            ("Sat, 06 Nov 2094 08:49:37 GMT", 3600),
        ] {
            assert_eq!(retry_after(text, now), Duration::from_secs(seconds), "{text}");
        }
        let answered = Ok(Answer { status: 503, retry_after: Some("120".to_owned()) });
        assert_eq!(pause(1, &answered, now), Duration::from_secs(120));
        assert!(pause(11, &answered, now) >= PAUSE_MAX / 2);
    }

    #[test]
    fn only_a_2xx_is_success() {
        for (status, is_success) in
            [(199, false), (200, true), (204, true), (299, true), (300, false)]
        {
            let answered = Ok(Answer { status, retry_after: None });
            assert_eq!(failure(&answered).is_none(), is_success, "{status}");
        }
        assert!(failure(&Err(NoAnswer::TooSlow)).is_some());
    }

    #[test]
    fn a_delivery_does_not_print() {
        let delivery = Delivery {
            verb: Verb::Post,
            url: "https://app.example/?secret".to_owned(),
            content_type: None,
            body: "From=5550100".to_owned(),
            signature: "sig".to_owned(),
            idempotency_token: "token".to_owned(),
        };
        assert_eq!(format!("{delivery:?}"), "Delivery { verb: Post, .. }");
    }
}
