//! What a request asks for: its path and query, parsed strictly.
//!
//! TRUST: this is where a caller's text becomes a typed value. After [`Target::parse`] has
//! accepted it, the path is byte for byte the one [`MediaRef`] prints, and the query holds only
//! known parameters, once each, with values of a closed form. That is also the property the fuzz
//! target and the property test hold it to.

use super::row::Named;
use super::{
    AccountSid, Channels, MediaRef, MediaSid, Parameter, Query, ROWS, Row, Serves, SidKind,
};
use crate::purpose::Purpose;

/// LIMIT: the longest path looked at. The longest one served is 245 bytes; one more than this
/// limit is refused unread.
pub const PATH_BYTES_MAX: usize = 512;

/// LIMIT: the longest query looked at. A ticket takes most of it.
const QUERY_BYTES_MAX: usize = 4096;

/// A parsed request target: what, and (if the query says so) why and on whose behalf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What is asked for. Its account is [`AccountSid::ZERO`] until the gate knows it.
    pub media: MediaRef,
    /// The account, if the path names one.
    pub account: Option<AccountSid>,
    /// What else is asked, beside what the reference holds.
    pub query: Query,
    /// The `purpose` query parameter, which never travels upstream.
    pub purpose: Option<Purpose>,
    /// The `ticket` query parameter, as the gate made it.
    pub ticket: Option<String>,
}

/// What is served, for who asked for something else.
const SERVED: &str = "served are GET, HEAD and DELETE of Twilio's recordings, transcriptions, \
    add-on results, message media, video recordings and compositions, conversations media and \
    Intelligence transcripts, and their lists, each at Twilio's own path (recordings: \
    /2010-04-01/Accounts/{AC...}/Recordings/{RE...} with no extension, .wav, .mp3 or .json)";

/// Why a path or query is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A spelling that two parsers may read differently.
    #[error("the path {0}; write it exactly as Twilio does")]
    Confusing(Confusion),
    /// A clear path to something that is not served.
    #[error("no such resource; {SERVED}")]
    NotServed,
    /// A query parameter that the gate does not know, or not for this form.
    #[error("query parameter `{name}` is not known here; known are {known}")]
    UnknownParameter {
        /// The parameter.
        name: String,
        /// What this path takes.
        known: String,
    },
    /// A query parameter given more than once.
    #[error("query parameter `{0}` is given more than once")]
    RepeatedParameter(&'static str),
    /// A query parameter with a value outside its closed form.
    #[error("query parameter `{name}` must be {expected}")]
    BadValue {
        /// The parameter.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// A query that is not a list of `name=value`.
    #[error("the query is not a list of plain `name=value` pairs")]
    BadQuery,
}

/// The ways in which a path can mean two things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Confusion {
    /// Longer than anything served.
    #[error("is longer than 512 bytes")]
    TooLong,
    /// `%` anywhere: encoded slashes, dots, letters, and what is encoded twice.
    #[error("holds a percent-encoded byte")]
    PercentEncoded,
    /// A byte outside printable ASCII.
    #[error("holds a byte outside printable ASCII")]
    NotPrintable,
    /// A backslash, which some servers read as a slash.
    #[error("holds a backslash")]
    Backslash,
    /// `;`, which some servers cut off with what follows.
    #[error("holds a `;` parameter")]
    PathParameter,
    /// `//` or a slash at the end.
    #[error("holds an empty segment")]
    EmptySegment,
    /// `.` or `..` as a segment.
    #[error("holds a dot segment")]
    DotSegment,
    /// A dot at the end, or more than one dot in the last segment.
    #[error("holds a dot that starts no extension")]
    StrayDot,
    /// Right but for the case of its letters.
    #[error("differs from a served path only in letter case")]
    LetterCase,
}

