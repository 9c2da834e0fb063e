//! URLs inside Twilio's JSON: each leads to the gate, or nowhere.
//!
//! TRUST: a URL in an answer could be pre-signed, which would be a way past the gate. One that leads
//! to something the gate serves gets the gate's own origin; any other becomes null. Keys are neither
//! added nor lost, and keep their order. In what people said, a sentence may speak of a URL.

use http::Uri;
use serde_json::Value;

use super::UpstreamError;
use super::account::Site;
use crate::media::{Action, MediaRef, Serves, SidKind, Target};
use crate::purpose::Purpose;

/// How the gate writes its own URLs for one request.
#[derive(Clone, Copy)]
pub struct Own<'a> {
    /// `https://` and the host that was asked.
    pub origin: &'a str,
    /// The purpose, if it stood in the query: the next page is asked for with it, too.
    pub purpose: Option<&'a Purpose>,
    /// Makes a ticket for what a link leads to: whoever follows it need not prove themselves again.
    pub ticket: &'a (dyn Fn(&MediaRef) -> String + Sync),
}

impl std::fmt::Debug for Own<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Own").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Own<'_> {
    /// A URL that carries its own authorisation.
    pub(super) fn link(&self, media: &MediaRef) -> String {
        media.url(self.origin, &[("ticket", &(self.ticket)(media))])
    }

    fn with_purpose(&self, mut url: String) -> String {
        if let Some(purpose) = self.purpose {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str("purpose=");
            url.push_str(purpose.as_str());
        }
        url
    }
}

/// The keys under which Twilio gives a URL that needs no credential.
const LINKS: [&str; 4] = ["redirect_to", "media_url", "location", "content_direct_temporary"];

/// Rewrites a document that was asked for.
pub(super) fn rewrite(value: &mut Value, media: &MediaRef, site: &Site, own: &Own<'_>) {
    let speaks = media.row().action == Action::Access && media.serves() != Serves::Link;
    let has_media = value.get("media_url").is_some_and(|url| !url.is_null());
    walk(value, None, &Walk { site, own, speaks });
    match media.serves() {
        Serves::Link => point(value, media, own),
        Serves::Resource => {
            // The sound of a recording stands at its own path, whoever keeps the file.
            let is_voice = media.sid().is_some_and(|sid| sid.kind() == SidKind::Recording);
            if let Some(url) = value.get_mut("media_url").filter(|_| is_voice && has_media) {
                let path = media.to_string();
                let path = path.strip_suffix(".json").unwrap_or(&path);
                *url = Value::String(format!("{}{path}", own.origin));
            }
            let links = media.content(None).zip(value.get_mut("links"));
            if let Some((content, links)) = links {
                point(links, &content, own);
            }
        }
        _ => {}
    }
}

/// Puts links to `media`'s content in the place of Twilio's.
fn point(value: &mut Value, media: &MediaRef, own: &Own<'_>) {
    let content = |part| match media.serves() {
        Serves::Link => media.content(part),
        _ => Some(*media),
    };
    let Some(fields) = value.as_object_mut() else { return };
    for (name, field) in fields.iter_mut() {
        if LINKS.contains(&name.as_str())
            && let Some(content) = content(None)
        {
            *field = Value::String(own.link(&content));
        }
        if let Some(several) = field.as_array_mut().filter(|_| name == "locations") {
            for (part, field) in several.iter_mut().enumerate() {
                let content = u8::try_from(part).ok().and_then(|part| content(Some(part)));
                *field = content.map_or(Value::Null, |content| own.link(&content).into());
            }
        }
    }
}

struct Walk<'a> {
    site: &'a Site,
    own: &'a Own<'a>,
    /// Whether the document holds what people said, who may speak of a URL.
    speaks: bool,
}

fn walk(value: &mut Value, key: Option<&str>, how: &Walk<'_>) {
    let Walk { site, own, speaks } = how;
    match value {
        Value::String(text) if text.contains("://") => {
            if text.contains(char::is_whitespace) && *speaks {
                return;
            }
            let is_page = key.is_some_and(|key| key.ends_with("page_url"));
            let home = home(text, site, own);
            let home = if is_page { home.map(|url| own.with_purpose(url)) } else { home };
            *value = home.map_or(Value::Null, Value::String);
        }
        Value::String(text) if key.is_some_and(|key| key.ends_with("page_uri")) => {
            *text = own.with_purpose(std::mem::take(text));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, key, how)),
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(name, field)| walk(field, Some(name), how));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The gate's URL for one of Twilio's that it serves.
fn home(url: &str, site: &Site, own: &Own<'_>) -> Option<String> {
    served(url, site).map(|path| format!("{}{path}", own.origin))
}

