//! The document of the API as a page to read: made once, from the document itself, without a script
//! and with nothing from other hosts.

use std::fmt::{self, Display, Write};

use serde_json::Value;

/// A text of the document within HTML.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

fn text<'a>(of: &'a Value, key: &str) -> Escaped<'a> {
    Escaped(of.get(key).and_then(Value::as_str).unwrap_or_default())
}

fn members<'a>(of: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    of.get(key).and_then(Value::as_object).into_iter().flatten()
}

fn list<'a>(of: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    of.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// What a schema is, in a word or a link.
fn kind(schema: &Value) -> String {
    if let Some(name) =
        schema.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next())
    {
        let name = Escaped(name);
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        let each: Vec<String> = list(schema, key).map(kind).filter(|kind| kind != "null").collect();
        if !each.is_empty() {
            return each.join(" or ");
        }
    }
    let words: Vec<String> = list(schema, "enum")
        .filter_map(Value::as_str)
        .map(|word| format!("<code>{}</code>", Escaped(word)))
        .collect();
    if !words.is_empty() {
        return words.join(", ");
    }
    let mut types = list(schema, "type").filter_map(Value::as_str).filter(|one| *one != "null");
    let one = schema.get("type").and_then(Value::as_str).or_else(|| types.next());
    match one {
        Some("array") => {
            let items = schema.get("items").map(kind).unwrap_or_default();
            format!("list of {items}")
        }
        Some(one) => match schema.get("format").and_then(Value::as_str) {
            Some(format) => format!("{} ({})", Escaped(one), Escaped(format)),
            None => Escaped(one).to_string(),
        },
        None => "anything".to_owned(),
    }
}

fn row(out: &mut String, name: &str, schema: &Value, required: bool, about: &Value) {
    let needed = if required { "needed" } else { "" };
    let (name, kind, about) = (Escaped(name), kind(schema), text(about, "description"));
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "<tr><th scope=\"row\"><code>{name}</code></th><td>{kind}</td><td>{needed}</td><td>{about}</td></tr>"
    );
}

fn operation(out: &mut String, path: &str, method: &str, operation: &Value) {
    let id = text(operation, "operationId");
    let _ = writeln!(
        out,
        "<section id=\"{id}\">\n<h3><code>{} {}</code></h3>\n<p>{}</p>",
        Escaped(&method.to_uppercase()),
        Escaped(path),
        text(operation, "summary"),
    );
    let body = operation.pointer("/requestBody/content/application~1json/schema");
    if let Some(body) = body {
        let _ = writeln!(out, "<p>Body: {}</p>", kind(body));
    }
    let mut parameters = list(operation, "parameters").peekable();
    if parameters.peek().is_some() {
        out.push_str("<table><caption>Parameters</caption>\n");
        for one in parameters {
            let name = one.get("name").and_then(Value::as_str).unwrap_or_default();
            let required = one.get("required").and_then(Value::as_bool).unwrap_or(false);
            row(out, name, one.get("schema").unwrap_or(&Value::Null), required, one);
        }
        out.push_str("</table>\n");
    }
    out.push_str("<table><caption>Answers</caption>\n");
    for (status, answer) in members(operation, "responses") {
        let schema = members(answer, "content").find_map(|(_, content)| content.get("schema"));
        row(out, status, schema.unwrap_or(&Value::Null), false, answer);
    }
    out.push_str("</table>\n</section>\n");
}

fn schema(out: &mut String, name: &str, schema: &Value) {
    let name = Escaped(name);
    let about = text(schema, "description");
    let _ = writeln!(out, "<section id=\"{name}\">\n<h3>{name}</h3>\n<p>{about}</p>");
    let mut properties = members(schema, "properties").peekable();
    if properties.peek().is_none() {
        let _ = writeln!(out, "<p>{}</p>\n</section>", kind(schema));
        return;
    }
    out.push_str("<table>\n");
    for (name, property) in properties {
        let required = list(schema, "required").any(|one| one.as_str() == Some(name));
        row(out, name, property, required, property);
    }
    out.push_str("</table>\n</section>\n");
}

/// The page.
pub(super) fn write(told: &Value) -> String {
    let mut out = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>noticegate API</title>\n\
         <link rel=\"stylesheet\" href=\"/api/v1/docs.css\">\n</head>\n<body>\n<main>\n\
         <h1>noticegate API</h1>\n",
    );
    let about = told.pointer("/info").unwrap_or(&Value::Null);
    let _ = writeln!(
        out,
        "<p>{}</p>\n<p>For programs: <a href=\"/api/v1/openapi.json\">the same as OpenAPI 3.1</a>.</p>",
        text(about, "description")
    );
    out.push_str("<h2>Operations</h2>\n");
    for (path, methods) in members(told, "paths") {
        for (method, one) in methods.as_object().into_iter().flatten() {
            operation(&mut out, path, method, one);
        }
    }
    out.push_str("<h2>Forms</h2>\n");
    for (name, one) in told.get("components").into_iter().flat_map(|c| members(c, "schemas")) {
        schema(&mut out, name, one);
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// Its style.
pub(super) const STYLE: &str = include_str!("page.css");
