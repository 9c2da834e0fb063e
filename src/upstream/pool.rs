//! Connections to upstream, and one exchange on one of them.
//!
//! HTTP/1.1 over TLS, one exchange at a time on a connection. The connection is driven by the
//! task that uses it, inside the exchange and then inside the body, so that a request costs no
//! second task and no wake-up across tasks. An idle connection is driven by nobody; it is looked
//! at when it is taken out again. If it turns out dead before the head of an answer has come, the
//! exchange is made once more on a new one: a GET without a body may
//! be made twice.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::UpstreamError;
use crate::config;

pub(super) type Io = TokioIo<TlsStream<TcpStream>>;
type Connection = http1::Connection<Io, Empty<Bytes>>;

/// LIMIT: what hyper buffers for one connection; bulk runs no slower for it.
const BUFFER_BYTES: usize = 64 * 1024;

/// LIMIT: header lines of an answer. Twilio sends about 20.
const HEADERS_MAX: usize = 100;

/// A host and port to talk TLS with.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    host: String,
    port: u16,
    header: HeaderValue,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
}

impl Origin {
    /// Reads `host` or `host:port`.
    pub(super) fn parse(authority: &str, tls: Arc<ClientConfig>) -> Option<Self> {
        let parsed: http::uri::Authority = authority.parse().ok()?;
        let host = parsed.host().to_ascii_lowercase();
        let port = match parsed.port_u16() {
            Some(port) => port,
            None if parsed.port().is_none() => 443,
            None => return None,
        };
        let text = if port == 443 { host.clone() } else { format!("{host}:{port}") };
        let header = HeaderValue::try_from(text).ok()?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(&host);
        let name = ServerName::try_from(proven_name(bare).to_owned()).ok()?;
        Some(Self { host: bare.to_owned(), port, header, name, tls })
    }

    pub(super) fn host_header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// What connections are filed under: where they lead and whom they trust.
    fn key(&self) -> Key {
        (self.header.clone(), Arc::as_ptr(&self.tls) as usize)
    }
}

/// The name that a host's certificate has to hold. Amazon's holds for one label before S3's own name
/// (RFC 6125, 6.4.3), and Twilio has buckets with dots in theirs: for those it is S3's own, which
/// serves all of them.
fn proven_name(host: &str) -> &str {
    const STORE: &str = "s3.amazonaws.com";
    match host.strip_suffix(STORE).and_then(|bucket| bucket.strip_suffix('.')) {
        Some(bucket) if bucket.contains('.') => STORE,
        _ => host,
    }
}

type Key = (HeaderValue, usize);

/// The head of an answer, with the body still on its way.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) parts: response::Parts,
    pub(super) body: ReplyBody,
}

/// One worker's connections.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<HashMap<Key, VecDeque<Idle>>>,
    idle_max: usize,
    idle_time: Duration,
    connect_timeout: Duration,
    head_timeout: Duration,
}

#[derive(Debug)]
struct Idle {
    link: Box<Link>,
    since: Instant,
}

/// A connection with the handle that sends on it. Boxed wherever it goes: it is some kilobytes
/// large and changes hands several times in each exchange.
#[derive(Debug)]
struct Link {
    sender: http1::SendRequest<Empty<Bytes>>,
    connection: Connection,
    /// True once it has ended, well or badly.
    ended: bool,
}

impl Link {
    /// Lets the connection work.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended {
            self.ended = Pin::new(&mut self.connection).poll(cx).is_ready();
        }
    }

    /// Whether another exchange may be made on it. Nobody is woken by this look.
    fn is_reusable(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.ended && self.sender.is_ready()
    }
}

impl Pool {
    pub(super) fn new(settings: &config::Upstream) -> Self {
        Self {
            idle: Mutex::new(HashMap::new()),
            idle_max: settings.idle_connections_max.as_usize(),
            idle_time: settings.idle_connection_seconds.duration(),
            connect_timeout: settings.connect_timeout_ms.duration(),
            head_timeout: settings.head_timeout_ms.duration(),
        }
    }

    /// Sends a request and waits for the head of the answer.
    pub(super) async fn send(
        self: &Arc<Self>,
        origin: &Origin,
        request: Request<Empty<Bytes>>,
    ) -> Result<Reply, UpstreamError> {
        if let Some(link) = self.take(origin) {
            match self.exchange(origin, link, request.clone()).await {
                Err(UpstreamError::Unreachable(_)) => {}
                done => return done,
            }
        }
        self.send_afresh(origin, request).await
    }

    /// The same on a new connection, and once only: for what must not be done twice.
    pub(super) async fn send_afresh(
        self: &Arc<Self>,
        origin: &Origin,
        request: Request<Empty<Bytes>>,
    ) -> Result<Reply, UpstreamError> {
        let link = match timeout(self.connect_timeout, connect(origin)).await {
            Err(_) => return Err(UpstreamError::TimedOut("connect")),
            Ok(link) => link?,
        };
        self.exchange(origin, link, request).await
    }

