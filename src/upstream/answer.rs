//! What upstream answered, checked against what was asked.
//!
//! TRUST: an answer is hostile until proven dull. Only statuses that fit the question, one
//! framing, one length, no content coding, the right kind of type, a range that is the one asked
//! for. Where upstream ignored a range or a condition that a caller needs for seeking, the gate
//! applies it itself, so that what the caller gets does not depend on which of Twilio's stores
//! answered.

use std::fmt;

use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    HeaderValue, LAST_MODIFIED, TRANSFER_ENCODING,
};
use serde_json::Value;

use super::UpstreamError;
use super::body::MediaBody;
use super::pool::Reply;
use crate::media::{
    ByteRange, Conditions, EntityTag, HttpDate, MediaRef, Serves, SidKind, Validator,
};

/// How much of an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outline {
    /// Head and body: GET.
    Whole,
    /// The head that GET would have: HEAD.
    HeadOnly,
}

/// An answer that may be handed to the caller.
#[derive(Debug)]
pub struct Opened {
    /// 200, 206, 304, 412 or 416.
    pub status: u16,
    /// The type, by the form that was asked for.
    pub content_type: &'static str,
    /// Bytes of the body, where they are known.
    pub length: Option<u64>,
    /// For 206 and 416: `Content-Range`.
    pub range: Option<ContentRange>,
    /// Whether ranges may be asked for.
    pub ranges: bool,
    /// The entity tag.
    pub tag: Option<EntityTag>,
    /// The date.
    pub modified: Option<HttpDate>,
    /// Whether it is a file that somebody outside made.
    pub is_file: bool,
    /// What opens it for who holds the key, if it is handed on encrypted.
    pub envelope: Vec<(HeaderName, HeaderValue)>,
    /// Where a redirect leads: to the gate itself.
    pub location: Option<String>,
    /// The bytes.
    pub body: MediaBody,
}

/// Where a part stands in the whole (RFC 9110, 14.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentRange {
    /// The first and last byte; `None` where no part could be given.
    pub part: Option<(u64, u64)>,
    /// The length of the whole, if it is known.
    pub total: Option<u64>,
}

impl ContentRange {
    /// How many bytes the part has.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.part.map(|(first, last)| last - first + 1)
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Some((first, last)) => write!(f, "bytes {first}-{last}/")?,
            None => f.write_str("bytes */")?,
        }
        match self.total {
            Some(total) => write!(f, "{total}"),
            None => f.write_str("*"),
        }
    }
}

/// What was asked.
pub(super) struct Expected<'a> {
    pub(super) media: MediaRef,
    pub(super) outline: Outline,
    /// What the caller asked under which conditions.
    pub(super) conditions: &'a Conditions,
    /// The range that went upstream; for HEAD it is one of ours.
    pub(super) range: Option<ByteRange>,
}

impl Opened {
    /// A JSON resource that has been read as a whole.
    pub(super) fn document(json: &Value, outline: Outline) -> Self {
        let json = serde_json::to_vec(json).unwrap_or_default();
        let length = Some(json.len() as u64);
        let body = match outline {
            Outline::Whole => MediaBody::from_bytes(Bytes::from(json)),
            Outline::HeadOnly => MediaBody::empty(),
        };
        Self { length, body, content_type: "application/json", ..Self::nothing() }.with_status(200)
    }

    /// 204: it was done, and there is nothing to say.
    pub(super) fn nothing() -> Self {
        Self {
            status: 204,
            content_type: "application/json",
            length: None,
            range: None,
            ranges: false,
            tag: None,
            modified: None,
            is_file: false,
            envelope: Vec::new(),
            location: None,
            body: MediaBody::empty(),
        }
    }

    fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }
}

