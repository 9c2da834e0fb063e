//! The query parameters that are served, each with the only form its value may have.
//!
//! TRUST: a query is read pair by pair; what is not known for the path is refused, and what goes
//! upstream is written anew from the values. Names are Twilio's own.

use jiff::Timestamp;
use jiff::civil::Date;

use super::target::TargetError;
use crate::words::words;

words! {
    /// A parameter.
    Parameter {
        /// Which voices an audio file holds.
        RequestedChannels = "RequestedChannels",
        /// Whether personal details are taken out; Twilio's default is true.
        Redacted = "Redacted",
        /// Whether each word has its time.
        WordTimestamps = "WordTimestamps",
        /// Whether deleted recordings show.
        IncludeSoftDeleted = "IncludeSoftDeleted",
        /// How long a pre-signed URL lives, in seconds. No caller sees one: read, and left out.
        Ttl = "Ttl",
        /// Items on a page.
        PageSize = "PageSize",
        /// Which page.
        Page = "Page",
        /// Where the page begins, in Twilio's words.
        PageToken = "PageToken",
        /// Of a day.
        DateCreated = "DateCreated",
        /// Before a day or time.
        DateCreatedBefore = "DateCreated<",
        /// After one.
        DateCreatedAfter = "DateCreated>",
        /// Of a call.
        CallSid = "CallSid",
        /// Of a conference.
        ConferenceSid = "ConferenceSid",
        /// Made from this.
        SourceSid = "SourceSid",
        /// Of this group.
        GroupingSid = "GroupingSid",
        /// Of a room.
        RoomSid = "RoomSid",
        /// Of a service of Intelligence.
        ServiceSid = "ServiceSid",
        /// In a state.
        Status = "Status",
        /// Of a kind.
        MediaType = "MediaType",
        /// In a language.
        LanguageCode = "LanguageCode",
        /// After a time.
        VideoCreatedAfter = "DateCreatedAfter",
        /// Before a time.
        VideoCreatedBefore = "DateCreatedBefore",
        /// Of media that began before a time.
        BeforeStartTime = "BeforeStartTime",
        /// Of media that began after one.
        AfterStartTime = "AfterStartTime",
        /// Made before a time.
        BeforeDateCreated = "BeforeDateCreated",
        /// Made after one.
        AfterDateCreated = "AfterDateCreated",
        /// Which of several files; the gate's own.
        Part = "Part",
        /// The recording that Flex asks for; the gate's own.
        FlexRecording = "recording_sid",
    }
}

/// LIMIT: bytes of a page token. Twilio's are about 50.
const TOKEN_BYTES_MAX: usize = 300;

impl Parameter {
    /// Reads a value, and gives it in its one spelling.
    pub(super) fn value(self, text: &str) -> Result<String, TargetError> {
        let bad = |expected| TargetError::BadValue { name: self.as_str(), expected };
        let number = |max: u32, expected| match text.parse::<u32>() {
            Ok(n) if n <= max && n.to_string() == text => Ok(text.to_owned()),
            _ => Err(bad(expected)),
        };
        let plain = |max: usize, allowed: &[u8], expected| {
            let fits = (1..=max).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || allowed.contains(&b));
            if fits { Ok(text.to_owned()) } else { Err(bad(expected)) }
        };
        match self {
            Self::RequestedChannels => match text {
                "1" | "2" => Ok(text.to_owned()),
                _ => Err(bad("1 or 2")),
            },
            Self::Redacted | Self::WordTimestamps | Self::IncludeSoftDeleted => {
                match text.to_ascii_lowercase().as_str() {
                    "true" => Ok("true".to_owned()),
                    "false" => Ok("false".to_owned()),
                    _ => Err(bad("true or false")),
                }
            }
            Self::PageSize => match text {
                "0" => Err(bad("a number from 1 to 5000")),
                _ => number(5000, "a number from 1 to 5000"),
            },
            Self::Page => number(10_000_000, "a number"),
            Self::Part => number(99, "a number up to 99"),
            Self::Ttl => number(604_800, "a number of seconds up to 604800"),
            Self::PageToken => plain(TOKEN_BYTES_MAX, b"-_.~:=/+", "a token as Twilio gave it"),
            Self::Status | Self::MediaType | Self::LanguageCode => {
                plain(40, b"-", "a word of letters, digits and hyphens")
            }
            Self::CallSid
            | Self::ConferenceSid
            | Self::SourceSid
            | Self::GroupingSid
            | Self::RoomSid
            | Self::ServiceSid
            | Self::FlexRecording => {
                let sid = |b: u8| b.is_ascii_alphanumeric();
                match text.len() == 34 && text.bytes().all(sid) {
                    true => Ok(text.to_owned()),
                    false => Err(bad("a SID")),
                }
            }
            Self::DateCreated
            | Self::DateCreatedBefore
            | Self::DateCreatedAfter
            | Self::VideoCreatedAfter
            | Self::VideoCreatedBefore
            | Self::BeforeStartTime
            | Self::AfterStartTime
            | Self::BeforeDateCreated
            | Self::AfterDateCreated => {
                let bad = |_| bad("a date, or a time with its offset, in ISO 8601");
                match text.len() {
                    10 => text.parse::<Date>().map(|date| date.to_string()).map_err(bad),
                    _ => text.parse::<Timestamp>().map(|time| time.to_string()).map_err(bad),
                }
            }
        }
    }

    /// Whether it is told to Twilio.
    fn goes_upstream(self) -> bool {
        !matches!(self, Self::Ttl | Self::Part | Self::FlexRecording)
    }
}

/// The parameters of a request, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Query(Vec<(Parameter, String)>);

impl Query {
    /// A query of the gate's own.
    ///
    /// # Errors
    /// [`TargetError`] if a value is not one of its parameter, or comes twice.
    pub fn of(pairs: &[(Parameter, &str)]) -> Result<Self, TargetError> {
        let mut query = Self::default();
        for (parameter, value) in pairs {
            query.put(*parameter, parameter.value(value)?)?;
        }
        Ok(query)
    }

    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, parameter: Parameter) -> Option<&str> {
        self.0.iter().find(|(p, _)| *p == parameter).map(|(_, value)| value.as_str())
    }

    pub(super) fn put(&mut self, parameter: Parameter, value: String) -> Result<(), TargetError> {
        if self.get(parameter).is_some() {
            return Err(TargetError::RepeatedParameter(parameter.as_str()));
        }
        self.0.push((parameter, value));
        Ok(())
    }

    /// What is told to Twilio, in Twilio's form.
    pub(super) fn upstream(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let told = self.0.iter().filter(|(parameter, _)| parameter.goes_upstream());
        told.map(|(parameter, value)| (parameter.as_str(), value.as_str()))
    }
}

/// The text of a query with its question mark, or nothing.
pub(super) fn written<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        text.push(if text.is_empty() { '?' } else { '&' });
        escape(name, &mut text);
        text.push('=');
        escape(value, &mut text);
    }
    text
}

/// The names and values of the grammar need no other escapes.
fn escape(part: &str, text: &mut String) {
    for letter in part.chars() {
        match letter {
            '<' => text.push_str("%3C"),
            '>' => text.push_str("%3E"),
            ':' => text.push_str("%3A"),
            '=' => text.push_str("%3D"),
            '/' => text.push_str("%2F"),
            '+' => text.push_str("%2B"),
            plain => text.push(plain),
        }
    }
}
