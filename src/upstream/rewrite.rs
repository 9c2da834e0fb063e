//! URLs inside Twilio's JSON: each leads to the gate, or nowhere.
//!
//! TRUST: a URL in an answer could be pre-signed, which would be a way past the gate. One that leads
//! to something the gate serves gets the gate's own origin; any other becomes null. Keys are neither
//! added nor lost, and keep their order. In what people said, a sentence may speak of a URL.

use http::Uri;
use serde_json::Value;

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
    let speaks = media.row().action == Action::Access;
    walk(value, None, &Walk { site, own, speaks });
    match media.serves() {
        Serves::Link => point(value, media, own),
        Serves::Resource => {
            // The sound of a recording stands at its own path, whoever keeps the file.
            let is_voice = media.sid().is_some_and(|sid| sid.kind() == SidKind::Recording);
            let url = value.get_mut("media_url").filter(|url| is_voice && !url.is_null());
            if let Some(url) = url {
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
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?.as_str().to_ascii_lowercase();
    if !site.is_own_host(&authority) {
        return None;
    }
    let path = uri.path_and_query()?.as_str();
    Target::parse(uri.path(), uri.query()).ok()?;
    Some(format!("{}{path}", own.origin))
}
