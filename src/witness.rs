//! The witness as a server: HTTP over TLS around what `ledger` knows of witnessing.
//!
//! `POST /add-checkpoint` as C2SP tlog-witness has it, and `GET /<origin hash>/checkpoint` for the
//! latest that was cosigned. Nothing else. It knows only hashes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::clock::Clock;
use crate::ledger::{CosignAnswer, Cosigning, WITNESS_REQUEST_BYTES_MAX, WitnessSetUpError};
use crate::listener::{self, TlsError};

/// LIMIT: connections at once. A witness serves a few gates.
const CONNECTIONS_MAX: usize = 64;

/// LIMIT: how long a connection may take for everything.
const CONNECTION: Duration = Duration::from_secs(20);

/// What a witness is run with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// Its signing key; made when it is missing.
    pub key: PathBuf,
    /// Where it remembers what it has cosigned.
    pub memory: PathBuf,
    /// Address and port.
    pub listen: SocketAddr,
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub tls_key: PathBuf,
    /// The verifier keys of the ledgers that it witnesses.
    pub logs: Vec<String>,
}

/// Why a witness does not start.
#[derive(Debug, thiserror::Error)]
pub enum WitnessStartError {
    /// Its key, its memory, or a ledger's key.
    #[error(transparent)]
    SetUp(#[from] WitnessSetUpError),
    /// Its certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Its address.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
}

/// A running witness.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    verifier: String,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

/// Starts a witness.
///
/// # Errors
/// [`WitnessStartError`].
pub fn start(settings: &Settings, clock: Clock) -> Result<Running, WitnessStartError> {
    let cosigning =
        Cosigning::open(&settings.name, &settings.key, &settings.memory, &settings.logs, clock)?;
    let mut tls = listener::server_config(&settings.certificate, &settings.tls_key)?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let address = settings.listen;
    let fail = |source| WitnessStartError::Listen { address, source };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
    let socket = runtime.block_on(TcpListener::bind(address)).map_err(fail)?;
    let address = socket.local_addr().map_err(fail)?;
    let (stop, stopping) = watch::channel(false);
    let verifier = cosigning.verifier();
    let serve = serve(socket, TlsAcceptor::from(Arc::new(tls)), Arc::new(cosigning), stopping);
    let thread = std::thread::Builder::new().name("witness".to_owned());
    let thread = thread.spawn(move || runtime.block_on(serve)).map_err(fail)?;
    Ok(Running { address, verifier, stop, thread })
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that verifies its cosignatures.
    #[must_use]
    pub fn verifier(&self) -> &str {
        &self.verifier
    }

    /// Stops it.
    pub fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.thread.join();
    }
}

async fn serve(
    socket: TcpListener,
    tls: TlsAcceptor,
    cosigning: Arc<Cosigning>,
    mut stopping: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        let (Ok((stream, _)), Ok(place)) = (accepted, Arc::clone(&room).acquire_owned().await)
        else {
            continue;
        };
        let (tls, cosigning) = (tls.clone(), Arc::clone(&cosigning));
        tokio::spawn(async move {
            let _place = place;
            let exchange = async {
                let Ok(stream) = tls.accept(stream).await else { return };
                let answer = service_fn(|request| answer(request, &cosigning));
                let _ = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
            };
            let _ = timeout(CONNECTION, exchange).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    cosigning: &Cosigning,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let path = request.uri().path().to_owned();
    let (status, kind, text) = match (request.method(), path.as_str()) {
        (&Method::POST, "/add-checkpoint") => {
            let body = Limited::new(request.into_body(), WITNESS_REQUEST_BYTES_MAX).collect().await;
            match body {
                Ok(body) => {
                    let CosignAnswer { status, content_type, body } =
                        cosigning.add_checkpoint(&body.to_bytes());
                    (status, content_type, body)
                }
                Err(_) => (400, PLAIN, "the request is too long or broke off\n".to_owned()),
            }
        }
        (&Method::GET, path) => match path.strip_prefix('/').and_then(|p| p.split_once('/')) {
            Some((origin, "checkpoint")) => match cosigning.checkpoint(origin) {
                Some(note) => (200, PLAIN, note),
                None => (404, PLAIN, "nothing was cosigned under this origin\n".to_owned()),
            },
            _ => (404, PLAIN, "a witness answers at /add-checkpoint\n".to_owned()),
        },
        _ => (405, PLAIN, "a witness takes POST at /add-checkpoint\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status.try_into().unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

const PLAIN: &str = "text/plain; charset=utf-8";
