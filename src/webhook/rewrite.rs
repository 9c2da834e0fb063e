//! Twilio's URLs of media, pointed at the gate.
//!
//! In: a verified callback's parameters. Out: the same, in the same order, with the gate's origin in
//! place of Twilio's scheme and host wherever a value is the URL of media. What is not such a value
//! stays as it is, in JSON to the byte. A pre-signed URL would let the application read media past
//! the gate and past its record; it is blanked, and the caller is told under which name it was.

use super::form::{Form, FormError, read_pair};

/// Parameters that hold URLs of media by Twilio's documentation; besides these `MediaUrl0`,
/// `MediaUrl1` and so on.
const NAMED: [&str; 4] = ["RecordingUrl", "TranscriptionUrl", "CompositionUri", "MediaUri"];

/// Hosts that serve Twilio's media to whoever has the URL.
const CDN: &str = "twiliocdn.com";

/// Hosts of the object store that Twilio keeps media in.
const STORES: [&str; 2] = ["amazonaws.com", "amazonaws.com.cn"];

/// LIMIT: digits behind `MediaUrl`. Twilio sends ten media at most.
const MEDIA_DIGITS_MAX: usize = 4;

/// What rewriting needs to know.
#[derive(Clone, Debug)]
pub(super) struct Rewriter {
    gate: String,
    serves: fn(&str) -> bool,
}

/// A rewritten text, and what is missing from it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Rewritten<T> {
    /// The text.
    pub(super) value: T,
    /// The names of the parameters that held a pre-signed URL and are now empty.
    pub(super) blanked: Vec<String>,
}

/// The text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not JSON")]
pub struct NotJson;

/// What becomes of a value.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Stays,
    PointsAt(String),
    IsBlanked,
}

impl Rewriter {
    /// Rewrites to this origin (scheme and host, no final `/`). `serves` says of the path of a URL
    /// whether the gate answers for it.
    pub(super) fn new(gate: &str, serves: fn(&str) -> bool) -> Self {
        Self { gate: gate.to_owned(), serves }
    }

    /// Rewrites a form.
    pub(super) fn form(&self, form: &Form) -> Rewritten<Form> {
        let mut blanked = Vec::new();
        let pairs = form.pairs().iter().map(|(name, value)| {
            let changed = self.change(name, value, &mut blanked);
            (name.clone(), changed.unwrap_or_else(|| value.clone()))
        });
        Rewritten { value: pairs.collect(), blanked }
    }

    /// Rewrites a query; pairs that need no change keep their spelling.
    ///
    /// # Errors
    /// [`FormError`] if a pair cannot be read.
    pub(super) fn query(&self, query: &str) -> Result<Rewritten<String>, FormError> {
        let mut blanked = Vec::new();
        let mut pairs = Vec::new();
        for raw in query.split('&').filter(|raw| !raw.is_empty()) {
            let (name, value) = read_pair(raw)?;
            pairs.push(match self.change(&name, &value, &mut blanked) {
                Some(changed) => Form::from_iter([(name, changed)]).write(),
                None => raw.to_owned(),
            });
        }
        Ok(Rewritten { value: pairs.join("&"), blanked })
    }

    /// Rewrites the strings of a JSON text, however deep; everything between them stays to the byte.
    ///
    /// # Errors
    /// [`NotJson`], or nested deeper than 128 levels.
    pub(super) fn json(&self, text: &str) -> Result<Rewritten<String>, NotJson> {
        // With the whole known to be JSON, its strings can be told by their quotes.
        serde_json::from_str::<serde_json::Value>(text).map_err(|_| NotJson)?;
        let mut blanked = Vec::new();
        let mut written = String::with_capacity(text.len());
        let mut rest = text;
        // The name of the value at hand, and those of the values around it.
        let mut name = String::new();
        let mut around = Vec::new();
        while let Some((between, opened)) = rest.split_once('"') {
            let (raw, behind) = split_string(opened).ok_or(NotJson)?;
            let quoted = format!("\"{raw}\"");
            let value: String = serde_json::from_str(&quoted).map_err(|_| NotJson)?;
            for mark in between.chars() {
                match mark {
                    '{' | '[' => around.push(name.clone()),
                    '}' | ']' => name = around.pop().unwrap_or_default(),
                    _ => {}
                }
            }
            written.push_str(between);
            rest = behind;
            if behind.trim_start().starts_with(':') {
                written.push_str(&quoted);
                name = value;
                continue;
            }
            match self.change(&name, &value, &mut blanked) {
                Some(changed) => written.push_str(&serde_json::Value::from(changed).to_string()),
                None => written.push_str(&quoted),
            }
        }
        written.push_str(rest);
        Ok(Rewritten { value: written, blanked })
    }

