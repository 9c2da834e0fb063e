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
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::ListenError;
use crate::metrics::{CLASSIC_TYPE, METRICS_TYPE, Metrics};

/// Whether the gate may take traffic.
#[derive(Clone, Debug, Default)]
pub struct Ready {
    /// Why it may not.
    pub against: Vec<String>,
    /// What an operator should look at although it may.
    pub remarks: Vec<String>,
}

/// Says whether the gate may take traffic.
#[derive(Clone)]
pub struct Readiness(Arc<dyn Fn() -> Ready + Send + Sync>);

impl Readiness {
    /// Takes the question to ask.
    #[must_use]
    pub fn new(ask: impl Fn() -> Ready + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readiness")
    }
}

/// When the listener says what, and until when it is there.
pub(super) struct Phases {
    /// True when the gate takes no more connections.
    pub(super) draining: watch::Receiver<bool>,
    /// True when it is over.
    pub(super) ended: watch::Receiver<bool>,
}

pub(super) fn start(
    address: SocketAddr,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    phases: Phases,
) -> Result<(SocketAddr, JoinHandle<()>), ListenError> {
    let failed = |source| ListenError::Bind { address, source };
    let socket = std::net::TcpListener::bind(address).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ListenError::Worker)?;
    let thread = std::thread::Builder::new().name("operations".to_owned());
    let run = move || {
        if let Err(error) = runtime.block_on(serve(socket, readiness, metrics, phases)) {
            tracing::error!(%error, "the operations listener has stopped");
        }
    };
    Ok((address, thread.spawn(run).map_err(ListenError::Worker)?))
}

async fn serve(
    socket: std::net::TcpListener,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    phases: Phases,
) -> std::io::Result<()> {
    let Phases { draining, mut ended } = phases;
    let listener = TcpListener::from_std(socket)?;
    loop {
        let accepted = tokio::select! {
            _ = ended.wait_for(|ended| *ended) => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        let Ok((tcp, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (readiness, metrics) = (readiness.clone(), Arc::clone(&metrics));
        let draining = draining.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request: Request<Incoming>| {
                let mut ready = (readiness.0)();
                if *draining.borrow() {
                    ready.against.push("the gate is stopping".to_owned());
                }
                let response = answer(&request, &ready, &metrics);
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

fn answer(request: &Request<Incoming>, ready: &Ready, metrics: &Metrics) -> Response<Full<Bytes>> {
    let mut of_type = "text/plain; charset=utf-8";
    let (status, text) = match request.uri().path() {
        "/healthz" => (StatusCode::OK, "alive\n".to_owned()),
        "/readyz" => said(ready),
        "/metrics" => {
            let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
            let is_open = accept.is_some_and(|kinds| kinds.contains("openmetrics-text"));
            of_type = if is_open { METRICS_TYPE } else { CLASSIC_TYPE };
            (StatusCode::OK, if is_open { metrics.text() } else { metrics.classic_text() })
        }
        _ => (StatusCode::NOT_FOUND, "served here: /healthz, /readyz and /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(of_type));
    response
}

/// One line for each reason and remark.
fn said(ready: &Ready) -> (StatusCode, String) {
    let remarks = ready.remarks.iter().map(|remark| format!("look at: {remark}\n"));
    let against = ready.against.iter().map(|reason| format!("not ready: {reason}\n"));
    let reasons: String = against.chain(remarks).collect();
    match ready.against.is_empty() {
        true => (StatusCode::OK, format!("ready\n{reasons}")),
        false => (StatusCode::SERVICE_UNAVAILABLE, reasons),
    }
}
