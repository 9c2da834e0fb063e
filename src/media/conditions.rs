//! Which part of a recording is asked for, and under which condition (RFC 9110, 13 and 14).
//!
//! TRUST: like the path, these headers are read into typed values, and what goes upstream is
//! written anew from those. A `Range` that is not one plain byte range is ignored, as the RFC
//! allows: the answer is then the whole. A condition that cannot be read refuses, since ignoring
//! it could answer something that was not asked for.

use std::fmt;
use std::time::SystemTime;

use http::HeaderMap;
use http::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};

/// LIMIT: bytes of an entity tag.
const TAG_BYTES_MAX: usize = 256;

/// LIMIT: entity tags in one header.
const TAGS_MAX: usize = 16;

/// One byte range, as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// From a first byte to the end.
    From(u64),
    /// From a first to a last byte, both included; the first is not behind the last.
    Within(u64, u64),
    /// So many bytes from the end; at least one.
    Last(u64),
}

/// An entity tag (RFC 9110, 8.8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityTag {
    weak: bool,
    /// Without the quotation marks.
    opaque: String,
}

/// A time as HTTP writes it, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HttpDate(SystemTime);

/// What `If-Range` holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validator {
    /// An entity tag.
    Tag(EntityTag),
    /// A `Last-Modified` date.
    Date(HttpDate),
}

/// What `If-Match` and `If-None-Match` hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tags {
    /// `*`
    Any,
    /// A list.
    These(Vec<EntityTag>),
}

/// The range and the conditions of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `Range`
    pub range: Option<ByteRange>,
    /// `If-Range`
    pub if_range: Option<Validator>,
    /// `If-Match`
    pub if_match: Option<Tags>,
    /// `If-None-Match`
    pub if_none_match: Option<Tags>,
    /// `If-Modified-Since`
    pub if_modified_since: Option<HttpDate>,
    /// `If-Unmodified-Since`
    pub if_unmodified_since: Option<HttpDate>,
}

/// A condition that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header `{header}` cannot be read; it must be given once, in the form of RFC 9110")]
pub struct BadCondition {
    header: HeaderName,
}

impl Conditions {
    /// Reads them off a request.
    ///
    /// # Errors
    /// [`BadCondition`] names the header.
    pub fn read(headers: &HeaderMap) -> Result<Self, BadCondition> {
        let range = once(headers, RANGE).ok().flatten().and_then(ByteRange::parse);
        Ok(Self {
            // `If-Range` without `Range` means nothing.
            if_range: match range {
                Some(_) => read(headers, IF_RANGE, Validator::parse)?,
                None => None,
            },
            range,
            if_match: read(headers, IF_MATCH, Tags::parse)?,
            if_none_match: read(headers, IF_NONE_MATCH, Tags::parse)?,
            if_modified_since: read(headers, IF_MODIFIED_SINCE, HttpDate::parse)?,
            if_unmodified_since: read(headers, IF_UNMODIFIED_SINCE, HttpDate::parse)?,
        })
    }

    /// The headers to send upstream, written anew.
    pub fn headers(&self) -> impl Iterator<Item = (HeaderName, String)> {
        let text = |name, value: Option<String>| value.map(|value| (name, value));
        [
            text(RANGE, self.range.map(|range| range.to_string())),
            text(IF_RANGE, self.if_range.as_ref().map(ToString::to_string)),
            text(IF_MATCH, self.if_match.as_ref().map(ToString::to_string)),
            text(IF_NONE_MATCH, self.if_none_match.as_ref().map(ToString::to_string)),
            text(IF_MODIFIED_SINCE, self.if_modified_since.map(|date| date.to_string())),
            text(IF_UNMODIFIED_SINCE, self.if_unmodified_since.map(|date| date.to_string())),
        ]
        .into_iter()
        .flatten()
    }

    /// What the conditions make of an object (RFC 9110, 13.2.2): 304 or 412 in the place of its
    /// bytes, or nothing.
    #[must_use]
    pub fn judge(&self, tag: Option<&EntityTag>, modified: Option<HttpDate>) -> Option<u16> {
        let holds = match (&self.if_match, self.if_unmodified_since, modified) {
            (Some(Tags::Any), _, _) => true,
            (Some(Tags::These(tags)), _, _) => {
                tag.is_some_and(|tag| tags.iter().any(|t| t.is_strongly(tag)))
            }
            (None, Some(since), Some(modified)) => modified <= since,
            (None, _, _) => true,
        };
        if !holds {
            return Some(412);
        }
        let unchanged = match (&self.if_none_match, self.if_modified_since, modified) {
            (Some(tags), _, _) => {
                *tags == Tags::Any || tag.is_some_and(|tag| tags.name_weakly(tag))
            }
            (None, Some(since), Some(modified)) => modified <= since,
            (None, _, _) => false,
        };
        unchanged.then_some(304)
    }

