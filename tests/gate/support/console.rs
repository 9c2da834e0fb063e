//! The console's pages, as a browser without a script uses them.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::Value;

use super::client::Answer;
use super::world::World;

/// The lines of the configuration that make a console.
pub const CONSOLE: &str = "[console]\naddress = \"127.0.0.1:0\"\nrequest_timeout_ms = 120000\n";

/// LIMIT: bytes of a page.
const PAGE_BYTES_MAX: usize = 200_000;

const FORM: &str = "application/x-www-form-urlencoded";

/// Somebody at the console.
pub struct Desk<'a> {
    world: &'a World,
    token: String,
}

impl<'a> Desk<'a> {
    pub fn of(world: &'a World, name: &str, role: &str) -> Self {
        Self { world, token: world.token(name, &[role]) }
    }

    async fn send(&self, method: Method, path: &str, kind: &str, body: String) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", kind);
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let answer = self.world.console().send_full(request).await;
        assert!(answer.complete);
        let csp = answer.header("content-security-policy").unwrap();
        assert!(csp.starts_with("default-src 'none'; "));
        answer
    }

    /// What comes back for a path, whatever it is.
    pub async fn ask(&self, path: &str) -> Answer {
        self.send(Method::GET, path, FORM, String::new()).await
    }

    /// A page.
    #[track_caller]
    pub fn page(&self, path: &str) -> impl Future<Output = String> {
        let asked = self.ask(path);
        async move {
            let answer = asked.await;
            let text = String::from_utf8(answer.body.to_vec()).unwrap();
            assert_eq!(answer.status, 200, "{text}");
            assert!(text.len() < PAGE_BYTES_MAX, "{} bytes", text.len());
            assert_eq!(text.matches("<h1").count(), 1);
            assert!(!text.contains(" style="), "no style that the browser would refuse");
            text
        }
    }

    /// Sends a form.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut form = form_urlencoded::Serializer::new(String::new());
        self.send(Method::POST, path, FORM, form.extend_pairs(fields).finish()).await
    }

    /// Sends JSON to the API.
    pub async fn json(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, "application/json", body.to_string()).await
    }

    /// Sends a form that leads to a page; its path.
    pub async fn step(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.post(path, fields).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 303, "{text}");
        answer.header("location").unwrap().to_owned()
    }
}

/// The value of a field that a page holds for its form.
pub fn hidden(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&start).unwrap_or_else(|| panic!("no {name} in {page}"));
    rest.split('"').next().unwrap().to_owned()
}
