//! Brings checkpoints to where they are kept beside the ledger, and callbacks to applications: one
//! request on a connection of its own.
//!
//! No credential, no redirects, a small answer, a short time. Plain HTTPS, whose certificate is
//! verified by the public authorities or by those that the configuration names.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use rustls::ClientConfig;
use tokio::time::timeout;

use super::account::client_tls;
use super::pool::{Origin, reach};
use super::{AGENT, AccountsError};
use crate::ledger::Courier;
use crate::webhook::{self, Answer, Delivery, NoAnswer, Verb};

/// LIMIT: how long one delivery may take, all in all.
const DELIVERY: Duration = Duration::from_secs(3);

/// LIMIT: bytes of an answer. A witness answers with a few lines.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Delivers over HTTPS.
#[derive(Debug)]
pub struct HttpsCourier {
    tls: Arc<ClientConfig>,
}

impl HttpsCourier {
    /// A courier that trusts these authorities, or the public ones.
    ///
    /// # Errors
    /// [`AccountsError`] if the file of authorities cannot be used.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, AccountsError> {
        Ok(Self { tls: Arc::new(client_tls(ca_file)?) })
    }

    /// Where an authority is, with the certificates that are trusted here.
    pub(super) fn origin(&self, authority: &str) -> Result<Origin, &'static str> {
        Origin::parse(authority, Arc::clone(&self.tls)).ok_or("it names no host")
    }

    async fn deliver(&self, url: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), String> {
        let uri: Uri = url.parse().map_err(|_| "it is not a URL")?;
        let authority = uri.authority().ok_or("it names no host")?.as_str();
        let origin = Origin::parse(authority, Arc::clone(&self.tls)).ok_or("it names no host")?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::post(path)
            .header(HOST, origin.host_header())
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let (status, body) = once(&origin, request).await?;
        Ok((status.as_u16(), body.to_vec()))
    }
}

/// One exchange on a connection of its own.
pub(super) async fn once(
    origin: &Origin,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), String> {
    let io = reach(origin).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = http1::handshake(io).await.map_err(|error| error.to_string())?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|_| "the answer broke off or is too long")?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(exchange);
    tokio::select! {
        answered = &mut exchange => answered,
        // The connection may end first, with the whole answer read.
        _ = connection => exchange.await,
    }
}

/// LIMIT: how long an application may take to answer a callback. Twilio itself waits 15 seconds.
const CALLBACK: Duration = Duration::from_secs(15);

impl HttpsCourier {
    async fn call(&self, delivery: &Delivery) -> Result<Answer, NoAnswer> {
        let unreachable = NoAnswer::Unreachable;
        let uri: Uri = delivery.url.parse().map_err(|_| unreachable)?;
        let authority = uri.authority().ok_or(unreachable)?.as_str();
        let origin = Origin::parse(authority, Arc::clone(&self.tls)).ok_or(unreachable)?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let method = match delivery.verb {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
        };
        let mut request =
            Request::builder().method(method).uri(path).header(HOST, origin.host_header());
        for (name, value) in delivery.headers() {
            request = request.header(name, value);
        }
        let body = Full::new(Bytes::from(delivery.body.clone()));
        let request = request.body(body).map_err(|_| unreachable)?;
        let io = reach(&origin).await.map_err(|_| unreachable)?;
        let (mut sender, connection) =
            http1::handshake(io).await.map_err(|_| NoAnswer::BrokeOff)?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(|_| NoAnswer::BrokeOff)?;
            let retry_after = answer.headers().get(RETRY_AFTER);
            let retry_after = retry_after.and_then(|value| value.to_str().ok());
            Ok(Answer {
                status: answer.status().as_u16(),
                retry_after: retry_after.map(str::to_owned),
            })
        };
        tokio::pin!(exchange);
        tokio::select! {
            answered = &mut exchange => answered,
            _ = connection => exchange.await,
        }
    }
}

impl webhook::Courier for HttpsCourier {
    fn deliver(&self, delivery: &Delivery) -> Result<Answer, NoAnswer> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|_| NoAnswer::Unreachable)?;
        let delivered = async { timeout(CALLBACK, self.call(delivery)).await };
        runtime.block_on(delivered).unwrap_or(Err(NoAnswer::TooSlow))
    }
}

impl Courier for HttpsCourier {
    fn post(&self, url: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let delivered = async { timeout(DELIVERY, self.deliver(url, body)).await };
        runtime.block_on(delivered).unwrap_or_else(|_| Err("it took too long".to_owned()))
    }
}
