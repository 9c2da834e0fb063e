//! The operator's listener: whether the process lives and whether it may take traffic.
//!
//! Plain HTTP on a local address. `/healthz` says that the process answers; `/readyz` says whether
//! a disclosure could be made now, and if not, why not; `/metrics` counts.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::ListenError;
use crate::metrics::{METRICS_TYPE, Metrics};

/// Says whether the gate may take traffic: `Ok`, or the reasons why not.
#[derive(Clone)]
pub struct Readiness(Arc<dyn Fn() -> Result<(), String> + Send + Sync>);

impl Readiness {
    /// Takes the question to ask.
    #[must_use]
    pub fn new(ask: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readiness")
    }
}

pub(super) fn start(
    address: SocketAddr,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    draining: watch::Receiver<bool>,
) -> Result<(SocketAddr, JoinHandle<()>), ListenError> {
    let failed = |source| ListenError::Bind { address, source };
    let socket = std::net::TcpListener::bind(address).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ListenError::Worker)?;
    let thread = std::thread::Builder::new().name("operations".to_owned());
    let run = move || {
        if let Err(error) = runtime.block_on(serve(socket, readiness, metrics, draining)) {
            tracing::error!(%error, "the operations listener has stopped");
        }
    };
    Ok((address, thread.spawn(run).map_err(ListenError::Worker)?))
}

async fn serve(
    socket: std::net::TcpListener,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    mut draining: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let listener = TcpListener::from_std(socket)?;
    loop {
        let accepted = tokio::select! {
            _ = draining.wait_for(|draining| *draining) => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        let Ok((tcp, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (readiness, metrics) = (readiness.clone(), Arc::clone(&metrics));
        tokio::spawn(async move {
            let answer = service_fn(move |request: Request<Incoming>| {
                let response = answer(&request, &readiness, &metrics);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .serve_connection(TokioIo::new(tcp), answer);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an operations connection ended badly");
            }
        });
    }
}

fn answer(
    request: &Request<Incoming>,
    readiness: &Readiness,
    metrics: &Metrics,
) -> Response<Full<Bytes>> {
    let mut of_type = "text/plain; charset=utf-8";
    let (status, text) = match request.uri().path() {
        "/healthz" => (StatusCode::OK, "alive\n".to_owned()),
        "/readyz" => match (readiness.0)() {
            Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
            Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
        },
        "/metrics" => {
            of_type = METRICS_TYPE;
            (StatusCode::OK, metrics.text())
        }
        _ => (StatusCode::NOT_FOUND, "served here: /healthz, /readyz and /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(of_type));
    response
}
