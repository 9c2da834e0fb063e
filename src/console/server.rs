//! The console's sockets: TLS, limits on connections and heads, and a stop that lets answers end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::drafting::Drafting;
use super::{Desk, router};
use crate::config;
use crate::gate::Gate;
use crate::identity::{Peer, PeerCertificate};
use crate::listener::{ListenError, Tls, WriteTimeout, bind};
use crate::reload::Reloader;
use crate::upstream::{ProviderClient, Upstream};

/// LIMIT: threads that look things up in the ledger. Each look opens it for itself; a gate has
/// more to do than that.
const LOOKING_THREADS: usize = 4;

/// LIMIT: HTTP/2 streams a connection. A page asks for a handful of things at once.
const STREAMS_MAX: u32 = 32;

/// What a console is made of.
#[derive(Debug)]
pub struct Settings {
    /// Address, names, limits of its own.
    pub console: config::Console,
    /// Limits on callers that it shares with the media listener.
    pub limits: config::Limits,
    /// The ledger, for who reads it beside the gate.
    pub ledger: config::Ledger,
    /// The policy folder.
    pub policies: PathBuf,
    /// What has it loaded.
    pub reloader: Reloader,
    /// Certificates and protocols.
    pub tls: Arc<Tls>,
    /// How long a shutdown waits for answers.
    pub drain_time: Duration,
    /// The key of what forms send back.
    pub form_key: [u8; 32],
    /// The issuer at which people sign in, and how it is reached.
    pub provider: Option<(config::Issuer, ProviderClient)>,
}

/// A running console.
#[derive(Debug)]
pub struct Console {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Console {
    /// Starts it beside a gate, with connections of its own to Twilio.
    ///
    /// # Errors
    /// [`ListenError`] if the address is taken or the thread cannot be made.
    pub fn start(
        settings: Settings,
        gate: Arc<Gate>,
        upstream: Upstream,
    ) -> Result<Self, ListenError> {
        let Settings { console, limits, ledger, policies, reloader, .. } = settings;
        let Settings { tls, drain_time, form_key, provider, .. } = settings;
        let socket = bind(console.address)?;
        let address = socket.local_addr().map_err(ListenError::Worker)?;
        let connections = Arc::new(Semaphore::new(console.connections_max.as_usize()));
        let drafting = Drafting::new(&console, &ledger, policies, reloader);
        let desk = Desk::new(gate, upstream, ledger, console, &form_key, provider, drafting);
        let (stop, stopping) = watch::channel(false);
        let router = router(&desk);
        let seat = Seat { router, limits, drain_time, tls, connections, stopping };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(LOOKING_THREADS)
            .thread_name("console-look")
            .build()
            .map_err(ListenError::Worker)?;
        let run = move || {
            if let Err(error) = runtime.block_on(seat.serve(socket)) {
                tracing::error!(%error, "the console cannot accept connections");
            }
        };
        let thread = std::thread::Builder::new().name("console".to_owned()).spawn(run);
        Ok(Self { address, stop, thread: thread.map_err(ListenError::Worker)? })
    }

    /// Where it listens, with the port that was settled.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets answers end until the deadline, and returns when it is done.
    pub fn stop(self) {
        let _ = self.stop.send(true);
        if self.thread.join().is_err() {
            tracing::error!("the console ended badly");
        }
    }
}

struct Seat {
    router: Router,
    limits: config::Limits,
    drain_time: Duration,
    tls: Arc<Tls>,
    connections: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

impl Seat {
    async fn serve(self, socket: std::net::TcpListener) -> std::io::Result<()> {
        let listener = TcpListener::from_std(socket)?;
        let seat = Arc::new(self);
        let mut stopping = seat.stopping.clone();
        let mut open = tokio::task::JoinSet::new();
        loop {
            // LIMIT: at connections_max the next one waits in the kernel.
            let place = Arc::clone(&seat.connections).acquire_owned();
            let accepted = tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => break,
                accepted = async { (place.await, listener.accept().await) } => accepted,
                Some(_) = open.join_next() => continue,
            };
            let (Ok(place), accepted) = accepted else { break };
            match accepted {
                Ok((tcp, peer)) => {
                    let seat = Arc::clone(&seat);
                    open.spawn(async move {
                        seat.connection(tcp, peer).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::error!(%error, "the console cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        let all = async { while open.join_next().await.is_some() {} };
        if timeout(seat.drain_time, all).await.is_err() {
            tracing::warn!(
                count = open.len(),
                "cut the console's answers that did not end in time"
            );
            open.shutdown().await;
        }
        Ok(())
    }

    async fn connection(&self, tcp: TcpStream, address: SocketAddr) {
        if tcp.set_nodelay(true).is_err() {
            return;
        }
        let tcp = WriteTimeout::new(tcp, self.limits.write_timeout_ms.duration());
        let acceptor = TlsAcceptor::from(self.tls.now());
        let handshake = timeout(self.limits.handshake_timeout_ms.duration(), acceptor.accept(tcp));
        let tls = match handshake.await {
            Ok(Ok(tls)) => tls,
            Ok(Err(error)) => return tracing::debug!(%address, %error, "TLS handshake failed"),
            Err(_) => return tracing::debug!(%address, "TLS handshake took too long"),
        };
        let leaf = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate = leaf.map(|leaf| Arc::new(PeerCertificate::read(leaf)));
        let is_h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        let peer = Peer { address, certificate };
        let service = TowerToHyperService::new(self.router.clone().layer(Extension(peer)));
        let http = self.http(is_h2);
        let connection = http.serve_connection(TokioIo::new(tls), service);
        let mut connection = std::pin::pin!(connection);
        let mut stopping = self.stopping.clone();
        let ended = async {
            tokio::select! {
                ended = &mut connection => return ended,
                _ = stopping.wait_for(|stop| *stop) => {}
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        };
        if let Err(error) = ended.await {
            tracing::debug!(peer = %address, error, "a connection of the console ended badly");
        }
    }

    /// By ALPN, never by sniffing.
    fn http(&self, is_h2: bool) -> auto::Builder<TokioExecutor> {
        let limits = &self.limits;
        let http = auto::Builder::new(TokioExecutor::new());
        let mut http = if is_h2 { http.http2_only() } else { http.http1_only() };
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout_ms.duration())
            .max_buf_size(limits.header_bytes_max.as_usize())
            .max_headers(limits.header_count_max.as_usize());
        let header_bytes = u32::try_from(limits.header_bytes_max.get()).unwrap_or(u32::MAX);
        http.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(header_bytes)
            .keep_alive_interval(Some(Duration::from_secs(20)))
            .keep_alive_timeout(Duration::from_secs(20));
        http
    }
}