/// The path and query of one of Twilio's URLs, if the gate serves it.
fn served(url: &str, site: &Site) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority().map(|authority| authority.as_str().to_ascii_lowercase());
    if authority.is_some_and(|authority| !site.is_own_host(&authority)) {
        return None;
    }
    let path = uri.path_and_query()?.as_str();
    Target::parse(uri.path(), uri.query()).ok()?;
    Some(path.to_owned())
}

/// Looks where a list goes on: without its next page, it would look whole and would not be.
///
/// # Errors
/// [`UpstreamError::Unusable`] if the gate does not serve that page.
pub(super) fn check_next_page(list: &Value, site: &Site) -> Result<(), UpstreamError> {
    let next = list.pointer("/meta/next_page_url").or_else(|| list.get("next_page_uri"));
    match next.and_then(Value::as_str).is_none_or(|url| served(url, site).is_some()) {
        true => Ok(()),
        false => Err(UpstreamError::Unusable("its next page is not served here")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::config;
    use crate::upstream::Accounts;

    const AC: &str = "AC00000000000000000000000000000001";
    const RE: &str = "RE0123456789abcdef0123456789abcdef";
    const ORIGIN: &str = "https://gate.example";

    fn site() -> Site {
        let settings: config::Account = toml::from_str(&format!("sid = '{AC}'")).unwrap();
        Accounts::new(&[settings]).unwrap().find("gate.example", None, None).unwrap()
    }

    fn media(path: &str) -> MediaRef {
        Target::parse(path, None).unwrap().media
    }

    fn rewritten(mut json: Value, path: &str) -> Value {
        let purpose: Purpose = "quality-monitoring".parse().unwrap();
        let ticket = |media: &MediaRef| format!("ticket-for-{}", media.row().form);
        let own = Own { origin: ORIGIN, purpose: Some(&purpose), ticket: &ticket };
        rewrite(&mut json, &media(path), &site(), &own);
        json
    }

    fn recording() -> String {
        format!("/2010-04-01/Accounts/{AC}/Recordings/{RE}.json")
    }

    #[test]
    fn a_url_leads_to_the_gate_or_nowhere() {
        let path = "/v1/Recordings/RT0123456789abcdef0123456789abcdef";
        for host in ["video.twilio.com", "VIDEO.twilio.com", "video.ie1.twilio.com:443"] {
            let json = rewritten(json!({ "url": format!("https://{host}{path}") }), path);
            assert_eq!(json["url"], format!("{ORIGIN}{path}"), "{host}");
        }
        for host in
            ["twilio.com.evil.example", "evil.example", "eviltwilio.com", "a@evil.example", "[::1]"]
        {
            let json = rewritten(json!({ "url": format!("https://{host}{path}") }), path);
            assert_eq!(json["url"], Value::Null, "{host}");
        }
        for other in [
            "https://video.twilio.com/v1/Rooms/RM0123456789abcdef0123456789abcdef/Participants",
            "https://video.twilio.com/v1/Recordings/RT1",
            "https://mcs.us1.twilio.com/v1/Services/x?sig=1",
            "see https://bucket.s3.amazonaws.com/x?X-Amz-Signature=1",
            "://",
        ] {
            assert_eq!(rewritten(json!({ "a": [other] }), path), json!({ "a": [null] }), "{other}");
        }
    }

    #[test]
    fn in_what_was_said_a_sentence_may_speak_of_a_url() {
        let said = "look at https://example.com for it";
        let document =
            json!({ "sentences": [{ "transcript": said, "url": "https://a.example/x" }] });
        let path = "/v2/Transcripts/GT0123456789abcdef0123456789abcdef/Sentences";
        let expected = json!({ "sentences": [{ "transcript": said, "url": null }] });
        assert_eq!(rewritten(document, path), expected);
    }

    #[test]
    fn pages_keep_the_purpose_and_nothing_else_gets_it() {
        let list = format!("/2010-04-01/Accounts/{AC}/Recordings.json");
        let page = json!({ "next_page_uri": format!("{list}?Page=1"), "previous_page_uri": null,
            "uri": list });
        let told = rewritten(page, &list);
        assert_eq!(told["next_page_uri"], format!("{list}?Page=1&purpose=quality-monitoring"));
        assert_eq!((&told["previous_page_uri"], &told["uri"]), (&Value::Null, &json!(list)));
        let url = "https://video.twilio.com/v1/Recordings";
        let page = json!({ "meta": { "first_page_url": url, "url": url } });
        let told = rewritten(page, "/v1/Recordings");
        let first = format!("{ORIGIN}/v1/Recordings?purpose=quality-monitoring");
        assert_eq!(told["meta"]["first_page_url"], first);
        assert_eq!(told["meta"]["url"], format!("{ORIGIN}/v1/Recordings"));
    }

    #[test]
    fn what_leads_to_bytes_gets_a_ticket() {
        let path = "/v2/Transcripts/GT0123456789abcdef0123456789abcdef/OperatorResults/Encrypted";
        let both = json!({ "locations": ["https://a.example/1", "https://a.example/2"] });
        let link = |part| format!("{ORIGIN}{path}/Content?Part={part}&ticket=ticket-for-file");
        assert_eq!(rewritten(both, path), json!({ "locations": [link(0), link(1)] }));
        let told = rewritten(json!({ "media_url": "https://bucket.example/x" }), &recording());
        let own = recording().replace(".json", "");
        assert_eq!(told["media_url"], format!("{ORIGIN}{own}"));
        assert_eq!(rewritten(json!({ "media_url": null }), &recording())["media_url"], Value::Null);
    }

    #[test]
    fn a_list_that_goes_on_elsewhere_is_no_list() {
        let list = format!("/2010-04-01/Accounts/{AC}/Recordings.json");
        let at = |next: Value| check_next_page(&next, &site()).is_ok();
        assert!(at(json!({})) && at(json!({ "next_page_uri": null })));
        assert!(at(json!({ "next_page_uri": format!("{list}?Page=1&PageToken=PARE1") })));
        assert!(at(
            json!({ "meta": { "next_page_url": "https://video.twilio.com/v1/Recordings" } })
        ));
        assert!(!at(json!({ "next_page_uri": format!("{list}?Surprise=1") })));
        assert!(!at(json!({ "next_page_uri": "" })));
        assert!(!at(json!({ "meta": { "next_page_url": "https://evil.example/v1/Recordings" } })));
        assert!(!at(json!({ "meta": { "next_page_url": "https://video.twilio.com/v9" } })));
    }

    /// JSON with URLs of every sort in it, good and bad.
    fn any_json() -> impl Strategy<Value = Value> {
        let host = prop_oneof![
            Just("video.twilio.com".to_owned()),
            Just("evil.example".to_owned()),
            "[a-z@:.]{0,12}",
        ];
        let path = prop_oneof![
            Just("/v1/Recordings/RT0123456789abcdef0123456789abcdef/Media".to_owned()),
            Just(recording()),
            "[ -~]{0,12}",
        ];
        let url = ("[ a-zA-Z]{0,6}", host, path).prop_map(|(s, h, p)| format!("{s}://{h}{p}"));
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            url.prop_map(Value::from),
        ];
        let key = prop_oneof![
            "[a-z_]{1,8}",
            prop::sample::select(vec![
                "media_url",
                "links",
                "redirect_to",
                "location",
                "locations",
                "next_page_uri",
                "content_direct_temporary",
                "first_page_url",
            ])
            .prop_map(str::to_owned),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((key.clone(), inner), 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// The keys, in their order, at all depths.
    fn keys(json: &Value) -> Vec<String> {
        match json {
            Value::Array(items) => items.iter().flat_map(keys).collect(),
            Value::Object(fields) => {
                let each = fields.iter();
                each.flat_map(|(key, value)| [vec![key.clone()], keys(value)].concat()).collect()
            }
            _ => Vec::new(),
        }
    }

    fn texts(json: &Value) -> Vec<&str> {
        match json {
            Value::String(text) => vec![text],
            Value::Array(items) => items.iter().flat_map(texts).collect(),
            Value::Object(fields) => fields.values().flat_map(texts).collect(),
            _ => Vec::new(),
        }
    }

    proptest! {
        #[test]
        fn no_url_but_the_gates_is_left_in_a_description(
            json in any_json(),
            path in prop::sample::select(vec![
                recording(),
                format!("/2010-04-01/Accounts/{AC}/Recordings.json"),
                "/v1/Services/IS0123456789abcdef0123456789abcdef/Media/\
                 ME0123456789abcdef0123456789abcdef".to_owned(),
            ]),
        ) {
            let told = rewritten(json.clone(), &path);
            for text in texts(&told) {
                let rest = text.strip_prefix(ORIGIN).unwrap_or(text);
                prop_assert!(!rest.contains("://"), "{text}");
            }
        }

        /// But for what stands below a key that leads to bytes, which becomes one URL.
        #[test]
        fn keys_are_neither_added_nor_lost(json in any_json(), is_list: bool) {
            let path = if is_list { "/v1/Recordings" } else { "/v1/Compositions" };
            prop_assert_eq!(keys(&rewritten(json.clone(), path)), keys(&json));
        }
    }
}
