//! What is around every page: its head, the way to the others, who is signed in.

use axum::response::Html;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::super::Desk;
use super::super::visitor::Visitor;
use super::assets::{SCRIPT_PATH, STYLE_PATH};
use crate::policy::{AdminAction, Whose};

/// A part of the console that has a place in the bar at the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The access log.
    Log,
    /// What somebody should look at.
    Reviews,
    /// The shares.
    Shares,
    /// Single people.
    People,
    /// The versions of the notice.
    Notices,
    /// Questions that nobody asked yet.
    WhatIf,
    /// Drafts of the notice.
    Drafts,
}

impl Part {
    const ALL: [Self; 7] = [
        Self::Log,
        Self::Reviews,
        Self::Shares,
        Self::People,
        Self::Notices,
        Self::WhatIf,
        Self::Drafts,
    ];

    /// Its name, its page, and what its visitor must be permitted to do.
    fn about(self) -> (&'static str, &'static str, AdminAction) {
        match self {
            Self::Log => ("Access log", "/log", AdminAction::ReadLedger),
            Self::Reviews => ("Reviews", "/reviews", AdminAction::ReadLedger),
            Self::Shares => ("Shares", "/shares", AdminAction::ReadLedger),
            Self::People => ("People", "/people", AdminAction::ReadSubject),
            Self::Notices => ("Notice", "/notices", AdminAction::ReadRegister),
            Self::WhatIf => ("What if", "/what-if", AdminAction::ReadRegister),
            Self::Drafts => ("Drafts", "/drafts", AdminAction::Author),
        }
    }
}

/// A page. Its title tells nothing of people: a browser keeps it in its history.
pub(super) fn page(
    desk: &Desk,
    visitor: &Visitor,
    part: Option<Part>,
    title: &str,
    body: &Markup,
) -> Html<String> {
    let policies = desk.policies();
    let may = |action| policies.may(&visitor.caller, action, Whose::Others).is_ok();
    let bar = html! {
        nav aria-label="Parts of the console" {
            @for one in Part::ALL {
                @let (name, path, action) = one.about();
                @if may(action) || (one == Part::Drafts && may(AdminAction::Approve)) {
                    a href=(path) aria-current=[(part == Some(one)).then_some("page")] { (name) }
                }
            }
        }
        div.who {
            span { (visitor.caller.id) }
            @if visitor.has_session() {
                form method="post" action="/logout" {
                    (visitor.form_token())
                    button { "Sign out" }
                }
            }
        }
    };
    around(title, &html! {}, &bar, body)
}

/// A page for who has not said who they are.
pub(super) fn bare(title: &str, head: &Markup, body: &Markup) -> Html<String> {
    around(title, head, &html! {}, body)
}

fn around(title: &str, head: &Markup, bar: &Markup, body: &Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                meta name="color-scheme" content="light dark";
                title { (title) " · noticegate" }
                link rel="stylesheet" href=(STYLE_PATH.as_str());
                script src=(SCRIPT_PATH.as_str()) defer {}
                (head)
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.bar {
                    a.brand href="/" { "noticegate" }
                    (bar)
                }
                main #main { (body) }
            }
        }
    };
    Html(page.into_string())
}

/// A day, in UTC.
pub(super) fn day(at: Timestamp) -> Markup {
    let (shown, exact) = (at.strftime("%d %b %Y").to_string(), at.strftime("%Y-%m-%d").to_string());
    html! { time datetime=(exact) { (shown) } }
}

/// A time, to the second, in UTC, for people and for programs.
pub(super) fn time(at: Timestamp) -> Markup {
    let shown = at.strftime("%d %b %Y %H:%M:%S").to_string();
    let exact = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    html! { time datetime=(exact) { (shown) } }
}
