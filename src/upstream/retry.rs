//! What an answer says about asking again, and how long that is put off.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

/// Whether an answer may be asked for again at once, and after how long. Twilio says of 429 that
/// the request was not processed; the others are a gateway's. A wait that upstream asks for and
/// that is long is handed on to the caller instead.
pub(super) fn retry_wait(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let again = matches!(status.as_u16(), 429 | 502..=504);
    let wait = Duration::from_secs(u64::from(retry_after(headers).unwrap_or(0)));
    (again && wait <= Duration::from_secs(2)).then_some(wait)
}

pub(super) fn retry_after(headers: &HeaderMap) -> Option<u32> {
    headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

/// What Twilio calls the request, in the one form that it has.
pub(super) fn request_id(headers: &HeaderMap) -> Option<&str> {
    let said = headers.get("twilio-request-id")?.to_str().ok()?;
    let digits = said.strip_prefix("RQ")?;
    (digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some(said)
}

/// 100 ms doubled with each try, of which a random half, so that callers do not come back together.
pub(super) fn backoff(tries: u64) -> Duration {
    let mut random = [0u8; 1];
    let _ = aws_lc_rs::rand::fill(&mut random);
    let [random] = random;
    let whole = Duration::from_millis(100 << tries.min(6).saturating_sub(1));
    whole / 2 + whole.mul_f64(f64::from(random) / 512.0)
}