/// Reads the head of an answer with bytes.
pub(super) fn read(
    reply: Reply,
    expected: &Expected<'_>,
    bytes_max: u64,
) -> Result<Opened, UpstreamError> {
    let headers = &reply.parts.headers;
    let length = framing(headers)?;
    let head = Head {
        tag: single(headers, ETAG)?.and_then(EntityTag::parse),
        modified: single(headers, LAST_MODIFIED)?.and_then(HttpDate::parse),
        content_type: match reply.parts.status.as_u16() {
            200 | 206 => content_type(headers, &expected.media)?,
            // What has no body of the thing's own has no type either.
            _ => "",
        },
    };
    let conditions = expected.conditions;
    let status = reply.parts.status.as_u16();
    match status {
        304 if conditions.if_none_match.is_some() || conditions.if_modified_since.is_some() => {
            Ok(head.empty(304, None))
        }
        412 if conditions.if_match.is_some() || conditions.if_unmodified_since.is_some() => {
            Ok(head.empty(412, None))
        }
        416 if expected.range.is_some() => {
            let total = content_range(headers)?.total;
            match (expected.outline, total) {
                // An empty recording has no byte to probe with.
                (Outline::HeadOnly, Some(0)) => {
                    Ok(Opened { length: Some(0), ..head.empty(200, None) })
                }
                (Outline::HeadOnly, _) => Err(UpstreamError::Unusable("it has no first byte")),
                (Outline::Whole, total) => {
                    Ok(head.empty(416, Some(ContentRange { part: None, total })))
                }
            }
        }
        200 | 206 => {
            let part = match status {
                206 => Some(partial(headers, expected.range, length)?),
                _ => None,
            };
            // A part without a length of its own is as long as its range says.
            let length = part.and_then(|part| part.length()).or(length);
            let total = part.map_or(length, |part| part.total);
            if total.or(length).is_some_and(|total| total > bytes_max) {
                return Err(UpstreamError::Unusable("it is longer than response_bytes_max"));
            }
            // Who has the rest of an object must not be given a part of another.
            if part.is_some() && !head.is_same(conditions) {
                return Err(UpstreamError::Unusable("it is a part of another object"));
            }
            // Upstream may not know conditions; then they are judged here.
            if let Some(status) = conditions.judge(head.tag.as_ref(), head.modified) {
                return Ok(head.empty(status, None));
            }
            match expected.outline {
                Outline::HeadOnly => {
                    Ok(Opened { length: total, ranges: true, ..head.empty(200, None) })
                }
                Outline::Whole => head.whole(reply, expected, part, length, bytes_max),
            }
        }
        _ => Err(UpstreamError::Status(status)),
    }
}

/// What the head says beside length and range.
#[derive(Clone)]
struct Head {
    tag: Option<EntityTag>,
    modified: Option<HttpDate>,
    content_type: &'static str,
}

impl Head {
    fn empty(self, status: u16, range: Option<ContentRange>) -> Opened {
        let Self { tag, modified, content_type } = self;
        let nothing = Opened::nothing();
        Opened { status, content_type, range, ranges: true, tag, modified, ..nothing }
    }

    fn whole(
        self,
        reply: Reply,
        expected: &Expected<'_>,
        part: Option<ContentRange>,
        length: Option<u64>,
        bytes_max: u64,
    ) -> Result<Opened, UpstreamError> {
        let sent = |body| Opened { body, ..self.clone().empty(200, None) };
        let first = part.and_then(|part| part.part).map_or(0, |(first, _)| first);
        let body = MediaBody::from_reply(reply.body, length, bytes_max).starting_at(first);
        if part.is_some() {
            return Ok(Opened { status: 206, length, range: part, ..sent(body) });
        }
        // Upstream sent the whole. If a part was asked for, and this is still the object that the
        // caller has the rest of, the gate cuts it out.
        let wanted = expected.conditions.range.filter(|_| self.is_same(expected.conditions));
        match (wanted, length) {
            (Some(range), Some(total)) => match range.within(total) {
                Some((first, last)) => {
                    let part = Some((first, last));
                    let range = Some(ContentRange { part, total: Some(total) });
                    let body = body.cut(first, last);
                    let length = Some(last - first + 1);
                    Ok(Opened { status: 206, length, range, ..sent(body) })
                }
                None => Ok(self.empty(416, Some(ContentRange { part: None, total: Some(total) }))),
            },
            _ => Ok(Opened { status: 200, length, ranges: length.is_some(), ..sent(body) }),
        }
    }