    /// The new value, if there is one.
    fn change(&self, name: &str, value: &str, blanked: &mut Vec<String>) -> Option<String> {
        match self.fate(name, value) {
            Fate::Stays => None,
            Fate::PointsAt(url) => Some(url),
            Fate::IsBlanked => {
                blanked.push(name.to_owned());
                Some(String::new())
            }
        }
    }

    fn fate(&self, name: &str, value: &str) -> Fate {
        let Some(url) = Url::read(value) else { return Fate::Stays };
        let is_named = is_named(name);
        if url.is_at("twilio.com") && url.is_plain && (is_named || (self.serves)(url.path())) {
            return Fate::PointsAt(format!("{}{}", self.gate, url.rest));
        }
        let is_stored = STORES.iter().any(|store| url.is_at(store));
        if url.is_at(CDN) || (is_named && is_stored) || url.is_pre_signed() {
            return Fate::IsBlanked;
        }
        Fate::Stays
    }
}

fn is_named(name: &str) -> bool {
    let is_number = |digits: &str| {
        (1..=MEDIA_DIGITS_MAX).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_digit())
    };
    NAMED.contains(&name) || name.strip_prefix("MediaUrl").is_some_and(is_number)
}

/// What stands before the quote that ends a JSON string, and what stands behind it.
fn split_string(opened: &str) -> Option<(&str, &str)> {
    let mut is_escaped = false;
    let end = opened.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })?;
    let (raw, quote) = opened.split_at_checked(end)?;
    Some((raw, quote.strip_prefix('"')?))
}

/// An absolute URL.
struct Url<'a> {
    host: String,
    /// Whether every reader finds the same host in it.
    is_plain: bool,
    /// Path, query and fragment.
    rest: &'a str,
}

impl<'a> Url<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (scheme, behind) = text.split_once("://")?;
        if !["https", "http"].iter().any(|known| scheme.trim_start().eq_ignore_ascii_case(known)) {
            return None;
        }
        // Browsers read `\` as `/`, others as part of a user's name.
        let end = behind.find(['/', '?', '#', '\\']).unwrap_or(behind.len());
        let (authority, rest) = behind.split_at_checked(end)?;
        let is_odd = |character: char| character == '\\' || !character.is_ascii_graphic();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = host.split_once(':').unwrap_or((host, ""));
        let is_plain = host.len() + port.len() + usize::from(!port.is_empty()) == authority.len()
            && port.bytes().all(|digit| digit.is_ascii_digit())
            && !text.contains(is_odd);
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        Some(Self { host, is_plain, rest })
    }

    /// Whether the host is in this domain.
    fn is_at(&self, domain: &str) -> bool {
        self.host.strip_suffix(domain).is_some_and(|left| left.is_empty() || left.ends_with('.'))
    }

    fn path(&self) -> &'a str {
        self.rest.split(['?', '#']).next().unwrap_or_default()
    }

    /// Whether the query holds a signature, as S3's (version 4 and 2), CloudFront's and Google's do.
    fn is_pre_signed(&self) -> bool {
        let query = self.rest.split_once('?').map_or("", |(_, query)| query);
        let query = query.split('#').next().unwrap_or_default();
        let has = |sought: &str| {
            query.split('&').any(|pair| {
                pair.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case(sought))
            })
        };
        has("X-Amz-Signature") || has("X-Goog-Signature") || (has("Signature") && has("Expires"))
    }
}