    /// The same without a range: what HEAD and metadata ask.
    #[must_use]
    pub fn without_range(&self) -> Self {
        Self { range: None, if_range: None, ..self.clone() }
    }
}

fn once(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, BadCondition> {
    let mut values = headers.get_all(&name).iter();
    let (first, second) = (values.next(), values.next());
    match (first.map(|value| value.to_str()), second) {
        (None, _) => Ok(None),
        (Some(Ok(text)), None) => Ok(Some(text.trim())),
        _ => Err(BadCondition { header: name }),
    }
}

fn read<T>(
    headers: &HeaderMap,
    name: HeaderName,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, BadCondition> {
    match once(headers, name.clone())? {
        None => Ok(None),
        Some(text) => parse(text).map(Some).ok_or(BadCondition { header: name }),
    }
}

impl ByteRange {
    /// Reads `bytes=...` with exactly one range.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| -> Option<u64> {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            if digits { text.parse().ok() } else { None }
        };
        match (first, last) {
            ("", last) => number(last).filter(|n| *n > 0).map(Self::Last),
            (first, "") => number(first).map(Self::From),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Within(first, last))
            }
        }
    }

    /// The first and last byte of an object of this length; `None` if it has none of them.
    #[must_use]
    pub fn within(self, length: u64) -> Option<(u64, u64)> {
        let end = length.checked_sub(1)?;
        let (first, last) = match self {
            Self::From(first) => (first, end),
            Self::Within(first, last) => (first, last.min(end)),
            Self::Last(count) => (length.saturating_sub(count), end),
        };
        (first <= end).then_some((first, last))
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From(first) => write!(f, "bytes={first}-"),
            Self::Within(first, last) => write!(f, "bytes={first}-{last}"),
            Self::Last(count) => write!(f, "bytes=-{count}"),
        }
    }
}

impl EntityTag {
    /// A weak tag does not say that the bytes are the same.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        self.weak
    }

    /// Reads one tag.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (weak, rest) = match text.strip_prefix("W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let opaque = rest.strip_prefix('"')?.strip_suffix('"')?;
        let plain = |b: u8| b == b'!' || (b'#'..=b'~').contains(&b);
        let sound = opaque.len() <= TAG_BYTES_MAX && opaque.bytes().all(plain);
        sound.then(|| Self { weak, opaque: opaque.to_owned() })
    }

    /// Strong comparison (RFC 9110, 8.8.3.2): what ranges need.
    #[must_use]
    pub fn is_strongly(&self, other: &Self) -> bool {
        !self.weak && self == other
    }

    /// Weak comparison: what `If-None-Match` needs.
    #[must_use]
    pub fn is_weakly(&self, other: &Self) -> bool {
        self.opaque == other.opaque
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\"{}\"", if self.weak { "W/" } else { "" }, self.opaque)
    }
}

impl HttpDate {
    /// Reads any of the three forms of RFC 9110, 5.6.7.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        httpdate::parse_http_date(text).ok().map(Self)
    }
}

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&httpdate::fmt_http_date(self.0))
    }
}

impl Validator {
    fn parse(text: &str) -> Option<Self> {
        let tag = EntityTag::parse(text).map(Self::Tag);
        tag.or_else(|| HttpDate::parse(text).map(Self::Date))
    }
}

impl fmt::Display for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Date(date) => date.fmt(f),
        }
    }
}

impl Tags {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        // A comma may stand within a tag; such tags are not taken apart but refused, since the
        // halves do not parse.
        let tags: Option<Vec<_>> = text.split(',').map(|t| EntityTag::parse(t.trim())).collect();
        tags.filter(|tags| tags.len() <= TAGS_MAX).map(Self::These)
    }

    /// True if one of them is this tag, by weak comparison.
    #[must_use]
    pub fn name_weakly(&self, tag: &EntityTag) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|t| t.is_weakly(tag)),
        }
    }
}

impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::These(tags) => {
                let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
                f.write_str(&tags.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn one_plain_range_counts_and_anything_else_asks_for_the_whole() {
        let parse = ByteRange::parse;
        assert_eq!(parse("bytes=0-"), Some(ByteRange::From(0)));
        assert_eq!(parse("bytes=0-0"), Some(ByteRange::Within(0, 0)));
        assert_eq!(parse("bytes=5-9"), Some(ByteRange::Within(5, 9)));
        assert_eq!(parse("bytes=-5"), Some(ByteRange::Last(5)));
        for other in [
            "bytes=",
            "bytes=-",
            "bytes=9-5",
            "bytes=-0",
            "bytes=0-1,3-4",
            "bytes= 0-1",
            "items=0-1",
            "bytes=+1-2",
            "bytes=1-99999999999999999999",
            "bytes=0x1-2",
            "BYTES=0-1",
            "",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn ranges_meet_lengths_at_their_edges() {
        let within = ByteRange::within;
        assert_eq!(within(ByteRange::From(0), 10), Some((0, 9)));
        assert_eq!(within(ByteRange::From(9), 10), Some((9, 9)));
        assert_eq!(within(ByteRange::From(10), 10), None);
        assert_eq!(within(ByteRange::Within(3, 99), 10), Some((3, 9)));
        assert_eq!(within(ByteRange::Last(3), 10), Some((7, 9)));
        assert_eq!(within(ByteRange::Last(99), 10), Some((0, 9)));
        assert_eq!(within(ByteRange::From(0), 0), None);
        assert_eq!(within(ByteRange::Last(1), 0), None);
    }

    #[test]
    fn conditions_are_written_anew() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_static("bytes=00005-9"));
        headers.insert(IF_RANGE, HeaderValue::from_static("\"abc\""));
        headers.insert(IF_NONE_MATCH, HeaderValue::from_static("\"a\" ,  W/\"b\""));
        headers
            .insert(IF_MODIFIED_SINCE, HeaderValue::from_static("Sunday, 06-Nov-94 08:49:37 GMT"));
        let conditions = Conditions::read(&headers).unwrap();
        let written: Vec<String> =
            conditions.headers().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            written,
            [
                "range: bytes=5-9",
                "if-range: \"abc\"",
                "if-none-match: \"a\", W/\"b\"",
                "if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT",
            ]
        );
    }

    #[test]
    fn conditions_are_judged_in_their_order() {
        let tag = EntityTag::parse("\"a\"").unwrap();
        let date = |text: &str| HttpDate::parse(text).unwrap();
        let then = "Sun, 06 Nov 1994 08:49:37 GMT";
        let (before, modified) = (date("Sun, 06 Nov 1994 08:49:36 GMT"), date(then));
        let judge = |name: HeaderName, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::try_from(value).unwrap());
            Conditions::read(&headers).unwrap().judge(Some(&tag), Some(modified))
        };
        assert_eq!(judge(IF_MATCH, "\"a\""), None);
        assert_eq!(judge(IF_MATCH, "*"), None);
        assert_eq!(judge(IF_MATCH, "W/\"a\""), Some(412));
        assert_eq!(judge(IF_MATCH, "\"b\""), Some(412));
        assert_eq!(judge(IF_UNMODIFIED_SINCE, then), None);
        assert_eq!(judge(IF_UNMODIFIED_SINCE, &before.to_string()), Some(412));
        assert_eq!(judge(IF_NONE_MATCH, "W/\"a\""), Some(304));
        assert_eq!(judge(IF_NONE_MATCH, "*"), Some(304));
        assert_eq!(judge(IF_NONE_MATCH, "\"b\""), None);
        assert_eq!(judge(IF_MODIFIED_SINCE, then), Some(304));
        assert_eq!(judge(IF_MODIFIED_SINCE, &before.to_string()), None);
        // A tag speaks before a date.
        let both = Conditions {
            if_none_match: Some(Tags::These(Vec::new())),
            if_modified_since: Some(modified),
            ..Conditions::default()
        };
        assert_eq!(both.judge(Some(&tag), Some(modified)), None);
    }

    #[test]
    fn a_condition_that_cannot_be_read_refuses() {
        for (name, value) in [
            (IF_NONE_MATCH, "abc"),
            (IF_NONE_MATCH, "\"a\"b\""),
            (IF_MATCH, ""),
            (IF_MODIFIED_SINCE, "yesterday"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            assert!(Conditions::read(&headers).is_err(), "{value}");
        }
        let mut twice = HeaderMap::new();
        twice.append(IF_MATCH, HeaderValue::from_static("\"a\""));
        twice.append(IF_MATCH, HeaderValue::from_static("\"b\""));
        assert!(Conditions::read(&twice).is_err());
    }
}
