//! Who comes by a link: a browser, a program, or something that looks at links before people do.
//!
//! TRUST: the token, the cookies and the form of a password stop being text here. A look at a link
//! uses nothing up, whoever looks; only sound does.

use std::net::IpAddr;

use http::header::{ACCEPT, AUTHORIZATION, COOKIE, HeaderMap, HeaderName, USER_AGENT};
use http::request::Parts;
use http::{Method, Response};
use http_body::Body;

use super::super::{No, Worker};
use super::{About, Not, whole};
use crate::asked::{self, BadRequest, Verb};
use crate::identity::Peer;
use crate::ledger::ShareKey;
use crate::media::Conditions;
use crate::respond::{CallerForm, ErrorForm, Problem, SharePage, share_page};
use crate::share::{Client, SecretText, Share, Token, TokenDigest, Tried, gone, preview};
use crate::stream::ReplyBody;

/// Programs that look at links that are sent, so that a chat or a mail shows what is behind them.
/// They are given a page that tells nothing.
const PREVIEWS: [&str; 24] = [
    "facebookexternalhit",
    "facebot",
    "slackbot",
    "twitterbot",
    "linkedinbot",
    "whatsapp",
    "telegrambot",
    "discordbot",
    "skypeuripreview",
    "bingpreview",
    "googlebot",
    "google-pagerenderer",
    "googleimageproxy",
    "bingbot",
    "applebot",
    "embedly",
    "pinterest",
    "redditbot",
    "microsoft office",
    "microsoftpreview",
    "outlook-safelinks",
    "barracuda",
    "mimecast",
    "proofpoint",
];

const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
const PURPOSE: HeaderName = HeaderName::from_static("purpose");
const X_PURPOSE: HeaderName = HeaderName::from_static("x-purpose");
const X_MOZ: HeaderName = HeaderName::from_static("x-moz");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// What is behind a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// The page, or for a program the sound.
    Link,
    /// The sound, to be played.
    Listen,
    /// The sound, to be saved.
    Download,
}

/// A request by a link.
pub(super) struct Visit<'a> {
    pub(super) token: Token,
    pub(super) digest: TokenDigest,
    pub(super) behind: Behind,
    pub(super) verb: Verb,
    pub(super) method: &'static str,
    pub(super) host: &'a str,
    pub(super) agent: Option<String>,
    pub(super) headers: &'a HeaderMap,
    pub(super) peer: &'a Peer,
    pub(super) form: CallerForm,
}

impl Worker {
    /// Answers a request by a link.
    pub(super) async fn visit<B>(
        &self,
        parts: &Parts,
        body: B,
        peer: &Peer,
        form: CallerForm,
    ) -> Response<ReplyBody>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let form = CallerForm { errors: ErrorForm::Json, ..form };
        let wants_page = accepts_html(&parts.headers);
        if is_preview(&parts.headers) {
            return match wants_page || parts.uri.path().matches('/').count() == 2 {
                true => page_of(preview(), form),
                false => Problem::share_preview().into_response(form, None),
            };
        }
        let method = if parts.method == Method::POST { "POST" } else { "GET" };
        let answered = self.behind(parts, body, peer, form).await;
        match answered {
            Ok(response) => response,
            Err(not) => {
                let (problem, record) = self.explain_not(not, method, peer.address.ip());
                let (problem, entry) = self.put_refusal(problem, record).await;
                if !wants_page {
                    return problem.into_response(form, entry);
                }
                let named = entry.map(|entry| entry.to_string());
                let html = gone(problem.sentence(), problem.quoted(), named.as_deref());
                problem.into_page(SharePage { html, ..SharePage::default() }, form, entry)
            }
        }
    }

    async fn behind<B>(
        &self,
        parts: &Parts,
        body: B,
        peer: &Peer,
        form: CallerForm,
    ) -> Result<Response<ReplyBody>, Not>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let host = asked::head(parts, &self.gate.rules)?;
        let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        let agent = agent.map(str::to_owned);
        let (verb, method) = match parts.method {
            Method::GET => (Verb::Get, "GET"),
            Method::HEAD => (Verb::Head, "HEAD"),
            Method::POST => (Verb::Get, "POST"),
            _ => return Err(BadRequest::ShareMethod.into()),
        };
        let posted = match (method, body.is_end_stream()) {
            ("POST", _) => Some(whole(body).await?),
            (_, true) => None,
            (_, false) => return Err(BadRequest::Body.into()),
        };
        let unknown = || {
            let record =
                self.refused_link(None, "no-such-link", peer.address.ip(), (method, agent.clone()));
            Not::problem(Problem::no_such_link(), record)
        };
        let (token, behind) = read_path(parts.uri.path(), parts.uri.query()).ok_or_else(unknown)?;
        let digest = token.digest();
        let (found, seen) = self.find(&digest).await?;
        let share = found.ok_or_else(unknown)?;
        self.gate.say_expired(&share).await;
        let visit = Visit {
            token,
            digest,
            behind,
            verb,
            method,
            host,
            agent: agent.clone(),
            headers: &parts.headers,
            peer,
            form,
        };
        if let Some(posted) = posted {
            if form_urlencoded::parse(&posted).any(|(name, _)| name == "send") {
                return self.mail_code(&visit, &share).await;
            }
            let secret = form_urlencoded::parse(&posted).find(|(name, _)| name == "secret");
            let secret = secret.and_then(|(_, secret)| SecretText::read(secret.trim()));
            return self.take_secret(&visit, &share, secret).await;
        }
        let is_page = match behind {
            Behind::Link => accepts_html(&parts.headers),
            // A browser that would show the bare sound, with its menu to save it.
            Behind::Listen => !share.terms.download && opens_document(&parts.headers),
            Behind::Download => false,
        };
        match is_page {
            true => self.show(&visit, &share, Tried::Nothing).await,
            false => {
                let conditions = Conditions::read(&parts.headers).map_err(BadRequest::Condition)?;
                self.listen(&visit, (share, seen), conditions).await
            }
        }
    }

    /// The share of a link, and up to which place it is known.
    pub(super) async fn find(&self, digest: &TokenDigest) -> Result<(Option<Share>, u64), Not> {
        let found = self.gate.ledger.shares(ShareKey::Link(digest)).await;
        let (found, seen) = found.map_err(|error| Not::problem(Problem::facts(&error), None))?;
        Ok((found.into_iter().next(), seen))
    }
}