    fn is_same(&self, conditions: &Conditions) -> bool {
        is_same(conditions, self.tag.as_ref(), self.modified)
    }
}

/// RFC 9110, 13.1.5: a range counts only if the validator is the object's, strongly.
pub(super) fn is_same(
    conditions: &Conditions,
    tag: Option<&EntityTag>,
    modified: Option<HttpDate>,
) -> bool {
    match &conditions.if_range {
        None => true,
        Some(Validator::Tag(wanted)) => tag.is_some_and(|tag| tag.is_strongly(wanted)),
        Some(Validator::Date(date)) => modified == Some(*date),
    }
}

/// Whether an answer is the part that was asked for, of the object with this tag and length.
pub(super) fn continues(
    reply: &Reply,
    asked: ByteRange,
    tag: &EntityTag,
    total: Option<u64>,
) -> bool {
    let headers = &reply.parts.headers;
    let read = || {
        let length = framing(headers).ok()?;
        let part = partial(headers, Some(asked), length).ok()?;
        let same = single(headers, ETAG).ok()?.and_then(EntityTag::parse)?;
        let whole = asked.within(total?) == part.part && part.total == total;
        Some(whole && same.is_strongly(tag))
    };
    reply.parts.status.as_u16() == 206 && read().unwrap_or(false)
}

fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, UpstreamError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            value.to_str().map(Some).map_err(|_| UpstreamError::Unusable("a header is not text"))
        }
        _ => Err(UpstreamError::Unusable("a header comes twice that may come once")),
    }
}

/// The length, if it is said. A body without any framing ends with TLS's goodbye, which a cut
/// connection does not say.
fn framing(headers: &HeaderMap) -> Result<Option<u64>, UpstreamError> {
    let coding = single(headers, TRANSFER_ENCODING)?;
    let length = single(headers, CONTENT_LENGTH)?;
    if coding.is_some() && length.is_some() {
        return Err(UpstreamError::Unusable("it has two framings"));
    }
    if coding.is_some_and(|coding| !coding.trim().eq_ignore_ascii_case("chunked")) {
        return Err(UpstreamError::Unusable("it has a transfer coding other than chunked"));
    }
    match single(headers, CONTENT_ENCODING)? {
        None | Some("identity" | "") => {}
        Some(_) => return Err(UpstreamError::Unusable("it has a content coding")),
    }
    match length.map(number) {
        None => Ok(None),
        Some(Some(length)) => Ok(Some(length)),
        Some(None) => Err(UpstreamError::Unusable("its length is not a number")),
    }
}

/// Digits and nothing else: no sign, no blank.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// The numbers of `Content-Range`; none if there is no such header.
fn content_range(headers: &HeaderMap) -> Result<ContentRange, UpstreamError> {
    let read = |text: &str| {
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let total = match total {
            "*" => None,
            total => Some(number(total)?),
        };
        if range == "*" {
            return Some(ContentRange { part: None, total });
        }
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let sound = first <= last && total.is_none_or(|total| last < total);
        sound.then_some(ContentRange { part: Some((first, last)), total })
    };
    match single(headers, CONTENT_RANGE)? {
        None => Ok(ContentRange::default()),
        Some(text) => read(text).ok_or(UpstreamError::Unusable("its range cannot be read")),
    }
}

/// The part that a 206 holds, if it is the one that was asked for.
fn partial(
    headers: &HeaderMap,
    asked: Option<ByteRange>,
    length: Option<u64>,
) -> Result<ContentRange, UpstreamError> {
    let asked = asked.ok_or(UpstreamError::Unusable("a part came that was not asked for"))?;
    let range = content_range(headers)?;
    let Some((first, last)) = range.part else {
        return Err(UpstreamError::Unusable("a part came without its range"));
    };
    let fits = match range.total {
        Some(total) => asked.within(total) == Some((first, last)),
        None => match asked {
            ByteRange::From(from) => first == from,
            ByteRange::Within(from, to) => first == from && last <= to,
            ByteRange::Last(_) => false,
        },
    };
    if !fits || length.is_some_and(|length| length != last - first + 1) {
        return Err(UpstreamError::Unusable("another part came than was asked for"));
    }
    Ok(range)
}

