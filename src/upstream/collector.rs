//! Brings spans to a collector: one request on a connection of its own, over TLS or, on this
//! machine or a private network, without.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::courier::HttpsCourier;
use super::{AGENT, courier};

/// LIMIT: how long one delivery may take, all in all.
const DELIVERY: Duration = Duration::from_secs(5);

/// LIMIT: bytes of an answer, which has nothing to say.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Delivers spans.
#[derive(Debug)]
pub struct Collector(HttpsCourier);

impl Collector {
    /// One that trusts what this courier trusts.
    #[must_use]
    pub fn new(courier: HttpsCourier) -> Self {
        Self(courier)
    }

    async fn deliver(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let uri: Uri = request.uri().clone();
        let authority = uri.authority().ok_or("it names no host")?.as_str().to_owned();
        let mut plain = Request::post(uri.path_and_query().map_or("/", |path| path.as_str()))
            .header(USER_AGENT, AGENT)
            .header(HOST, authority.as_str());
        let of_type = request.headers().get(CONTENT_TYPE).cloned();
        let protobuf = HeaderValue::from_static("application/x-protobuf");
        plain = plain.header(CONTENT_TYPE, of_type.unwrap_or(protobuf));
        let request = plain.body(Full::new(request.into_body()))?;
        let (status, body) = match uri.scheme_str() {
            Some("https") => {
                let origin = self.0.origin(&authority)?;
                courier::once(&origin, request).await?
            }
            _ => {
                let host = uri.host().ok_or("it names no host")?;
                let tcp = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await?;
                let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await?;
                let exchange = async {
                    let answer = sender.send_request(request).await?;
                    let status = answer.status();
                    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect();
                    Ok::<_, HttpError>((status, body.await?.to_bytes()))
                };
                tokio::pin!(exchange);
                tokio::select! {
                    answered = &mut exchange => answered?,
                    // The connection may end first, with the whole answer read.
                    _ = connection => exchange.await?,
                }
            }
        };
        Ok(Response::builder().status(status).body(body)?)
    }
}

#[async_trait]
impl HttpClient for Collector {
    /// Blocks: the thread that sends spans does nothing else.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { timeout(DELIVERY, self.deliver(request)).await })?
    }
}
