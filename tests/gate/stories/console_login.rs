//! Signing in at the console with a browser: who has a session, how long, and what nobody can make
//! somebody else's browser do.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use jiff::ToSpan;
use serde_json::Value;

use crate::support::client::Answer;
use crate::support::world::{CALL, NUMBER, of_kind};
use crate::support::{World, WorldSettings};

const CONSOLE: &str = "[console]\naddress = \"127.0.0.1:0\"\n\
                       [console.login]\nidle_seconds = 600\nsession_seconds = 3000\n";

async fn world() -> World {
    World::with(WorldSettings { config: CONSOLE.to_owned(), ..WorldSettings::default() }).await
}

/// A browser: it keeps cookies, and asks for pages.
#[derive(Default)]
struct Browser {
    cookies: Vec<(String, String)>,
}

impl Browser {
    async fn ask(&mut self, world: &World, request: http::request::Builder, body: &str) -> Answer {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = request.header("host", "localhost");
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let answer = world.console().send_full(request).await;
        for set in answer.headers.get_all("set-cookie") {
            let set = set.to_str().unwrap();
            assert!(set.starts_with("__Host-"), "{set}");
            for attribute in ["; Path=/;", "; Secure;", "; HttpOnly;", "; SameSite=Lax"] {
                assert!(set.contains(attribute), "{set}");
            }
            assert!(!set.contains("Domain"), "{set}");
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    async fn get(&mut self, world: &World, path: &str) -> Answer {
        let request = Request::get(path).header("accept", "text/html,*/*");
        self.ask(world, request, "").await
    }

    async fn post(&mut self, world: &World, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(world, path, fields, "same-origin").await
    }

    async fn send(
        &mut self,
        world: &World,
        path: &str,
        fields: &[(&str, &str)],
        site: &str,
    ) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(path)
            .header("accept", "text/html")
            .header("sec-fetch-site", site)
            .header("content-type", "application/x-www-form-urlencoded");
        self.ask(world, request, &body).await
    }

    fn session(&self) -> Option<&str> {
        let session = self.cookies.iter().find(|(name, _)| name == "__Host-noticegate");
        session.map(|(_, value)| value.as_str())
    }

    /// Signs in with a token, as the page asks for it.
    async fn sign_in(&mut self, world: &World, token: &str, to: &str) -> Answer {
        let page = self.get(world, "/login").await;
        assert_eq!(page.status, 200);
        let csrf = csrf(&page);
        self.post(world, "/login", &[("csrf", &csrf), ("token", token), ("to", to)]).await
    }
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// The token of the first form of a page.
fn csrf(page: &Answer) -> String {
    let text = text(page);
    let (_, rest) = text.split_once("name=\"csrf\" value=\"").expect("a form with its token");
    rest.split('"').next().unwrap().to_owned()
}

fn officer(world: &World) -> String {
    world.token("pia", &["privacy-officer"])
}

#[tokio::test]
async fn who_signs_in_lands_where_they_wanted_to_go() {
    let mut world = world().await;
    let mut browser = Browser::default();
    let first = browser.get(&world, "/?day=2026-11-03").await;
    assert_eq!(first.status, 303);
    let login = first.header("location").unwrap().to_owned();
    assert_eq!(login, "/login?to=%2F%3Fday%3D2026%2D11%2D03");
    let page = browser.get(&world, &login).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(text(&page).contains("name=\"to\" value=\"/?day=2026-11-03\""), "{}", text(&page));
    let token = officer(&world);
    let fields = [("csrf", &*csrf(&page)), ("token", &token), ("to", "/?day=2026-11-03")];
    let signed = browser.post(&world, "/login", &fields).await;
    assert_eq!((signed.status, signed.header("location")), (303, Some("/?day=2026-11-03")));
    assert_eq!(browser.cookies.len(), 1, "what began it is not kept");
    let home = browser.get(&world, "/").await;
    assert_eq!(home.status, 200);
    assert!(text(&home).contains("test|pia") && text(&home).contains("Sign out"));
    // The same person as with a token, for programs' answers, too.
    let holds = browser.ask(&world, Request::get("/api/v1/holds"), "").await;
    assert_eq!(holds.status, 200);
    let session = browser.session().unwrap().to_owned();
    let entries = world.entries().await;
    let all = of_kind(&entries, "console");
    let signed: Vec<_> = all.iter().filter(|entry| entry["action"] == "sign-in").collect();
    assert_eq!(signed.len(), 1);
    assert_eq!(signed[0]["actor"], "test|pia");
    let all = entries.iter().map(Value::to_string).collect::<String>();
    assert!(!all.contains(&session) && !all.contains(&token));
    assert!(of_kind(&entries, "console-refused").is_empty(), "a browser that was not asked yet");
}

#[tokio::test]
async fn what_is_pasted_must_be_a_token_of_the_gate() {
    let mut world = world().await;
    let mut browser = Browser::default();
    for token in ["", "nonsense", "Bearer nonsense", "a.b.c", "\u{e4}"] {
        let answer = browser.sign_in(&world, token, "/").await;
        assert_eq!(answer.status, 401, "{token}");
        assert!(text(&answer).contains("You are not signed in"), "{}", text(&answer));
        assert_eq!(browser.session(), None);
    }
    let claims = crate::support::tokens::claims(world.clock.now(), "eve", &["privacy-officer"]);
    let other = crate::support::tokens::TokenKey::new("key-1").sign(&claims);
    assert_eq!(browser.sign_in(&world, &other, "/").await.status, 401);
    let entries = world.entries().await;
    let refused = of_kind(&entries, "console-refused");
    assert_eq!(refused.len(), 6);
    assert!(refused.iter().all(|entry| entry["detail"] == "POST /login"), "{refused:?}");
    assert_eq!(refused[5]["reason"], "the token's signature is not valid");
}

#[tokio::test]
async fn nobody_is_signed_in_by_a_form_of_another_page() {
    let world = world().await;
    let token = officer(&world);
    let mut browser = Browser::default();
    let answer = browser.post(&world, "/login", &[("token", &token)]).await;
    assert_eq!((answer.status, browser.session()), (403, None), "no cookie, no token of a page");
    let mut other = Browser::default();
    let elsewhere = csrf(&other.get(&world, "/login").await);
    let _ = browser.get(&world, "/login").await;
    let fields = [("csrf", &*elsewhere), ("token", &token)];
    let answer = browser.post(&world, "/login", &fields).await;
    assert_eq!((answer.status, browser.session()), (403, None), "another browser's");
    let own = csrf(&browser.get(&world, "/login").await);
    let fields = [("csrf", &*own), ("token", &token)];
    for site in ["cross-site", "same-site"] {
        let answer = browser.send(&world, "/login", &fields, site).await;
        assert_eq!((answer.status, browser.session()), (403, None), "{site}");
    }
    let twice = [("csrf", &*own), ("csrf", &*own), ("token", &token)];
    assert_eq!(browser.post(&world, "/login", &twice).await.status, 403);
    assert_eq!(browser.post(&world, "/login", &fields).await.status, 303);
}

#[tokio::test]
async fn only_own_pages_are_gone_to() {
    let world = world().await;
    let token = officer(&world);
    for to in [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "evil.example",
        "",
        "/login",
        "/logout",
        "/ \r\nset-cookie: a=b",
        "/\u{e4}",
    ] {
        let mut browser = Browser::default();
        let signed = browser.sign_in(&world, &token, to).await;
        assert_eq!((signed.status, signed.header("location")), (303, Some("/")), "{to:?}");
        let query = form_urlencoded::byte_serialize(to.as_bytes()).collect::<String>();
        let page = browser.get(&world, &format!("/login?to={query}")).await;
        assert!(text(&page).contains("name=\"to\" value=\"/\""), "{to:?}: {}", text(&page));
    }
    let mut browser = Browser::default();
    let signed = browser.sign_in(&world, &token, "/a/b?c=d&e=%2F").await;
    assert_eq!(signed.header("location"), Some("/a/b?c=d&e=%2F"));
}

#[tokio::test]
async fn a_session_changes_nothing_without_the_token_of_a_page() {
    let mut world = world().await;
    let token = officer(&world);
    let mut browser = Browser::default();
    browser.sign_in(&world, &token, "/").await;
    let own = csrf(&browser.get(&world, "/").await);
    let mut other = Browser::default();
    other.sign_in(&world, &token, "/").await;
    let others = csrf(&other.get(&world, "/").await);
    assert_ne!(own, others);
    for fields in [vec![], vec![("csrf", "")], vec![("csrf", &*others)], vec![("csrf", "A")]] {
        let answer = browser.post(&world, "/logout", &fields).await;
        assert_eq!(answer.status, 403);
        assert!(text(&answer).contains("This form cannot be used any more"));
    }
    let answer = browser.send(&world, "/logout", &[("csrf", &own)], "cross-site").await;
    assert_eq!(answer.status, 403);
    assert_eq!(browser.get(&world, "/").await.status, 200, "still signed in");
    // The same for JSON, which has a header instead.
    let body = format!(r#"{{"about": ["{CALL}"], "participant": {{"number": "{NUMBER}"}}}}"#);
    let withdraw = |csrf: Option<&str>| {
        let request = Request::builder().method(Method::POST).uri("/api/v1/withdrawals");
        let request = request.header("content-type", "application/json");
        csrf.into_iter().fold(request, |request, csrf| request.header("x-csrf-token", csrf))
    };
    let answer = browser.ask(&world, withdraw(None), &body).await;
    assert_eq!((answer.status, &answer.json()["code"]), (403, &"not-our-form".into()));
    assert_eq!(browser.ask(&world, withdraw(Some(&others)), &body).await.status, 403);
    assert_eq!(browser.ask(&world, withdraw(Some(&own)), &body).await.status, 201);
    // A program's token is sent by no browser by itself.
    let request = withdraw(None).header("authorization", format!("Bearer {token}"));
    assert_eq!(Browser::default().ask(&world, request, &body).await.status, 201);
    let out = browser.post(&world, "/logout", &[("csrf", &own)]).await;
    assert_eq!(out.status, 200);
    assert_eq!(browser.session(), None);
    assert_eq!(other.get(&world, "/").await.status, 200, "another session is another session");
    let entries = world.entries().await;
    let actions: Vec<&str> =
        of_kind(&entries, "console").iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert_eq!(actions, ["sign-in", "sign-in", "sign-out"]);
    assert_eq!(of_kind(&entries, "statement").len(), 2);
}

#[tokio::test]
async fn a_password_that_a_browser_remembers_changes_nothing_by_itself() {
    let secret = "ngs_c2VjcmV0LXRoYXQtbm9ib2R5LWd1ZXNzZXMtZXZlcg";
    let config = format!("[clients]\nfile = \"clients.toml\"\n{CONSOLE}");
    let world = World::prepare(&WorldSettings { config, ..WorldSettings::default() }).await;
    let client = format!(
        "[[client]]\nid = \"crm\"\nname = \"CRM\"\nroles = [\"privacy-officer\"]\n\
         secrets = [{{ hash = \"{}\", created = \"2026-11-23T12:00:00Z\" }}]\n",
        noticegate::identity::Digest::of(secret)
    );
    std::fs::write(world.folder.join("clients.toml"), client).unwrap();
    let mut world = world.started();
    let basic = format!("Basic {}", STANDARD.encode(format!("crm:{secret}")));
    let mut browser = Browser::default();
    let send = |path: &str, kind: &str| {
        let request = Request::post(path).header("authorization", &basic);
        request.header("content-type", kind)
    };
    let form = "application/x-www-form-urlencoded";
    for (path, kind, body, status, code) in [
        ("/logout", form, "", 403, "not-our-form"),
        ("/logout", form, "csrf=A", 403, "not-our-form"),
        ("/logout", "text/plain", "csrf=A", 403, "not-our-form"),
        ("/api/v1/withdrawals", form, "{}", 415, "not-json"),
        ("/api/v1/withdrawals", "text/plain", "{}", 415, "not-json"),
        ("/api/v1/entries/find", "text/plain", "{}", 415, "not-json"),
    ] {
        let answer = browser.ask(&world, send(path, kind), body).await;
        assert_eq!((answer.status, &answer.json()["code"]), (status, &code.into()), "{path}");
    }
    // Programs send JSON, which a browser sends for no other site.
    let body = format!(r#"{{"about": ["{CALL}"], "participant": {{"number": "{NUMBER}"}}}}"#);
    let answer = browser.ask(&world, send("/api/v1/withdrawals", "application/json"), &body).await;
    assert_eq!(answer.status, 201);
    assert_eq!(of_kind(&world.entries().await, "statement").len(), 1);
}

#[tokio::test]
async fn a_session_that_was_ended_is_over_everywhere() {
    let world = world().await;
    let mut browser = Browser::default();
    browser.sign_in(&world, &officer(&world), "/").await;
    let stolen = browser.cookies.clone();
    let own = csrf(&browser.get(&world, "/").await);
    assert_eq!(browser.post(&world, "/logout", &[("csrf", &own)]).await.status, 200);
    let mut thief = Browser { cookies: stolen };
    assert_eq!(thief.get(&world, "/").await.status, 303);
    let asked = thief.ask(&world, Request::get("/api/v1/holds"), "").await;
    assert_eq!(asked.status, 401);
    // Signing in anew ends the session that the browser had, and gives a new name.
    let mut browser = Browser::default();
    browser.sign_in(&world, &officer(&world), "/").await;
    let before = browser.cookies.clone();
    browser.sign_in(&world, &officer(&world), "/").await;
    assert_ne!(browser.session(), before.first().map(|(_, value)| value.as_str()));
    assert_eq!(Browser { cookies: before }.get(&world, "/").await.status, 303);
    // A name that somebody else has chosen is nobody's.
    let chosen = vec![("__Host-noticegate".to_owned(), "A".repeat(43))];
    assert_eq!(Browser { cookies: chosen }.get(&world, "/").await.status, 303);
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let world = world().await;
    let start = world.clock.now();
    let token = officer(&world);
    let at = |seconds: i64| world.clock.set(start + seconds.seconds());
    let mut browser = Browser::default();
    browser.sign_in(&world, &token, "/").await;
    at(599);
    assert_eq!(browser.get(&world, "/").await.status, 200, "a second before it is idle");
    at(599 + 600);
    assert_eq!(browser.get(&world, "/").await.status, 303, "idle for ten minutes");
    at(0);
    assert_eq!(browser.get(&world, "/").await.status, 303, "it does not come back");
    // Used all the time it lasts as long as a session may, and no longer.
    browser.sign_in(&world, &token, "/").await;
    for seconds in (0..3000).step_by(500).chain([2_999]) {
        at(seconds);
        assert_eq!(browser.get(&world, "/").await.status, 200, "{seconds}");
    }
    at(3_000);
    assert_eq!(browser.get(&world, "/").await.status, 303);
    // A token that ends sooner takes its session with it; it is good for an hour from `start`.
    at(2_500);
    browser.sign_in(&world, &token, "/").await;
    for seconds in [3_000, 3_500, 3_599] {
        at(seconds);
        assert_eq!(browser.get(&world, "/").await.status, 200, "{seconds}");
    }
    at(3_600);
    assert_eq!(browser.get(&world, "/").await.status, 303);
}

#[tokio::test]
async fn what_goes_wrong_is_a_page_to_a_browser() {
    let world = world().await;
    let mut browser = Browser::default();
    browser.sign_in(&world, &world.token("ana", &["quality-analyst"]), "/").await;
    let missing = browser.get(&world, "/nothing/here").await;
    assert_eq!(
        (missing.status, missing.header("content-type")),
        (404, Some("text/html; charset=utf-8"))
    );
    assert!(text(&missing).contains("<h1>There is nothing here</h1>"), "{}", text(&missing));
    let csp = missing.header("content-security-policy").unwrap();
    assert!(csp.starts_with("default-src 'none'; "), "{csp}");
    // To a program it is a problem, also with a session.
    let refused = browser.ask(&world, Request::get("/api/v1/holds"), "").await;
    assert_eq!(
        (refused.status, refused.header("content-type")),
        (403, Some("application/problem+json"))
    );
    // A page of another site that leads here: the visitor decides.
    let link = Request::get("/?day=1").header("accept", "text/html");
    let led = browser.ask(&world, link.header("sec-fetch-site", "cross-site"), "").await;
    assert_eq!(led.status, 403);
    assert!(text(&led).contains("href=\"/?day=1\""), "{}", text(&led));
    // Where nobody can sign in at a provider, nobody comes back from one.
    for path in ["/login/start", "/login/callback?state=a&code=b"] {
        assert_eq!(browser.get(&world, path).await.status, 404, "{path}");
    }
}
