//! What a request asks for: its path and query, parsed strictly.
//!
//! TRUST: this is where a caller's text becomes a typed value. After [`Target::parse`] has
//! accepted it, the path is byte for byte the one [`MediaRef`] prints, and the query holds only
//! known parameters, once each, with values of a closed form. That is also the property the fuzz
//! target and the property test hold it to.

use crate::media::{AudioFormat, Channels, Form, MediaRef};
use crate::purpose::Purpose;

/// LIMIT: the longest path looked at. The longest one served is 101 bytes; one more than this
/// limit is refused unread.
pub const PATH_BYTES_MAX: usize = 512;

/// LIMIT: the longest query looked at. The longest meaningful one is 92 bytes.
const QUERY_BYTES_MAX: usize = 256;

/// A parsed request target: what, and (if the query says so) why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What is asked for.
    pub media: MediaRef,
    /// The `purpose` query parameter, which never travels upstream.
    pub purpose: Option<Purpose>,
}

/// Why a path or query is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A spelling that two parsers may read differently.
    #[error("the path {0}; write it exactly as Twilio does")]
    Confusing(Confusion),
    /// A clear path to something that is not served.
    #[error(
        "no such resource; served are GET and HEAD of /2010-04-01/Accounts/{{AC...}}/Recordings/\
         {{RE...}} with no extension, .wav, .mp3 or .json"
    )]
    NotServed,
    /// A query parameter that the gate does not know, or not for this form.
    #[error(
        "query parameter `{0}` is not known here; known are `purpose` and, for audio, \
         `RequestedChannels`"
    )]
    UnknownParameter(String),
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
    pub fn parse(path: &str, query: Option<&str>) -> Result<Self, TargetError> {
        refuse_confusion(path).map_err(TargetError::Confusing)?;
        let media = match parse_path(path) {
            Some(media) => media,
            // A path that would be served in other letters is named as such: whoever sent it
            // either made a typing error or is looking for a second name of the same object.
            None if is_served_in_other_case(path) => {
                return Err(TargetError::Confusing(Confusion::LetterCase));
            }
            None => return Err(TargetError::NotServed),
        };
        let mut target = Self { media, purpose: None };
        if let Some(query) = query {
            target.read_query(query)?;
        }
        Ok(target)
    }

    fn read_query(&mut self, query: &str) -> Result<(), TargetError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'=' | b'&');
        if query.len() > QUERY_BYTES_MAX || !query.bytes().all(plain) {
            return Err(TargetError::BadQuery);
        }
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').ok_or(TargetError::BadQuery)?;
            match (name, &mut self.media.form) {
                ("RequestedChannels", Form::Audio { channels, .. }) => {
                    set_once(channels, "RequestedChannels", parse_channels(value)?)?;
                }
                ("purpose", _) => {
                    let purpose = value.parse().map_err(|_| TargetError::BadValue {
                        name: "purpose",
                        expected: "lower-case words joined by hyphens",
                    })?;
                    set_once(&mut self.purpose, "purpose", purpose)?;
                }
                (other, Form::Audio { .. } | Form::Metadata) => {
                    return Err(TargetError::UnknownParameter(other.to_owned()));
                }
            }
        }
        Ok(())
    }
}

fn set_once<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), TargetError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(TargetError::RepeatedParameter(name)),
    }
}

fn parse_channels(value: &str) -> Result<Channels, TargetError> {
    match value {
        "1" => Ok(Channels::Mono),
        "2" => Ok(Channels::Dual),
        _ => Err(TargetError::BadValue { name: "RequestedChannels", expected: "1 or 2" }),
    }
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

fn parse_path(path: &str) -> Option<MediaRef> {
    let rest = path.strip_prefix("/2010-04-01/Accounts/")?;
    let (account, rest) = rest.split_once('/')?;
    let name = rest.strip_prefix("Recordings/")?;
    let (recording, extension) = match name.split_once('.') {
        Some((sid, extension)) => (sid, Some(extension)),
        None => (name, None),
    };
    let audio = |format| Form::Audio { format, channels: None };
    let form = match extension {
        None => audio(AudioFormat::Unnamed),
        Some("wav") => audio(AudioFormat::Wav),
        Some("mp3") => audio(AudioFormat::Mp3),
        Some("json") => Form::Metadata,
        Some(_) => return None,
    };
    Some(MediaRef { account: account.parse().ok()?, recording: recording.parse().ok()?, form })
}

fn is_served_in_other_case(path: &str) -> bool {
    let canonical: String = path
        .to_ascii_lowercase()
        .replace("/accounts/ac", "/Accounts/AC")
        .replace("/recordings/re", "/Recordings/RE");
    parse_path(&canonical).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AC: &str = "AC00000000000000000000000000000001";
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
            assert_eq!(target.media.upstream_path(), text);
        }
        let target =
            Target::parse(&path(".mp3"), Some("purpose=staff-training&RequestedChannels=2"));
        let target = target.unwrap();
        assert_eq!(target.media.upstream_path(), format!("{}?RequestedChannels=2", path(".mp3")));
        assert_eq!(target.purpose.unwrap().as_str(), "staff-training");
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
        let other = path("").replace("Recordings", "Transcriptions");
        let old = path(".mp3").replace("2010-04-01", "2008-08-01");
        for text in
            ["", "/", "/x", &path(".xml"), &path(".flac"), &short_sid, &long_sid, &other, &old]
        {
            let found = Target::parse(text, None);
            assert!(
                matches!(found, Err(TargetError::NotServed))
                    || (text == "/"
                        && found == Err(TargetError::Confusing(Confusion::EmptySegment))),
                "{text:?}: {found:?}"
            );
        }
    }

    #[test]
    fn the_query_is_closed() {
        let refused = |query: &str| Target::parse(&path(".mp3"), Some(query)).unwrap_err();
        assert_eq!(refused("Download=true"), TargetError::UnknownParameter("Download".into()));
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
        assert_eq!(on_json, Err(TargetError::UnknownParameter("RequestedChannels".into())));
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
