//! Links that give recordings to others, as those who make and use them see them.

use bytes::Bytes;
use http::Request;
use http_body_util::{Empty, Full};
use serde_json::{Value, json};

use super::client::{Answer, Client};
use super::world::{RECORDING, World};

/// A copy for the person on the call, who showed who they are: what a privacy officer may send.
pub fn copy() -> Value {
    json!({
        "recording": RECORDING,
        "format": "wav",
        "recipient": {"class": "data-subject", "name": "Ms Jo Bloggs", "country": "GB"},
        "purpose": "rights-request",
        "identity_check": "passport seen on 20 November",
        "expires_in_seconds": 86_400,
        "uses": 3,
        "note": "asked for in her letter of 2 November",
    })
}

/// What a complaints handler may send to the supplier of transcripts, under its contract.
pub fn to_supplier() -> Value {
    json!({
        "recording": RECORDING,
        "format": "wav",
        "recipient": {"class": "scribe-ltd", "country": "IE", "contract": "C-2026-14"},
        "purpose": "complaint-handling",
        "expires_in_seconds": 86_400,
        "uses": 3,
    })
}

/// The copy with some keys changed.
pub fn copy_with(more: &Value) -> Value {
    let mut order = copy();
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    order
}

/// A request to make a share.
pub fn post(token: &str, order: &Value, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut request = Client::get("/shares")
        .method("POST")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {token}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(Bytes::from(order.to_string()))).unwrap()
}

/// A share that was made.
pub struct Link {
    pub id: String,
    /// The path of its URL.
    pub path: String,
    pub made: Value,
}

impl Link {
    pub fn of(made: Value) -> Self {
        let url = made["url"].as_str().expect("a link is told");
        let (_, path) = url.split_once("/s/").unwrap();
        let id = made["id"].as_str().unwrap().to_owned();
        Self { id, path: format!("/s/{path}"), made }
    }

    /// What is secret in it.
    pub fn token(&self) -> &str {
        self.path.strip_prefix("/s/").unwrap()
    }
}

impl World {
    /// A token of Petra, a privacy officer.
    pub fn petra(&self) -> String {
        self.token("petra", &["privacy-officer"])
    }

    pub async fn share(&self, token: &str, order: &Value) -> Answer {
        self.client.send_full(post(token, order, &[])).await
    }

    /// A token of Carla, a complaints handler.
    pub fn carla(&self) -> String {
        self.token("carla", &["complaints-handler"])
    }

    /// Petra makes a share, and may.
    pub async fn link(&self, order: &Value) -> Link {
        let answer = self.share(&self.petra(), order).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 201, "{text}");
        Link::of(answer.json())
    }

    /// Petra asks at `/shares`.
    pub async fn as_petra(&self, method: &str, path: &str) -> Answer {
        let bearer = format!("Bearer {}", self.petra());
        self.send(Client::get(path).method(method).header("authorization", bearer)).await
    }
}

/// A program that uses a link.
pub fn program(path: &str) -> http::request::Builder {
    as_program(path, "curl/8.5.0")
}

pub fn as_program(path: &str, agent: &str) -> http::request::Builder {
    Client::get(path).header("accept", "*/*").header("user-agent", agent)
}

/// A browser that opens a link.
pub fn browser(path: &str) -> http::request::Builder {
    Client::get(path)
        .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document")
}

/// A browser's player that asks for the sound.
pub fn player(path: &str, cookies: &str) -> http::request::Builder {
    Client::get(&format!("{path}/listen"))
        .header("accept", "*/*")
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0")
        .header("sec-fetch-mode", "no-cors")
        .header("sec-fetch-dest", "audio")
        .header("cookie", cookies)
}

/// The cookies that an answer sets, as a browser sends them back.
pub fn cookies(answer: &Answer) -> String {
    let all = answer.headers.get_all("set-cookie").iter();
    let each = all.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
    each.collect::<Vec<_>>().join("; ")
}

pub fn bodiless(request: http::request::Builder) -> Request<Empty<Bytes>> {
    request.body(Empty::new()).unwrap()
}

/// The words of an answer.
pub fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// The one word for why a link gave nothing.
pub fn why(answer: &Answer) -> String {
    answer.json()["reason"].as_str().unwrap().to_owned()
}
