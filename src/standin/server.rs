//! Connections: TLS, HTTP/1.1, and each request's way through seen list, rules and answer.
//!
//! In: a bound listener. Out: answered requests, until the task is aborted; the connections live
//! in the listener's task and end with it. A broken connection must never end the listener, and
//! nothing of a request is logged but that its connection failed.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Collected, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use super::body::StandInBody;
use super::library::Library;
use super::misbehaviour::{Kind, RuleBook};
use super::route::{CdnRoute, Route};
use super::seen::{Listener, SeenLog, path_and_query};
use super::settings::Ways;
use super::signature::UrlSigner;
use super::{api, cdn};

/// How long to wait when the operating system refuses a connection, so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// LIMIT: the body of a request. Only a token is ever sent in one, of some thousand bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What both listeners have in common.
pub(super) struct Shared {
    pub(super) library: Library,
    pub(super) seen: SeenLog,
    pub(super) rules: RuleBook,
    pub(super) signer: UrlSigner,
    /// `https://host:port` of the API listener.
    pub(super) api_origin: String,
    /// The same of the CDN listener.
    pub(super) cdn_origin: String,
    pub(super) ways: Ways,
}

/// Serves a listener for ever. Dropping the future closes every connection.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    side: Listener,
    shared: Arc<Shared>,
) {
    let acceptor = TlsAcceptor::from(tls);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, acceptor.clone(), side, shared.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "stand-in could not accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, acceptor: TlsAcceptor, side: Listener, shared: Arc<Shared>) {
    // Only a matter of speed: without it small answers wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let stream = match acceptor.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "stand-in tls handshake failed");
            return;
        }
    };
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(respond(&shared, side, request).await) }
    });
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
    {
        tracing::debug!(%error, "stand-in connection ended early");
    }
}

async fn respond(
    shared: &Shared,
    side: Listener,
    request: Request<Incoming>,
) -> Response<StandInBody> {
    let (head, body) = request.into_parts();
    shared.seen.note(side, &head);
    let kind = match side {
        Listener::Api => Route::of_api(head.uri.path()).kind(),
        Listener::Cdn if CdnRoute::read(head.uri.path()).is_some() => Kind::Media,
        Listener::Cdn => Kind::Unknown,
    };
    let faults = shared.rules.apply(side, kind, path_and_query(&head));
    if let Some(millis) = faults.delay_millis {
        sleep(Duration::from_millis(millis)).await;
    }
    if faults.stall_before_head {
        pending::<()>().await;
    }
    let answer = match side {
        Listener::Api => {
            let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
            // A body that breaks off or is too long says as little as none.
            let body = body.map(Collected::to_bytes).unwrap_or_default();
            api::answer(shared, &head, &body, &faults).await
        }
        Listener::Cdn => cdn::answer(shared, &head, &faults).await,
    };
    answer.signed_off_by(side).into_response(&head.method, &faults)
}