impl Target {
    /// Reads a request's path and query.
    ///
    /// # Errors
    /// [`TargetError`] for everything but the one spelling of something served.
    pub fn parse(path: &str, query_text: Option<&str>) -> Result<Self, TargetError> {
        if path == "/" {
            // Who opens the gate's address in a browser is told what is here.
            return Err(TargetError::NotServed);
        }
        refuse_confusion(path).map_err(TargetError::Confusing)?;
        let read = |row: &'static Row| Some((row, row.read(path, false)?));
        let Some((row, named)) = ROWS.iter().find_map(read) else {
            // A path that would be served in other letters is named as such: whoever sent it
            // either made a typing error or is looking for a second name of the same object.
            return match ROWS.iter().any(|row| row.read(path, true).is_some()) {
                true => Err(TargetError::Confusing(Confusion::LetterCase)),
                false => Err(TargetError::NotServed),
            };
        };
        let account = named.iter().find_map(|named| match named {
            Named::Account(sid) => Some(*sid),
            Named::Media(_) => None,
        });
        let sids: Vec<MediaSid> = named
            .iter()
            .filter_map(|named| match named {
                Named::Media(sid) => Some(*sid),
                Named::Account(_) => None,
            })
            .collect();
        let media = MediaRef::of(row, account.unwrap_or(AccountSid::ZERO), &sids);
        let query = Query::default();
        let mut target = Self { media, account, query, purpose: None, ticket: None };
        if let Some(query) = query_text {
            target.read_query(query)?;
        }
        if row.serves == Serves::OwnLink && target.media.sid().is_none() {
            let expected = "given: a voice recording's SID";
            return Err(TargetError::BadValue { name: "recording_sid", expected });
        }
        Ok(target)
    }

    fn read_query(&mut self, query: &str) -> Result<(), TargetError> {
        if query.len() > QUERY_BYTES_MAX || !query.is_ascii() {
            return Err(TargetError::BadQuery);
        }
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').ok_or(TargetError::BadQuery)?;
            // SDKs write `DateCreated<` and times with escapes. Nothing else needs one, and after
            // this every value has a closed form.
            let (name, value) = (unescaped(name)?, unescaped(value)?);
            match name.as_str() {
                "purpose" => {
                    let purpose = value.parse().map_err(|_| TargetError::BadValue {
                        name: "purpose",
                        expected: "lower-case words joined by hyphens",
                    })?;
                    set_once(&mut self.purpose, "purpose", purpose)?;
                }
                "ticket" => set_once(&mut self.ticket, "ticket", ticket(value)?)?,
                name => self.read_parameter(name, &value)?,
            }
        }
        Ok(())
    }

    fn read_parameter(&mut self, name: &str, value: &str) -> Result<(), TargetError> {
        let mut taken = self.media.row.query.iter().flat_map(|list| *list);
        let Some(parameter) = taken.find(|parameter| parameter.as_str() == name) else {
            let taken = self.media.row.query.iter().flat_map(|list| *list);
            let known = taken.map(|parameter| format!("`{}`, ", parameter.as_str()));
            let known = known.chain([String::from("`purpose`")]).collect();
            return Err(TargetError::UnknownParameter { name: shown(name), known });
        };
        let value = parameter.value(value)?;
        let media = &mut self.media;
        match parameter {
            Parameter::RequestedChannels => {
                let channels = if value == "1" { Channels::Mono } else { Channels::Dual };
                set_once(&mut media.channels, "RequestedChannels", channels)
            }
            Parameter::Redacted => set_once(&mut media.redacted, "Redacted", value == "true"),
            Parameter::Part => set_once(&mut media.part, "Part", value.parse().unwrap_or(0)),
            Parameter::FlexRecording => {
                let expected = "a voice recording's SID, `RE` and 32 lower-case digits";
                let bad = TargetError::BadValue { name: "recording_sid", expected };
                let sid: MediaSid = value.parse().map_err(|_| bad.clone())?;
                match media.sids.first_mut().filter(|_| sid.kind() == SidKind::Recording) {
                    Some(first) if *first == MediaSid::ZERO => *first = sid,
                    Some(_) => return Err(TargetError::RepeatedParameter("recording_sid")),
                    None => return Err(bad),
                }
                Ok(())
            }
            other => self.query.put(*other, value),
        }
    }
}

fn set_once<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), TargetError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(TargetError::RepeatedParameter(name)),
    }
}

/// What a caller is told of a name they sent.
fn shown(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_<>.".contains(*c)).take(64).collect()
}