impl Visit<'_> {
    pub(super) fn address(&self) -> IpAddr {
        self.peer.address.ip()
    }

    /// The path of the link: it holds the token, and goes into the page alone.
    pub(super) fn path(&self) -> String {
        format!("/s/{}", self.token.text())
    }

    /// A cookie of the share's.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        let all = self.headers.get_all(COOKIE).iter();
        let pairs = all.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
        let mut named = pairs.filter_map(|pair| pair.trim().split_once('='));
        named.find(|(given, _)| *given == name).map(|(_, value)| value)
    }

    /// Who it is, as far as it can be told.
    pub(super) fn client<'a>(&'a self, browser: Option<&'a str>) -> Client<'a> {
        match browser {
            Some(id) => Client::Browser(id),
            None => Client::Program {
                address: self.address(),
                agent: self.agent.as_deref().unwrap_or_default(),
            },
        }
    }

    /// The password or code that a program gives, as basic authentication.
    pub(super) fn basic(&self) -> Option<SecretText> {
        use base64::Engine;
        use base64::engine::general_purpose::STANDARD;
        let value = self.headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, pair) = value.split_once(' ')?;
        let pair = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(pair.trim()))?;
        let pair = String::from_utf8(pair.ok()?).ok()?;
        SecretText::read(pair.split_once(':')?.1)
    }

    /// True if it is no browser.
    pub(super) fn is_program(&self) -> bool {
        !self.headers.contains_key(FETCH_MODE) && !accepts_html(self.headers)
    }

    /// What a refusal is about.
    pub(super) fn about(&self, share: &Share) -> About {
        About { share: Some(share.id), stated: Some(share.question.stated.clone()) }
    }

    pub(super) fn no(&self, share: &Share, no: No) -> Not {
        Not::no(no, self.about(share))
    }
}

/// The token and what is asked for behind it. Nothing else may stand in the path.
fn read_path(path: &str, query: Option<&str>) -> Option<(Token, Behind)> {
    let rest = path.strip_prefix("/s/")?;
    let (token, behind) = match rest.split_once('/') {
        None => (rest, Behind::Link),
        Some((token, "listen")) => (token, Behind::Listen),
        Some((token, "download")) => (token, Behind::Download),
        Some(_) => return None,
    };
    // What mail programs add to links (`utm_...`) does not matter; it is not looked at.
    let _ = query;
    Some((Token::parse(token)?, behind))
}

fn accepts_html(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    all.any(|accept| accept.to_ascii_lowercase().contains("text/html"))
}

fn opens_document(headers: &HeaderMap) -> bool {
    headers.get(FETCH_DEST).is_some_and(|to| to == "document" || to == "iframe")
}

/// Whether something looks at the link before a person does.
fn is_preview(headers: &HeaderMap) -> bool {
    let says = |name: &HeaderName, word: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.to_ascii_lowercase().contains(word))
    };
    says(&SEC_PURPOSE, "prefetch")
        || says(&SEC_PURPOSE, "prerender")
        || says(&PURPOSE, "prefetch")
        || says(&X_PURPOSE, "preview")
        || says(&X_MOZ, "prefetch")
        || PREVIEWS.iter().any(|name| says(&USER_AGENT, name))
}

/// A page with nothing to keep.
fn page_of(html: String, form: CallerForm) -> Response<ReplyBody> {
    share_page(SharePage { html, ..SharePage::default() }, form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_holds_one_token_and_nothing_that_is_not_known() {
        let token = Token::random().unwrap().text();
        let read = |path: &str| read_path(path, None).map(|(_, behind)| behind);
        assert_eq!(read(&format!("/s/{token}")), Some(Behind::Link));
        assert_eq!(read(&format!("/s/{token}/listen")), Some(Behind::Listen));
        assert_eq!(read(&format!("/s/{token}/download")), Some(Behind::Download));
        for path in [
            "/s/".to_owned(),
            format!("/s/{token}/"),
            format!("/s/{token}/listen/"),
            format!("/s//{token}"),
            format!("/s/{token}/../x"),
            format!("/s/{token}%00"),
            format!("/s/{}", token.split_at(1).1),
            format!("/s/{token}{token}"),
            format!("/s/{token}.mp3"),
        ] {
            assert_eq!(read(&path), None, "{path}");
        }
    }
}