    async fn exchange(
        self: &Arc<Self>,
        origin: &Origin,
        mut link: Box<Link>,
        request: Request<Empty<Bytes>>,
    ) -> Result<Reply, UpstreamError> {
        let answered = {
            let Link { sender, connection, ended } = &mut *link;
            let mut sending = pin!(sender.send_request(request));
            let both = poll_fn(|cx| {
                if !*ended {
                    *ended = Pin::new(&mut *connection).poll(cx).is_ready();
                }
                sending.as_mut().poll(cx)
            });
            timeout(self.head_timeout, both).await
        };
        match answered {
            Err(_) => Err(UpstreamError::TimedOut("answer")),
            Ok(Err(error)) if error.is_parse() => Err(UpstreamError::Unusable("it is not HTTP")),
            Ok(Err(error)) => Err(UpstreamError::Unreachable(error.to_string())),
            Ok(Ok(response)) => {
                let (parts, incoming) = response.into_parts();
                let home = Some((Arc::clone(self), origin.key()));
                Ok(Reply { parts, body: ReplyBody { incoming, link: Some(link), home } })
            }
        }
    }

    fn take(&self, origin: &Origin) -> Option<Box<Link>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle.get_mut(&origin.key())?;
        // The youngest first: the others may grow old and go.
        while let Some(mut candidate) = waiting.pop_back() {
            if candidate.since.elapsed() >= self.idle_time {
                break;
            }
            if candidate.link.is_reusable() {
                return Some(candidate.link);
            }
        }
        idle.remove(&origin.key());
        None
    }

    fn put(&self, key: Key, mut link: Box<Link>) {
        if !link.is_reusable() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle.entry(key).or_default();
        waiting.push_back(Idle { link, since: Instant::now() });
        let oldest_is_over =
            waiting.front().is_some_and(|idle| idle.since.elapsed() >= self.idle_time);
        if waiting.len() > self.idle_max || oldest_is_over {
            waiting.pop_front();
        }
    }
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> UpstreamError {
    UpstreamError::Unreachable(format!("{what}: {error}"))
}

/// Connects to an origin and proves who it is.
pub(super) async fn reach(origin: &Origin) -> Result<Io, UpstreamError> {
    let tcp = TcpStream::connect((origin.host.as_str(), origin.port)).await;
    let tcp = tcp.map_err(|error| failed("TCP", &error))?;
    tcp.set_nodelay(true).map_err(|error| failed("TCP", &error))?;
    let connector = TlsConnector::from(Arc::clone(&origin.tls));
    let tls = connector.connect(origin.name.clone(), tcp).await;
    let mut tls = tls.map_err(|error| failed("TLS", &error))?;
    tls.get_mut().1.set_buffer_limit(Some(BUFFER_BYTES));
    Ok(TokioIo::new(tls))
}

async fn connect(origin: &Origin) -> Result<Box<Link>, UpstreamError> {
    let io = reach(origin).await?;
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(BUFFER_BYTES)
        .max_headers(HEADERS_MAX)
        .handshake(io)
        .await
        .map_err(|error| failed("HTTP", &error))?;
    Ok(Box::new(Link { sender, connection, ended: false }))
}

/// The body of an answer. It drives its connection, and hands it back to the pool when it has
/// come to its end; dropped before that, it closes the connection.
#[derive(Debug)]
pub(super) struct ReplyBody {
    incoming: Incoming,
    link: Option<Box<Link>>,
    home: Option<(Arc<Pool>, Key)>,
}

impl ReplyBody {
    fn go_home(&mut self) {
        if let (Some(link), Some((pool, key))) = (self.link.take(), self.home.take()) {
            pool.put(key, link);
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(link) = &mut self.link {
            link.drive(cx);
        }
        let mut frame = Pin::new(&mut self.incoming).poll_frame(cx);
        if frame.is_pending()
            && let Some(link) = &mut self.link
        {
            // Asking for the frame may have made room that the connection can fill at once.
            link.drive(cx);
            frame = Pin::new(&mut self.incoming).poll_frame(cx);
        }
        if matches!(frame, Poll::Ready(None)) {
            self.go_home();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for ReplyBody {
    /// Who knows the length does not ask for the end, so the end is looked for here.
    fn drop(&mut self) {
        if self.incoming.is_end_stream() {
            self.go_home();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::proven_name;

    #[test]
    fn a_bucket_with_dots_is_proven_by_its_store() {
        for (host, name) in [
            ("com.twilio.us1.sentences.s3.amazonaws.com", "s3.amazonaws.com"),
            ("bucket.s3.amazonaws.com", "bucket.s3.amazonaws.com"),
            ("s3.amazonaws.com", "s3.amazonaws.com"),
            ("a.bs3.amazonaws.com", "a.bs3.amazonaws.com"),
            ("a.b.s3.amazonaws.com.evil.example", "a.b.s3.amazonaws.com.evil.example"),
            ("api.twilio.com", "api.twilio.com"),
        ] {
            assert_eq!(proven_name(host), name, "{host}");
        }
    }
}