fn ticket(value: String) -> Result<String, TargetError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let expected = "one that this gate gave";
    match !value.is_empty() && value.bytes().all(plain) {
        true => Ok(value),
        false => Err(TargetError::BadValue { name: "ticket", expected }),
    }
}

/// Takes escapes out of a name or a value, which may then hold only what the grammar knows.
fn unescaped(text: &str) -> Result<String, TargetError> {
    let mut bytes = text.bytes();
    let mut plain = String::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let is_escaped = byte == b'%';
        let byte = match byte {
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                let (high, low) = (digit(bytes.next()), digit(bytes.next()));
                let both = high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                both.ok_or(TargetError::BadQuery)?
            }
            byte => byte,
        };
        match byte {
            // What needs no escape has one spelling, without. Page tokens may be base64.
            b'<' | b'>' | b':' | b'=' => plain.push(char::from(byte)),
            b'+' | b'/' if is_escaped => plain.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'~' if !is_escaped => plain.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() && !is_escaped => plain.push(char::from(byte)),
            _ => return Err(TargetError::BadQuery),
        }
    }
    Ok(plain)
}

fn refuse_confusion(path: &str) -> Result<(), Confusion> {
    if path.len() > PATH_BYTES_MAX {
        return Err(Confusion::TooLong);
    }
    for byte in path.bytes() {
        match byte {
            b'%' => return Err(Confusion::PercentEncoded),
            b'\\' => return Err(Confusion::Backslash),
            b';' => return Err(Confusion::PathParameter),
            b'!'..=b'~' => {}
            _ => return Err(Confusion::NotPrintable),
        }
    }
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "" => return Err(Confusion::EmptySegment),
            "." | ".." => return Err(Confusion::DotSegment),
            last if segments.peek().is_none()
                && (last.ends_with('.') || last.matches('.').count() > 1) =>
            {
                return Err(Confusion::StrayDot);
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AC: &str = "AC00000000000000000000000000000001";
    const LIST: &str = "/2010-04-01/Accounts/AC00000000000000000000000000000001/Recordings.json";
    const RE: &str = "RE0123456789abcdef0123456789abcdef";

    fn path(extension: &str) -> String {
        format!("/2010-04-01/Accounts/{AC}/Recordings/{RE}{extension}")
    }

    #[test]
    fn each_served_spelling_parses_to_its_own_reference() {
        for extension in ["", ".wav", ".mp3", ".json"] {
            let text = path(extension);
            let target = Target::parse(&text, None).unwrap();
            assert_eq!(target.media.to_string(), text);
            assert_eq!(target.media.upstream_path(&target.query), text);
        }
        let target =
            Target::parse(&path(".mp3"), Some("purpose=staff-training&RequestedChannels=2"));
        let target = target.unwrap();
        assert_eq!(
            target.media.upstream_path(&target.query),
            format!("{}?RequestedChannels=2", path(".mp3"))
        );
        assert_eq!(target.purpose.unwrap().as_str(), "staff-training");
    }

    /// A path of each row, with SIDs of the right kinds.
    fn examples() -> Vec<String> {
        let path = |row: &Row| {
            let filled = row.path.split('{').map(|part| match part.split_once('}') {
                None => part.to_owned(),
                Some(("video_extension_", rest)) => {
                    format!("video_extension_2c70be23-4788-423d-9351-df6705efa035{rest}")
                }
                Some((kind, rest)) => format!("{kind}0123456789abcdef0123456789abcdef{rest}"),
            });
            filled.collect::<String>()
        };
        ROWS.iter().filter(|row| row.serves != Serves::OwnLink).map(path).collect()
    }

    #[test]
    fn each_row_reads_and_writes_its_own_path() {
        for text in examples() {
            let target = Target::parse(&text, None).unwrap();
            assert_eq!(target.media.to_string(), text);
            assert_eq!(target.account.is_some(), text.starts_with("/2010-04-01"), "{text}");
            let is_list = matches!(target.media.serves(), Serves::Page { .. });
            assert_eq!(target.media.subject().is_none(), is_list, "{text}");
            let upper = text.to_ascii_uppercase();
            let folded = Err(TargetError::Confusing(Confusion::LetterCase));
            assert_eq!(Target::parse(&upper, None), folded, "{upper}");
        }
    }

    #[test]
    fn the_items_of_each_list_and_the_content_of_each_link_are_served() {
        for text in examples() {
            let media = Target::parse(&text, None).unwrap().media;
            match media.serves() {
                Serves::Page { item, .. } => {
                    let kind = item.rsplit('{').next().unwrap().split('}').next().unwrap();
                    let sid = match kind {
                        "video_extension_" => {
                            "video_extension_2c70be23-4788-423d-9351-df6705efa035".to_owned()
                        }
                        kind => format!("{kind}0123456789abcdef0123456789abcdef"),
                    };
                    let item = media.item(&sid).unwrap();
                    assert_eq!(Target::parse(&item.to_string(), None).unwrap().media, item);
                    assert_eq!(media.item("CA0123456789abcdef0123456789abcdef"), None, "{text}");
                    assert_eq!(media.item("nonsense"), None);
                }
                Serves::Link => {
                    let content = media.content(None).unwrap();
                    let asked = content.upstream_path(&Query::default());
                    let said = if media.is_redacted() { "?Redacted=true" } else { "" };
                    assert_eq!(asked, format!("{media}{said}"));
                }
                _ => {}
            }
        }
    }

    #[test]
    fn a_flex_player_names_its_recording() {
        let ask = |query: &str| Target::parse("/flex/url_provider", Some(query));
        let media = ask(&format!("recording_sid={RE}")).unwrap().media;
        assert_eq!(media.sid().unwrap().to_string(), RE);
        let url = media.url("", &[]);
        assert_eq!(url, format!("/flex/url_provider?recording_sid={RE}"));
        for bad in
            ["purpose=a", "recording_sid=x", "recording_sid=CA0123456789abcdef0123456789abcdef"]
        {
            assert!(ask(bad).is_err(), "{bad}");
        }
        assert!(ask(&format!("recording_sid={RE}&recording_sid={RE}")).is_err());
        assert!(Target::parse("/flex/url_provider", None).is_err());
    }

    #[test]
    fn each_confusing_spelling_is_named() {
        use Confusion as C;
        let cases = [
            (format!("/2010-04-01/Accounts/{AC}/Recordings%2F{RE}"), C::PercentEncoded),
            (format!("/2010-04-01/Accounts/{AC}/Recordings%252F{RE}"), C::PercentEncoded),
            (path("%2Emp3"), C::PercentEncoded),
            (path(".mp3%00"), C::PercentEncoded),
            (path(".mp3\0"), C::NotPrintable),
            (path(".mp3 "), C::NotPrintable),
            (path(".mp3é"), C::NotPrintable),
            (path("．mp3"), C::NotPrintable),
            (format!("/2010-04-01/Accounts/{AC}\\Recordings\\{RE}"), C::Backslash),
            (path(";a=b"), C::PathParameter),
            (path(".mp3;x"), C::PathParameter),
            (path("/"), C::EmptySegment),
            (format!("//2010-04-01/Accounts/{AC}/Recordings/{RE}"), C::EmptySegment),
            (format!("/2010-04-01//Accounts/{AC}/Recordings/{RE}"), C::EmptySegment),
            (format!("/2010-04-01/Accounts/{AC}/../{AC}/Recordings/{RE}"), C::DotSegment),
            (format!("/./2010-04-01/Accounts/{AC}/Recordings/{RE}"), C::DotSegment),
            (path("/."), C::DotSegment),
            (path("."), C::StrayDot),
            (path(".mp3."), C::StrayDot),
            (path("..mp3"), C::StrayDot),
            (path(".json.mp3"), C::StrayDot),
            (path(".MP3"), C::LetterCase),
            (path(".mp3").replace("Recordings", "recordings"), C::LetterCase),
            (path(".mp3").replace("abcdef", "ABCDEF"), C::LetterCase),
            (path(".mp3").replace("AC0", "ac0"), C::LetterCase),
            (format!("/{}", "a".repeat(PATH_BYTES_MAX)), C::TooLong),
        ];
        for (text, expected) in cases {
            let found = Target::parse(&text, None);
            assert_eq!(found, Err(TargetError::Confusing(expected)), "{text:?}");
        }
        let longest = format!("/{}", "a".repeat(PATH_BYTES_MAX - 1));
        assert_eq!(Target::parse(&longest, None), Err(TargetError::NotServed));
    }

    #[test]
    fn a_clear_path_to_something_else_is_not_served() {
        let short_sid = path("").replace("abcdef", "abcde");
        let long_sid = path("").replace("abcdef", "abcdef0");
        let other = path("").replace("Recordings", "Queues");
        let old = path(".mp3").replace("2010-04-01", "2008-08-01");
        for text in
            ["", "/", "/x", &path(".xml"), &path(".flac"), &short_sid, &long_sid, &other, &old]
        {
            let found = Target::parse(text, None);
            assert_eq!(found, Err(TargetError::NotServed), "{text:?}");
        }
    }

    #[test]
    fn the_query_is_closed() {
        let refused = |query: &str| Target::parse(&path(".mp3"), Some(query)).unwrap_err();
        let unknown = |error| matches!(error, TargetError::UnknownParameter { .. });
        assert!(unknown(refused("Download=true")));
        assert_eq!(
            refused("RequestedChannels=1&RequestedChannels=2"),
            TargetError::RepeatedParameter("RequestedChannels")
        );
        assert_eq!(refused("purpose=a&purpose=a"), TargetError::RepeatedParameter("purpose"));
        for bad in ["RequestedChannels=3", "RequestedChannels=", "purpose=A", "purpose="] {
            assert!(matches!(refused(bad), TargetError::BadValue { .. }), "{bad}");
        }
        for bad in ["", "&", "purpose", "purpose=a&", "purpose=%61", "purpose=a+b", "a=b#c"] {
            assert_eq!(refused(bad), TargetError::BadQuery, "{bad}");
        }
        let on_json = Target::parse(&path(".json"), Some("RequestedChannels=1"));
        assert!(unknown(on_json.unwrap_err()));
        let list = |query: &str| {
            Target::parse(LIST, Some(query)).map(|target| target.media.upstream_path(&target.query))
        };
        assert_eq!(
            list("PageSize=2&DateCreated%3C=2026-11-01T00%3A00%3A00Z&PageToken=PARE-1_x&Page=1"),
            Ok(format!(
                "{LIST}?PageSize=2&DateCreated%3C=2026-11-01T00%3A00%3A00Z\
                        &PageToken=PARE-1_x&Page=1"
            ))
        );
        assert_eq!(
            list("DateCreated>=2026-11-01"),
            Ok(format!("{LIST}?DateCreated%3E=2026-11-01"))
        );
        assert_eq!(
            list("PageToken=a%2Bb%2Fc%3D%3D&Page=1"),
            Ok(format!("{LIST}?PageToken=a%2Bb%2Fc%3D%3D&Page=1"))
        );
        assert_eq!(list("PageToken=YQ=="), Ok(format!("{LIST}?PageToken=YQ%3D%3D")));
        for bad in [
            "PageToken=a+b",
            "PageSize=0",
            "PageSize=5001",
            "PageSize=+1",
            "PageSize=01",
            "Page=-1",
            "DateCreated=yesterday",
            "DateCreated=2026-11-01T00:00:00",
            "CallSid=CA1",
            "IncludeSoftDeleted=maybe",
            "PageToken=",
            "Ttl=3600",
            "%50ageSize=1",
            "PageSize=%31",
        ] {
            assert!(list(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        /// Whatever parses is spelled exactly as the reference prints itself.
        #[test]
        fn what_parses_prints_itself(text in "\\PC{0,140}", query in proptest::option::of("\\PC{0,40}")) {
            if let Ok(target) = Target::parse(&text, query.as_deref()) {
                prop_assert_eq!(target.media.to_string(), text);
            }
        }

        /// One changed byte either gives another canonical path or a refusal, never an alias.
        #[test]
        fn no_second_spelling(at in 0usize..100, byte in any::<u8>()) {
            let original = path(".mp3");
            let mut bytes = original.clone().into_bytes();
            if let Some(slot) = bytes.get_mut(at) { *slot = byte; }
            if let Ok(text) = String::from_utf8(bytes)
                && let Ok(target) = Target::parse(&text, None)
            {
                prop_assert_eq!(target.media.to_string(), text);
            }
        }
    }
}
