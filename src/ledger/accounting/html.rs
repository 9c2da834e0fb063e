//! The accounting as a page to read, to print and to keep: no script, nothing from elsewhere.
//!
//! Every text goes through [`Page::text`], which is the only way from a value into the page.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::words::{self, is_hidden};
use super::{Accounting, Item};

const STYLE: &str = include_str!("page.css");

/// What lets a browser take the style of the page and no other (CSP).
pub(super) fn style_source() -> String {
    let digest = digest(&SHA256, format!("\n{STYLE}").as_bytes());
    format!("'sha256-{}'", STANDARD.encode(digest))
}

/// A page under way.
struct Page(String);

impl Page {
    /// Markup, which is always ours.
    fn raw(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// Text, which may be anybody's: escaped for content and for quoted attributes alike.
    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(' '),
                c if is_hidden(c) => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
    }

    /// An element with text.
    fn element(&mut self, open: &'static str, text: &str, close: &'static str) {
        self.raw(open);
        self.text(text);
        self.raw(close);
    }
}

pub(super) fn write(accounting: &Accounting) -> String {
    let mut page = Page(String::new());
    page.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ");
    page.raw("style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.raw("<meta name=\"color-scheme\" content=\"light dark\">\n");
    page.raw("<meta name=\"referrer\" content=\"no-referrer\">\n");
    page.raw("<meta name=\"robots\" content=\"noindex\">\n");
    page.raw("<title>");
    page.text(accounting.title());
    page.raw(": ");
    page.text(&accounting.head.person);
    page.raw("</title>\n<style>\n");
    page.raw(STYLE);
    page.raw("</style>\n</head>\n<body>\n<main>\n<header>\n");
    page.element("<p class=\"from\">", &accounting.head.organisation, "</p>\n");
    page.element("<h1>", accounting.title(), "</h1>\n");
    page.raw("<dl>\n");
    for (name, value) in accounting.particulars() {
        page.element("<div><dt>", name, "</dt>");
        page.element("<dd>", &value, "</dd></div>\n");
    }
    page.raw("</dl>\n</header>\n");
    page.element("<p class=\"summary\">", &accounting.summary(), "</p>\n");
    if !accounting.items.is_empty() {
        table(&mut page, accounting);
    }
    if let Some(held) = &accounting.held {
        self::held(&mut page, held);
    }
    page.raw("<footer>\n");
    for note in accounting.notes() {
        page.element("<p>", note, "</p>\n");
    }
    page.raw("</footer>\n</main>\n</body>\n</html>\n");
    page.0
}

/// What is held beside that.
fn held(page: &mut Page, held: &[String]) {
    page.raw("<section class=\"held\">\n<h2>What is held</h2>\n");
    page.raw("<ul>\n");
    for one in held {
        page.element("<li>", one, "</li>\n");
    }
    page.raw("</ul>\n</section>\n");
}

/// The roles say that it is a table also where the style makes cards of its rows.
fn table(page: &mut Page, accounting: &Accounting) {
    page.raw("<table role=\"table\">\n<caption>Disclosures, the earliest first</caption>\n");
    page.raw("<thead role=\"rowgroup\"><tr role=\"row\">");
    for name in ["Date", "What was disclosed", "To whom", "Why"] {
        page.element("<th scope=\"col\" role=\"columnheader\">", name, "</th>");
    }
    page.raw("</tr></thead>\n<tbody role=\"rowgroup\">\n");
    for item in &accounting.items {
        row(page, accounting, item);
    }
    page.raw("</tbody>\n</table>\n");
}

fn row(page: &mut Page, accounting: &Accounting, item: &Item) {
    let line = &item.line;
    page.raw("<tr role=\"row\"><th scope=\"row\" role=\"rowheader\"><time datetime=\"");
    page.text(&line.at.to_string());
    page.element("\"><span>", &words::day(line.at), "</span> ");
    page.element("<span>", &words::minute(line.at), "</span></time></th>\n");

    page.raw("<td role=\"cell\" data-name=\"What was disclosed\">");
    page.element("<p>", &words::done(item), "</p>");
    page.element("<p class=\"more\">", &words::call(line), "</p>");
    page.element("<p class=\"more sid\">", &words::recording(line), "</p>");
    if let Some(ending) = words::ending(item) {
        page.element("<p class=\"note\">", &ending, "</p>");
    }

    page.raw("</td>\n<td role=\"cell\" data-name=\"To whom\">");
    page.element("<p>", &accounting.recipient(line), "</p>");
    if accounting.is_full() {
        page.element("<p class=\"more\">Asked by <bdi>", &words::caller(line), "</bdi></p>");
    }

    page.raw("</td>\n<td role=\"cell\" data-name=\"Why\">");
    page.element("<p>", &line.purpose_plain, "</p>");
    if let Some((quote, place)) = words::promise(line) {
        page.raw("<blockquote>");
        page.element("<p>\u{201c}<bdi>", quote, "</bdi>\u{201d}</p>");
        page.element("<p class=\"more\">", &place, "</p></blockquote>");
    }
    page.raw("</td></tr>\n");
}
