//! Byte ranges and the other conditions of a media request (RFC 9110, sections 13 and 14).
//!
//! In: the request's `Range`, `If-Range`, `If-None-Match` and `If-Modified-Since`, and the
//! object's length, entity tag and date. Out: which bytes to send, or that none are needed.
//! Several ranges in one header get the whole object, as S3 answers. Arithmetic here must never
//! overflow and a range must never reach past the end.

use http::HeaderMap;
use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};

/// What to do about a `Range` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// No range, or one that does not count: 200 and everything.
    Whole,
    /// 206 and these bytes, both ends included.
    Part { first: u64, last: u64 },
    /// 416.
    Unsatisfiable,
}

/// What a request's conditions are compared with.
#[derive(Clone, Copy)]
pub(super) struct Validators<'a> {
    /// The strong entity tag, with its quotes.
    pub(super) etag: &'a str,
    /// `Last-Modified`, in seconds since the epoch.
    pub(super) modified_seconds: i64,
}

/// Picks the bytes for a GET of an object of this length.
pub(super) fn select(headers: &HeaderMap, length: u64, validators: Validators<'_>) -> Selection {
    let Some(range) = text(headers, RANGE) else {
        return Selection::Whole;
    };
    if text(headers, IF_RANGE).is_some_and(|condition| !still_same(condition, validators)) {
        return Selection::Whole;
    }
    parse(range, length)
}

/// Whether the caller's copy is current, so that 304 is the answer.
pub(super) fn is_current(headers: &HeaderMap, validators: Validators<'_>) -> bool {
    if let Some(tags) = text(headers, IF_NONE_MATCH) {
        // RFC 9110 13.1.2: weak comparison, and `If-Modified-Since` no longer counts.
        return tags
            .split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == validators.etag);
    }
    text(headers, IF_MODIFIED_SINCE)
        .and_then(http_date_seconds)
        .is_some_and(|since| validators.modified_seconds <= since)
}

/// Reads one `bytes=` range. Anything malformed, or more than one range, is no range at all.
pub(super) fn parse(range: &str, length: u64) -> Selection {
    let Some((unit, span)) = range.split_once('=') else {
        return Selection::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") || span.contains(',') {
        return Selection::Whole;
    }
    let Some((first, last)) = span.trim().split_once('-') else {
        return Selection::Whole;
    };
    match (digits(first), digits(last)) {
        (Position::Empty, Position::At(count)) => suffix(count, length),
        (Position::At(first), Position::Empty) => part(first, u64::MAX, length),
        (Position::At(first), Position::At(last)) if first <= last => part(first, last, length),
        _ => Selection::Whole,
    }
}

fn part(first: u64, last: u64, length: u64) -> Selection {
    if first >= length {
        return Selection::Unsatisfiable;
    }
    Selection::Part { first, last: last.min(length.saturating_sub(1)) }
}

fn suffix(count: u64, length: u64) -> Selection {
    if count == 0 || length == 0 {
        return Selection::Unsatisfiable;
    }
    part(length.saturating_sub(count), u64::MAX, length)
}

enum Position {
    Empty,
    At(u64),
    Malformed,
}

fn digits(text: &str) -> Position {
    if text.is_empty() {
        return Position::Empty;
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Position::Malformed;
    }
    // A number too large for 64 bits lies past the end of anything.
    Position::At(text.parse().unwrap_or(u64::MAX))
}

/// RFC 9110 13.1.5: a strong tag must be equal, a date must be exactly the one we sent.
fn still_same(condition: &str, validators: Validators<'_>) -> bool {
    if condition.starts_with('"') {
        return condition == validators.etag;
    }
    http_date_seconds(condition) == Some(validators.modified_seconds)
}

fn http_date_seconds(text: &str) -> Option<i64> {
    let date = httpdate::parse_http_date(text).ok()?;
    jiff::Timestamp::try_from(date).ok().map(jiff::Timestamp::as_second)
}

fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const SAME: Validators<'static> =
        Validators { etag: "\"abc\"", modified_seconds: 1_793_697_302 };
    const SAME_DATE: &str = "Tue, 03 Nov 2026 09:15:02 GMT";

    fn part(first: u64, last: u64) -> Selection {
        Selection::Part { first, last }
    }

    #[test]
    fn ranges_select_the_bytes_rfc_9110_says() {
        assert_eq!(parse("bytes=0-0", 100), part(0, 0));
        assert_eq!(parse("bytes=10-19", 100), part(10, 19));
        assert_eq!(parse("bytes=90-", 100), part(90, 99));
        assert_eq!(parse("bytes=90-1000", 100), part(90, 99));
        assert_eq!(parse("bytes=-10", 100), part(90, 99));
        assert_eq!(parse("bytes=-1000", 100), part(0, 99));
        assert_eq!(parse("BYTES=0-99999999999999999999999", 100), part(0, 99));
    }

    #[test]
    fn ranges_outside_the_object_are_unsatisfiable() {
        assert_eq!(parse("bytes=100-", 100), Selection::Unsatisfiable);
        assert_eq!(parse("bytes=100-200", 100), Selection::Unsatisfiable);
        assert_eq!(parse("bytes=-0", 100), Selection::Unsatisfiable);
        assert_eq!(parse("bytes=0-", 0), Selection::Unsatisfiable);
    }

    #[test]
    fn malformed_and_multiple_ranges_get_the_whole() {
        for range in ["bytes=5-2", "bytes=-", "bytes=a-b", "items=0-1", "bytes=0-1,5-6", "bytes"] {
            assert_eq!(parse(range, 100), Selection::Whole, "{range}");
        }
    }

    #[test]
    fn if_range_needs_the_same_tag_or_the_same_date() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_static("bytes=0-1"));
        for (condition, expected) in [
            ("\"abc\"", part(0, 1)),
            (SAME_DATE, part(0, 1)),
            ("\"other\"", Selection::Whole),
            ("W/\"abc\"", Selection::Whole),
            ("Tue, 03 Nov 2026 09:15:03 GMT", Selection::Whole),
        ] {
            headers.insert(IF_RANGE, HeaderValue::from_static(condition));
            assert_eq!(select(&headers, 100, SAME), expected, "{condition}");
        }
    }

    #[test]
    fn a_matching_tag_outweighs_the_date() {
        let mut headers = HeaderMap::new();
        headers.insert(IF_MODIFIED_SINCE, HeaderValue::from_static(SAME_DATE));
        assert!(is_current(&headers, SAME));
        headers.insert(IF_NONE_MATCH, HeaderValue::from_static("\"x\", \"y\""));
        assert!(!is_current(&headers, SAME));
        headers.insert(IF_NONE_MATCH, HeaderValue::from_static("\"x\", W/\"abc\""));
        assert!(is_current(&headers, SAME));
    }
}