impl<T> std::fmt::Debug for Rewritten<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rewritten").field("blanked", &self.blanked).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GATE: &str = "https://rec.example.com";
    const PATH: &str = "/2010-04-01/Accounts/AC1/Recordings/RE1";

    fn rewriter() -> Rewriter {
        Rewriter::new(GATE, |path| {
            path.starts_with("/2010-04-01/") && path.contains("/Recordings/")
        })
    }

    fn pointed(name: &str, value: &str) -> Option<String> {
        match rewriter().fate(name, value) {
            Fate::PointsAt(url) => Some(url),
            Fate::Stays => None,
            Fate::IsBlanked => Some(String::new()),
        }
    }

    #[test]
    fn urls_of_media_point_at_the_gate_and_keep_their_path() {
        for (name, host) in [
            ("RecordingUrl", "https://api.twilio.com"),
            ("RecordingUrl", "http://api.twilio.com"),
            ("RecordingUrl", "HTTPS://API.Twilio.com:443"),
            ("TranscriptionUrl", "https://api.dublin.ie1.twilio.com"),
            ("MediaUrl0", "https://api.twilio.com"),
            ("MediaUrl10", "https://api.twilio.com"),
            ("CompositionUri", "https://video.twilio.com"),
            ("MediaUri", "https://video.twilio.com"),
            ("Anything", "https://api.twilio.com"),
        ] {
            let url = format!("{host}{PATH}.mp3?RequestedChannels=2#x");
            let expected = format!("{GATE}{PATH}.mp3?RequestedChannels=2#x");
            assert_eq!(pointed(name, &url), Some(expected), "{name} {host}");
        }
        let media = "/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1";
        let url = format!("https://api.twilio.com{media}");
        assert_eq!(pointed("MediaUrl1", &url), Some(format!("{GATE}{media}")));
    }

    #[test]
    fn other_values_stay() {
        for (name, value) in [
            ("Uri", "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls/CA1"),
            ("RecordingUrl", "/2010-04-01/Accounts/AC1/Recordings/RE1"),
            ("MediaUri", "/v1/Compositions/CJ1/Media"),
            ("RecordingUrl", ""),
            ("RecordingUrl", "RE1"),
            ("RecordingUrl", "ftp://api.twilio.com/x"),
            ("MediaUrlx", "https://api.twilio.com/x"),
            ("MediaUrl", "https://api.twilio.com/x"),
            ("Body", "see https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE1"),
            ("Body", "https://example.com/?Signature=1"),
        ] {
            assert_eq!(pointed(name, value), None, "{name}={value}");
        }
    }

    #[test]
    fn no_other_host_is_ever_called_the_gate() {
        for host in [
            "https://api.twilio.com.evil.example",
            "https://eviltwilio.com",
            "https://api.twilio.com@evil.example",
            "https://u:p@api.twilio.com",
            "https://evil.example\\@api.twilio.com",
            "https://api.twilio.com\\@evil.example",
            "https://evil.example#.twilio.com",
            "https://evil.example?.twilio.com",
            "https://evil.example/.twilio.com",
            "https://api.twilio.com:44x",
            "https://api.twilio.com\t",
            " https://api.twilio.com",
            "https:///api.twilio.com",
            "https://twilio.cöm",
        ] {
            assert_eq!(pointed("RecordingUrl", &format!("{host}{PATH}")), None, "{host}");
        }
    }

    #[test]
    fn pre_signed_urls_are_blanked_and_told() {
        for (name, value) in [
            ("MediaUrl0", "https://mms.twiliocdn.com/AC1/abc"),
            ("MediaUrl0", "https://media.twiliocdn.com/fax/AC1/FX1"),
            ("MediaUrl0", "https://s3-external-1.amazonaws.com/media.twiliocdn.com/AC1/abc"),
            ("RecordingUrl", "https://bucket.s3.eu-west-1.amazonaws.com/AC1/RE1"),
            ("RecordingUrl", "https://b.s3.cn-north-1.amazonaws.com.cn/AC1/RE1"),
            ("Other", "https://x.example/RE1?a=b&x-amz-signature=00"),
            ("Other", "https://x.cloudfront.net/RE1?Expires=1&Signature=00&Key-Pair-Id=K"),
            ("Other", "https://u@x.example/RE1?X-Amz-Signature=00"),
            ("Other", "https://media.twilio.com/x?X-Amz-Signature=00"),
            ("MediaUrl0", " https://mms.twiliocdn.com/AC1/abc"),
            ("MediaUrl0", "https://mms.twiliocdn.com\\AC1"),
            ("MediaUrl0", "https://mms.twiliocdn.com:443/AC1/é"),
        ] {
            let form: Form = [("A", "1"), (name, value), ("B", "2")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter()
                .collect();
            let rewritten = rewriter().form(&form);
            assert_eq!(rewritten.blanked, [name], "{value}");
            assert_eq!(rewritten.value.write(), format!("A=1&{name}=&B=2"));
            assert!(!format!("{rewritten:?}").contains("amz"));
        }
    }

    #[test]
    fn a_query_changes_only_where_it_must() {
        let query = "b=%7e~&RecordingUrl=https%3A%2F%2Fapi.twilio.com%2Fx&a=1+2&flag";
        let rewritten = rewriter().query(query).unwrap();
        let expected = "b=%7e~&RecordingUrl=https%3A%2F%2Frec.example.com%2Fx&a=1+2&flag";
        assert_eq!(rewritten.value, expected);
        assert_eq!(rewriter().query("").unwrap().value, "");
    }

    #[test]
    fn json_changes_only_where_it_must() {
        let text = r#"{ "n": 1.50e+2, "k\"ey": "a\u00e9\\", "data": [ {"RecordingUrl" : "https:\/\/api.twilio.com\/x"},
            "https://api.twilio.com/x", {"deep": ["https://api.twilio.com/2010-04-01/Recordings/RE1"]}],
            "MediaUrl0": ["https://api.twilio.com/y", "https://mms.twiliocdn.com/z"], "t": "https://api.twilio.com/x" }"#;
        let expected = r#"{ "n": 1.50e+2, "k\"ey": "a\u00e9\\", "data": [ {"RecordingUrl" : "https://rec.example.com/x"},
            "https://api.twilio.com/x", {"deep": ["https://rec.example.com/2010-04-01/Recordings/RE1"]}],
            "MediaUrl0": ["https://rec.example.com/y", ""], "t": "https://api.twilio.com/x" }"#;
        let rewritten = rewriter().json(text).unwrap();
        assert_eq!(rewritten.value, expected);
        assert_eq!(rewritten.blanked, ["MediaUrl0"]);
        for bad in ["", "{", "\"", r#"{"a":"b}"#, "{'a':1}", &"[".repeat(1000)] {
            assert_eq!(rewriter().json(bad), Err(NotJson), "{bad}");
        }
        assert_eq!(
            rewriter().json(r#""https://api.twilio.com/Recordings/""#).unwrap().value,
            r#""https://api.twilio.com/Recordings/""#
        );
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(serde_json::Value::from),
            any::<bool>().prop_map(serde_json::Value::from),
            ".{0,12}".prop_map(serde_json::Value::from),
            Just(serde_json::Value::from("https://api.twilio.com/x")),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                prop::collection::hash_map("[a-z\"\\\\:,{}]{0,4}|RecordingUrl", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_without_media_stays_to_the_byte(value in any_json()) {
            let text = value.to_string().replace("RecordingUrl", "Url");
            prop_assert_eq!(rewriter().json(&text).unwrap().value, text);
        }

        #[test]
        fn json_changes_where_a_walk_over_its_values_would(value in any_json()) {
            fn walk(value: &mut serde_json::Value, name: &str) {
                match value {
                    serde_json::Value::String(text) if is_named(name) => {
                        *text = text.replace("https://api.twilio.com", GATE);
                    }
                    serde_json::Value::Array(members) => {
                        for member in members {
                            walk(member, name);
                        }
                    }
                    serde_json::Value::Object(members) => {
                        for (name, member) in members {
                            walk(member, name);
                        }
                    }
                    _ => {}
                }
            }
            let written = rewriter().json(&value.to_string()).unwrap().value;
            let written: serde_json::Value = serde_json::from_str(&written).unwrap();
            let mut walked = value;
            walk(&mut walked, "");
            prop_assert_eq!(written, walked);
        }

        #[test]
        fn any_text_is_rewritten_or_refused(text in "\\PC{0,60}", name in "RecordingUrl|x") {
            let _ = rewriter().json(&text);
            let _ = rewriter().query(&text);
            let _ = rewriter().fate(&name, &text);
        }
    }
}