/// The types in which files of messages and rooms come: those that Twilio takes for messages, and
/// those of rooms. What is not here is handed on as bytes that no browser opens: a page or a script
/// under the gate's name could ask in its reader's name.
const FILE_TYPES: [&str; 60] = [
    "application/json",
    "application/msword",
    "application/octet-stream",
    "application/pdf",
    "application/rtf",
    "application/vcard",
    "application/vnd.apple.pkpass",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "audio/3gpp",
    "audio/3gpp2",
    "audio/aac",
    "audio/ac3",
    "audio/amr",
    "audio/amr-nb",
    "audio/basic",
    "audio/flac",
    "audio/l24",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/opus",
    "audio/vnd.rn-realaudio",
    "audio/vnd.wave",
    "audio/wav",
    "audio/webm",
    "audio/x-matroska",
    "audio/x-wav",
    "image/bmp",
    "image/gif",
    "image/heic",
    "image/heif",
    "image/jpeg",
    "image/png",
    "image/tiff",
    "image/webp",
    "text/calendar",
    "text/csv",
    "text/directory",
    "text/plain",
    "text/richtext",
    "text/rtf",
    "text/vcard",
    "text/x-vcard",
    "video/3gpp",
    "video/3gpp-tt",
    "video/3gpp2",
    "video/h261",
    "video/h263",
    "video/h263-1998",
    "video/h263-2000",
    "video/h264",
    "video/mp4",
    "video/mpeg",
    "video/quicktime",
    "video/webm",
    "video/x-matroska",
];

/// The type to give a caller. A page or an error text in the place of sound is not sound, whatever
/// its status.
pub(super) fn content_type(
    headers: &HeaderMap,
    media: &MediaRef,
) -> Result<&'static str, UpstreamError> {
    let said = single(headers, CONTENT_TYPE)?.unwrap_or("application/octet-stream");
    let said = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (sound, own): (&[&str], _) = match media.serves() {
        Serves::Mp3 => (&["audio/mpeg", "audio/mp3", "audio/x-mpeg"], "audio/mpeg"),
        Serves::Wav => {
            (&["audio/x-wav", "audio/wav", "audio/wave", "audio/vnd.wave"], "audio/x-wav")
        }
        _ => {
            let known = FILE_TYPES.iter().find(|known| **known == said);
            return Ok(known.copied().unwrap_or("application/octet-stream"));
        }
    };
    // Object stores do not always know what they hold.
    let unknown = ["application/octet-stream", "binary/octet-stream"];
    match sound.contains(&said.as_str()) || unknown.contains(&said.as_str()) {
        true => Ok(own),
        false => Err(UpstreamError::Unusable("its type is not the one that was asked for")),
    }
}

/// Checks the head of a JSON resource.
pub(super) fn check_document(reply: &Reply) -> Result<(), UpstreamError> {
    framing(&reply.parts.headers)?;
    let said = single(&reply.parts.headers, CONTENT_TYPE)?.unwrap_or_default();
    match (reply.parts.status.as_u16(), said.split(';').next().map(str::trim)) {
        (200, Some("application/json")) => Ok(()),
        (200, _) => Err(UpstreamError::Unusable("a resource is not JSON")),
        (other, _) => Err(UpstreamError::Status(other)),
    }
}

/// Reads a JSON resource.
pub(super) fn parse_document(json: &[u8]) -> Result<Value, UpstreamError> {
    let value: Option<Value> = serde_json::from_slice(json).ok();
    value.filter(Value::is_object).ok_or(UpstreamError::Unusable("a resource is not JSON"))
}

