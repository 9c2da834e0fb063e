//! The oldest API's second spelling: what `.json` says, as `.xml` says it.
//!
//! In: the JSON of a resource or of a page of a list, and the path it was asked for at. Out: the
//! same as XML, in the manner of the samples in Twilio's older pages: element names in camel case,
//! the paging as attributes. Text must come out escaped.

use serde_json::Value;

use super::answer::escaped;

/// The document for a path that ends in `.xml`.
pub(super) fn document(path: &str, json: &Value) -> String {
    let mut parts = path.trim_end_matches(".xml").rsplit('/');
    let (leaf, collection) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let mut out = String::from("<?xml version='1.0' encoding='UTF-8'?>\n<TwilioResponse>");
    match json.as_object().and_then(|members| members.values().find_map(Value::as_array)) {
        Some(items) if json.get("page").is_some() => list(&mut out, leaf, json, items),
        _ => element(&mut out, singular(collection), json),
    }
    out.push_str("</TwilioResponse>");
    out
}

fn list(out: &mut String, leaf: &str, json: &Value, items: &[Value]) {
    // Media has no plural.
    let name = if leaf == "Media" { "MediaList" } else { leaf };
    out.push('<');
    out.push_str(name);
    for (attribute, member) in [
        ("page", "page"),
        ("pagesize", "page_size"),
        ("start", "start"),
        ("end", "end"),
        ("uri", "uri"),
        ("firstpageuri", "first_page_uri"),
        ("previouspageuri", "previous_page_uri"),
        ("nextpageuri", "next_page_uri"),
    ] {
        let value = json.get(member).map(text).unwrap_or_default();
        out.push_str(&format!(" {attribute}=\"{}\"", escaped(&value)));
    }
    out.push('>');
    for item in items {
        element(out, singular(leaf), item);
    }
    out.push_str(&format!("</{name}>"));
}

fn element(out: &mut String, name: &str, value: &Value) {
    out.push_str(&format!("<{name}>"));
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                element(out, &camel(key), value);
            }
        }
        other => out.push_str(&escaped(&text(other))),
    }
    out.push_str(&format!("</{name}>"));
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn singular(name: &str) -> &str {
    name.strip_suffix('s').unwrap_or(name)
}

fn camel(key: &str) -> String {
    let words = key.split('_').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_become_elements_and_text_is_escaped() {
        let json = json!({"sid": "RE1", "error_code": null, "links": {"a_b": "x<&>"}, "n": 2});
        assert_eq!(
            document("/A/Recordings/RE1.xml", &json),
            "<?xml version='1.0' encoding='UTF-8'?>\n<TwilioResponse><Recording><Sid>RE1</Sid>\
             <ErrorCode></ErrorCode><Links><AB>x&lt;&amp;&gt;</AB></Links><N>2</N></Recording>\
             </TwilioResponse>"
        );
    }

    #[test]
    fn the_paging_of_a_list_is_in_attributes() {
        let json =
            json!({"page": 0, "page_size": 1, "uri": "/M?\"a&b", "media_list": [{"sid": 1}]});
        let xml = document("/A/Messages/MM1/Media.xml", &json);
        assert!(xml.contains("<MediaList page=\"0\" pagesize=\"1\""), "{xml}");
        assert!(xml.contains(" uri=\"/M?&quot;a&amp;b\""), "{xml}");
        assert!(xml.contains("><Media><Sid>1</Sid></Media></MediaList></Twilio"), "{xml}");
    }
}
