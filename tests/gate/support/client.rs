//! A client that speaks HTTP/1.1, HTTP/2 or raw bytes over TLS, and keeps all that comes back. It
//! searches each answer for what no caller may see.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request};
use http_body::Body;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::leaks;

#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    roots: Arc<RootCertStore>,
    searches: bool,
}

/// Everything that came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// True if the body ended as it said it would.
    pub complete: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn entry(&self) -> &str {
        self.header("noticegate-entry").expect("an entry is named")
    }
}

impl Client {
    pub fn new(address: SocketAddr, ca_pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
        Self { address, roots: Arc::new(roots), searches: true }
    }

    /// One that talks to Twilio itself, who may say anything.
    pub fn unsearched(address: SocketAddr, ca_pem: &str) -> Self {
        Self { searches: false, ..Self::new(address, ca_pem) }
    }

    /// Where it connects.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A TLS connection with these protocols on offer.
    pub async fn connect(&self, alpn: &[&str]) -> TlsStream<TcpStream> {
        self.try_connect(alpn).await.unwrap()
    }

    /// The same, where the gate may not want it.
    pub async fn try_connect(&self, alpn: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut tls = ClientConfig::builder()
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        tls.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let tcp = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(tls)).connect(name, tcp).await
    }

    /// Sends a request over HTTP/1.1 on a connection of its own.
    pub async fn send(&self, request: Request<Empty<Bytes>>) -> Answer {
        let response = self.start(request).await;
        if self.searches { collect(response).await } else { read(response).await }
    }

    /// The same, with a body.
    pub async fn send_full(&self, request: Request<Full<Bytes>>) -> Answer {
        collect(self.begin(request).await).await
    }

    /// The same, without reading the body.
    pub async fn start(&self, request: Request<Empty<Bytes>>) -> http::Response<Incoming> {
        self.begin(request).await
    }

    async fn begin<B>(&self, request: Request<B>) -> http::Response<Incoming>
    where
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
    {
        let io = TokioIo::new(self.connect(&["http/1.1"]).await);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    }

    /// Sends a request over HTTP/2 on a connection of its own.
    pub async fn send_h2(&self, request: Request<Empty<Bytes>>) -> Answer {
        let io = TokioIo::new(self.connect(&["h2"]).await);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        collect(sender.send_request(request).await.unwrap()).await
    }

    /// A connection that takes many requests at once.
    pub async fn many(&self) -> hyper::client::conn::http2::SendRequest<Empty<Bytes>> {
        let io = TokioIo::new(self.connect(&["h2"]).await);
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Sends bytes and reads until the gate closes the connection. The request should ask for
    /// that with `Connection: close`.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut tls = self.connect(&["http/1.1"]).await;
        tls.write_all(bytes).await.unwrap();
        tls.flush().await.unwrap();
        let mut answer = Vec::new();
        // A connection that is closed without TLS's goodbye still gave its bytes.
        let _ = tls.read_to_end(&mut answer).await;
        if self.searches {
            leaks::search("an answer", &answer);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A GET as a caller would write it, without proof.
    pub fn get(path: &str) -> http::request::Builder {
        Request::builder().method(Method::GET).uri(path).header("host", "localhost")
    }
}

/// Reads a body to its end, or as far as it goes, and searches the answer.
pub async fn collect(response: http::Response<Incoming>) -> Answer {
    let answer = read(response).await;
    leaks::search_answer(&answer);
    answer
}

async fn read(response: http::Response<Incoming>) -> Answer {
    let (parts, mut body) = response.into_parts();
    let mut bytes = BytesMut::new();
    let mut complete = true;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                if let Some(data) = frame.data_ref() {
                    bytes.extend_from_slice(data);
                }
            }
            Err(_) => {
                complete = false;
                break;
            }
        }
    }
    Answer { status: parts.status.as_u16(), headers: parts.headers, body: bytes.freeze(), complete }
}