/// Whether a resource is the one that was asked for, as far as it says so: neither another one, nor
/// one that belongs to something else than the path says.
pub(super) fn is_of(json: &Value, media: &MediaRef) -> bool {
    let of = |kind| media.sid_of(kind).map(|sid| sid.to_string());
    let message = of(SidKind::MultimediaMessage).or_else(|| of(SidKind::Message));
    let own = media.sid().map(|sid| sid.to_string());
    let expected = [
        ("account_sid", Some(media.account.to_string())),
        ("sid", own.clone()),
        ("ttid", own),
        ("recording_sid", of(SidKind::Recording)),
        ("reference_sid", of(SidKind::Recording)),
        ("add_on_result_sid", of(SidKind::AddOnResult)),
        ("parent_sid", message),
        ("transcript_sid", of(SidKind::Transcript)),
        ("service_sid", of(SidKind::Service)),
        ("room_sid", of(SidKind::Room)),
    ];
    expected.iter().all(|(key, sid)| {
        let said = json.get(key).and_then(Value::as_str);
        said.zip(sid.as_deref()).is_none_or(|(said, sid)| said == sid)
    })
}

/// Twilio's error code in a JSON or XML error, unless it is about the gate's own credential.
pub(super) fn twilio_code(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    let json = serde_json::from_str::<Value>(text).ok();
    let code = match json {
        Some(json) => json.get("code")?.as_u64().and_then(|code| u32::try_from(code).ok())?,
        None => {
            let (_, rest) = text.split_once("<Code>")?;
            rest.split_once("</Code>")?.0.trim().parse().ok()?
        }
    };
    // Whoever asked can act on any of them but those about the gate's own credential.
    (10_000..100_000)
        .contains(&code)
        .then_some(code)
        .filter(|code| !matches!(code, 20003..=20006 | 20403))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let value = |text: &'static str| HeaderValue::from_static(text);
        pairs.iter().map(|(name, text)| (name.clone(), value(text))).collect()
    }

    #[test]
    fn a_part_must_be_the_one_that_was_asked_for() {
        let part = |range: &'static str, length, asked| {
            partial(&headers(&[(CONTENT_RANGE, range)]), Some(asked), length)
        };
        let asked = ByteRange::Within(5, 9);
        let range = |first, last, total| Ok(ContentRange { part: Some((first, last)), total });
        assert_eq!(part("bytes 5-9/10", Some(5), asked), range(5, 9, Some(10)));
        assert_eq!(part("bytes 5-7/8", Some(3), asked), range(5, 7, Some(8)));
        assert_eq!(part("bytes 5-9/*", None, asked), range(5, 9, None));
        for (range, length) in [
            ("bytes 4-9/10", None),
            ("bytes 5-8/10", None),
            ("bytes 5-9/10", Some(4)),
            ("bytes 5-9/9", None),
            ("bytes 9-5/10", None),
            ("bytes */10", None),
            ("items 5-9/10", None),
            ("bytes 5-9", None),
        ] {
            assert!(part(range, length, asked).is_err(), "{range}");
        }
        assert!(partial(&headers(&[(CONTENT_RANGE, "bytes 0-1/2")]), None, None).is_err());
    }

    #[test]
    fn two_framings_and_codings_are_refused() {
        let refused = |pairs: &[(HeaderName, &'static str)]| framing(&headers(pairs)).is_err();
        assert!(refused(&[(TRANSFER_ENCODING, "chunked"), (CONTENT_LENGTH, "5")]));
        assert!(refused(&[(CONTENT_LENGTH, "+5")]));
        assert!(refused(&[(CONTENT_LENGTH, "5, 5")]));
        assert!(refused(&[(CONTENT_ENCODING, "gzip")]));
        assert_eq!(framing(&headers(&[(CONTENT_LENGTH, "5")])), Ok(Some(5)));
        assert_eq!(framing(&headers(&[(TRANSFER_ENCODING, "chunked")])), Ok(None));
    }

    #[test]
    fn codes_pass_but_for_those_about_the_gate_itself() {
        assert_eq!(twilio_code(br#"{"code":16113,"message":"x"}"#), Some(16113));
        let xml =
            b"<TwilioResponse><RestException><Code>16109</Code></RestException></TwilioResponse>";
        assert_eq!(twilio_code(xml), Some(16109));
        assert_eq!(twilio_code(br#"{"code":21704}"#), Some(21704));
        assert_eq!(twilio_code(br#"{"code":20003}"#), None);
        assert_eq!(twilio_code(br#"{"code":7}"#), None);
        assert_eq!(twilio_code(b"<html>"), None);
    }
}
