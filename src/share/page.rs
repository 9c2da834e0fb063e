//! The page that a browser sees behind a link.
//!
//! It says what it is, from whom, for what, under which sentence of the notice, until when and how
//! often; it plays, and when that ends it says why. Nothing comes from elsewhere, the token stands
//! in no title and no text, and every value is escaped by the template. Style and script are ours
//! and known to the browser by their hashes alone.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{MAILED_MINUTES, Portion};

const STYLE: &str = include_str!("page.css");

const SCRIPT: &str = include_str!("page.js");

/// What the page tells.
#[derive(Clone, Debug)]
pub struct Told {
    /// From whom it is.
    pub organisation: String,
    /// For whom, if they have a name.
    pub name: Option<String>,
    /// When the call began.
    pub recorded_at: Timestamp,
    /// Seconds of the recording.
    pub duration_seconds: u32,
    /// Which part.
    pub portion: Option<Portion>,
    /// Why, in plain words.
    pub purpose: String,
    /// The sentence of the notice, and the notice's title and version.
    pub clause: Option<(String, String, String)>,
    /// Until when.
    pub expires_at: Timestamp,
    /// Of how many listening sessions how many are left.
    pub uses: (u32, u32),
    /// Whether this browser is in one already.
    pub in_session: bool,
    /// Minutes of a session.
    pub session_minutes: u64,
    /// Whether it may be saved.
    pub download: bool,
}

/// What the page asks for or offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// It plays.
    Player,
    /// A password is needed; true if a wrong one was given.
    Password {
        /// A wrong one was given.
        wrong: bool,
    },
    /// A code is needed.
    Code {
        /// A wrong one was given.
        wrong: bool,
    },
    /// A code is needed that is mailed.
    Email {
        /// Where to, as far as it may be shown to who holds the link.
        to: String,
        /// What was done before.
        tried: Tried,
    },
}

/// What a visitor did before they see the page again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// Nothing.
    Nothing,
    /// They gave a wrong password or code.
    Wrong,
    /// They asked for a code, and it was mailed.
    Sent,
    /// They did so without the page's cookie.
    NoCookie,
}

/// An address that its owner recognises and nobody else learns: `j…@example.org`.
#[must_use]
pub fn masked(address: &str) -> String {
    let (local, host) = address.rsplit_once('@').unwrap_or_default();
    let first = local.chars().next().map(String::from).unwrap_or_default();
    format!("{first}…@{host}")
}

/// What the browser must know of the page's own style and script: their hashes.
#[must_use]
pub fn style_and_script() -> (String, String) {
    let hash =
        |text: &str| format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, text.as_bytes())));
    (hash(STYLE), hash(SCRIPT))
}

/// The page of a link that gives something.
#[must_use]
pub fn write(page: &Page, path: &str, told: &Told) -> String {
    let body = html! {
        h1 { "Call recording" }
        p.lead {
            @if let Some(name) = &told.name { "For " strong { (name) } ", from " } @else { "From " }
            strong { (told.organisation) } "."
        }
        @match page {
            Page::Player => (player(path, told)),
            Page::Password { wrong } => (asks(path, "Password", "This link has a password.", *wrong)),
            Page::Email { to, tried } => (mails(path, to, *tried)),
            Page::Code { wrong } => (asks(
                path,
                "Code",
                "This link goes with a code that you were given another way. It can be used once, \
                 by the first browser that gives it.",
                *wrong,
            )),
        }
        (terms(told))
    };
    whole("Call recording", &body, *page == Page::Player)
}

fn player(path: &str, told: &Told) -> Markup {
    html! {
        section.player aria-labelledby="listen" {
            h2 #listen { "Listen" }
            audio controls preload="none" controlslist=[(!told.download).then_some("nodownload")]
                src={ (path) "/listen" } aria-label="Call recording" {}
            p #state role="status" {}
            p.hint {
                @if told.in_session {
                    "You have begun to listen. You can pause, seek and listen again for "
                    (told.session_minutes) " minutes from your first start."
                } @else {
                    "Opening this page uses nothing up. Pressing play begins one of "
                    (told.uses.0) " listening " (plural(told.uses.0, "session", "sessions"))
                    " that " (plural(told.uses.0, "is", "are")) " left; it lasts "
                    (told.session_minutes) " minutes, in which you can pause, seek and listen again."
                }
            }
            @if told.download {
                p { a.button href={ (path) "/download" } download { "Save the recording" } }
            }
        }
    }
}

fn asks(path: &str, what: &str, why: &str, wrong: bool) -> Markup {
    html! {
        form method="post" action=(path) {
            p { (why) }
            @if wrong {
                p.wrong #wrong role="alert" { "That was not it. Look at what you typed, and try again." }
            }
            label for="secret" { (what) }
            input #secret name="secret" type={ @if what == "Code" { "text" } @else { "password" } }
                required maxlength="200" autocomplete="off" autocapitalize="none" spellcheck="false"
                aria-describedby=[wrong.then_some("wrong")] aria-invalid=[wrong.then_some("true")];
            button type="submit" { "Go on" }
        }
    }
}

fn mails(path: &str, to: &str, tried: Tried) -> Markup {
    html! {
        form method="post" action=(path) {
            p {
                "This link is for the owner of " strong { (to) } ". We send a code there; it is good for "
                (MAILED_MINUTES) " minutes, in this browser."
            }
            @if tried == Tried::NoCookie {
                p.wrong role="alert" {
                    "Your browser did not send this page's cookie. Allow cookies for it, and try again."
                }
            }
            input type="hidden" name="send" value="yes";
            button type="submit" {
                @if tried == Tried::Nothing { "Send me a code" } @else { "Send me another code" }
            }
        }
        @match tried {
            Tried::Sent => (asks(path, "Code", "A code is on its way to you. It may take a minute.", false)),
            Tried::Wrong => (asks(path, "Code", "Give the code of the newest mail.", true)),
            Tried::Nothing | Tried::NoCookie => {}
        }
    }
}

fn terms(told: &Told) -> Markup {
    html! {
        section aria-labelledby="about" {
            h2 #about { "What this is" }
            dl {
                dt { "Recording" }
                dd {
                    "A call of " (time(told.recorded_at)) ", " (length(u64::from(told.duration_seconds) * 1_000))
                    @if let Some(Portion { start_ms, end_ms }) = told.portion {
                        "; this link gives the part from " (length(start_ms)) " to " (length(end_ms))
                    }
                    "."
                }
                dt { "Purpose" }
                dd.sentence { (told.purpose) "." }
                @if let Some((quote, title, version)) = &told.clause {
                    dt { "Allowed by" }
                    dd { blockquote { p { (quote) } } p.source { (title) ", version of " (version) } }
                }
                dt { "Until" }
                dd { (time(told.expires_at)) "." }
                dt { "Uses left" }
                dd { (told.uses.0) " of " (told.uses.1) "." }
                dt { "Saving" }
                dd {
                    @if told.download { "You may save it for the purpose above." }
                    @else { "It is given to be listened to here, and not to be kept." }
                }
            }
        }
    }
}

/// The page of a link that gives nothing any more; `clause` is the sentence that stands against it.
#[must_use]
pub fn gone(sentence: &str, clause: Option<(&str, &str)>, entry: Option<&str>) -> String {
    let body = html! {
        h1 { "This link gives nothing" }
        p.lead { (sentence) }
        @if let Some((quote, version)) = clause {
            blockquote { p { (quote) } }
            p.source { "Privacy notice, version of " (version) }
        }
        p { "If you still need the recording, ask whoever gave you the link." }
        @if let Some(entry) = entry {
            p.source { "Reference: " (entry) }
        }
    };
    whole("Call recording", &body, false)
}

/// What programs see that look at links before people do: that there is one, and nothing of it.
#[must_use]
pub fn preview() -> String {
    let body = html! {
        h1 { "A call recording was shared" }
        p.lead { "Open this link in a browser to see what it is." }
    };
    whole("Call recording", &body, false)
}

fn whole(title: &str, body: &Markup, plays: bool) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex, nofollow";
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main { (body) }
                @if plays { script { (PreEscaped(SCRIPT)) } }
            }
        }
    }
    .into_string()
}

fn plural<'a>(number: u32, one: &'a str, many: &'a str) -> &'a str {
    if number == 1 { one } else { many }
}

fn time(at: Timestamp) -> String {
    TimeZone::UTC.to_datetime(at).strftime("%-d %B %Y, %H:%M UTC").to_string()
}

/// Minutes and seconds, with what is beyond them if there is anything.
fn length(ms: u64) -> String {
    let (minutes, seconds, rest) = (ms / 60_000, ms / 1_000 % 60, ms % 1_000);
    match rest {
        0 => format!("{minutes}:{seconds:02}"),
        rest => format!("{minutes}:{seconds:02}.{rest:03}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        Told {
            organisation: "Brambleside <Energy>".to_owned(),
            name: Some("\"><script>alert(1)</script>".to_owned()),
            recorded_at: "2026-11-03T09:15:02Z".parse().unwrap(),
            duration_seconds: 83,
            portion: Some(Portion { start_ms: 1_500, end_ms: 61_000 }),
            purpose: "Answering a request".to_owned(),
            clause: Some(("We & you.".to_owned(), "Notice".to_owned(), "2026-03-01".to_owned())),
            expires_at: "2026-12-01T00:00:00Z".parse().unwrap(),
            uses: (1, 3),
            in_session: false,
            session_minutes: 60,
            download: false,
        }
    }

    #[test]
    fn every_value_is_escaped_and_the_token_is_no_text() {
        let to = masked("<b>jo\"@example.org");
        assert_eq!(to, "<…@example.org");
        for page in [
            Page::Player,
            Page::Password { wrong: true },
            Page::Code { wrong: false },
            Page::Email { to, tried: Tried::Sent },
        ] {
            let html = write(&page, "/s/TOKEN", &told());
            assert!(!html.contains("<script>alert"), "{html}");
            assert!(html.contains("Brambleside &lt;Energy&gt;") && html.contains("We &amp; you."));
            assert!(html.contains("1:23") && html.contains("0:01.500 to 1:01"));
            let text = html.replace("\"/s/TOKEN/listen\"", "").replace("\"/s/TOKEN\"", "");
            assert!(!text.contains("TOKEN"), "only where it is needed");
        }
        assert!(write(&Page::Player, "/s/T", &told()).contains("nodownload"));
        let may = Told { download: true, ..told() };
        assert!(write(&Page::Player, "/s/T", &may).contains("/s/T/download"));
        assert!(!preview().contains("Brambleside"));
        assert!(gone("Over.", Some(("A & b", "v")), Some("id")).contains("A &amp; b"));
    }

    /// A browser runs what it knows by these hashes and nothing else: the text must stand in the
    /// page as it is hashed.
    #[test]
    fn style_and_script_stand_in_the_page_as_they_are_hashed() {
        let html = write(&Page::Player, "/s/T", &told());
        assert!(html.contains(&format!("<style>{STYLE}</style>")));
        assert!(html.contains(&format!("<script>{SCRIPT}</script>")));
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</"));
    }
}
