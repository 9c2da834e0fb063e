//! Sockets: from a TCP connection to requests, and a shutdown that ends streams in order.
//!
//! Each worker is a thread with its own runtime, its own listening socket on the shared port
//! (`SO_REUSEPORT`, so that the kernel spreads connections) and its own connections upstream; a
//! request stays on one thread. TLS is in `tls.rs`. HTTP/1.1 and HTTP/2 are picked by ALPN, never
//! by sniffing. This room knows nothing of policies.

mod activity;
mod io;
mod operations;
mod pulse;
mod service;
mod tls;

pub(crate) use io::WriteTimeout;
pub use operations::{Readiness, Ready};
pub use tls::{
    Authorities, Greeting, Tls, TlsError, certificate_expires_at, server_config,
    server_config_for_clients,
};

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config;
use crate::gate::Worker;
use crate::identity::{Peer, PeerCertificate};
use crate::metrics::Metrics;
use activity::Activity;
use pulse::Pulse;

/// LIMIT: what hyper and rustls buffer for one connection. Bulk runs no slower for it, and slow
/// readers cost memory in proportion to it.
const BUFFER_BYTES: usize = 64 * 1024;

/// LIMIT: connections that wait in the kernel.
const BACKLOG: i32 = 1024;

/// How often the runtime looks at sockets, in polls: seldom makes bulk streams starve small ones.
const EVENT_INTERVAL: u32 = 4;

/// A listener that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A thread or its runtime cannot be made.
    #[error("cannot start a worker")]
    Worker(#[source] std::io::Error),
}

/// What a server is made of.
#[derive(Debug)]
pub struct Settings {
    /// Address, workers, drain.
    pub listen: config::Listen,
    /// The operator's listener.
    pub operations: config::Operations,
    /// Limits on callers.
    pub limits: config::Limits,
    /// Certificates and protocols.
    pub tls: Arc<Tls>,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    operations: Option<SocketAddr>,
    drain: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    pulses: Vec<Arc<Pulse>>,
    /// The operator's listener tells of the drain, and ends after it.
    operator: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl Server {
    /// Starts the workers. `make` makes each worker its own gate.
    ///
    /// # Errors
    /// [`ListenError`] if an address is taken or a thread cannot be made.
    pub fn start(
        settings: &Settings,
        readiness: Readiness,
        metrics: Arc<Metrics>,
        make: impl Fn() -> Worker,
    ) -> Result<Self, ListenError> {
        let count = match settings.listen.workers.as_usize() {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            count => count,
        };
        let (drain, draining) = watch::channel(false);
        let connections = Arc::new(Semaphore::new(settings.limits.connections_max.as_usize()));
        let (threads, operator) = (Vec::new(), None);
        let mut server = Self {
            address: settings.listen.address,
            operations: None,
            drain,
            threads,
            pulses: Vec::new(),
            operator,
        };
        if let Some(address) = settings.operations.address {
            let (end, ended) = watch::channel(false);
            let phases = operations::Phases { draining: draining.clone(), ended };
            let (address, thread) = operations::start(address, readiness, metrics, phases)?;
            server.operations = Some(address);
            server.operator = Some((end, thread));
        }
        for index in 0..count {
            // Port 0 is settled by the first worker; the others join it.
            let socket = bind(server.address)?;
            server.address = socket.local_addr().map_err(ListenError::Worker)?;
            let pulse = Arc::new(Pulse::default());
            server.pulses.push(Arc::clone(&pulse));
            let seat = Seat {
                pulse,
                worker: Arc::new(make()),
                limits: settings.limits.clone(),
                drain_time: settings.listen.drain_seconds.duration(),
                tls: Arc::clone(&settings.tls),
                connections: Arc::clone(&connections),
                draining: draining.clone(),
            };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .event_interval(EVENT_INTERVAL)
                .build()
                .map_err(ListenError::Worker)?;
            let thread = std::thread::Builder::new().name(format!("worker-{index}"));
            let run = move || {
                if let Err(error) = runtime.block_on(seat.serve(socket)) {
                    tracing::error!(%error, "a worker cannot accept connections");
                }
            };
            server.threads.push(thread.spawn(run).map_err(ListenError::Worker)?);
        }
        Ok(server)
    }

    /// Where it listens, with the port that was settled.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the operator's listener is.
    #[must_use]
    pub fn operations(&self) -> Option<SocketAddr> {
        self.operations
    }

    /// True if every worker has done something of late.
    #[must_use]
    pub fn is_alive(&self, longest: Duration) -> bool {
        self.pulses.iter().all(|pulse| pulse.age() <= longest)
    }

    /// Stops accepting, lets running streams end until the deadline, cuts the rest, and returns
    /// when all of them have written their outcome.
    pub fn stop(self) {
        // Nobody listening any more means that all workers have ended already.
        let _ = self.drain.send(true);
        let mut threads = self.threads;
        if let Some((end, thread)) = self.operator {
            for worker in threads.drain(..) {
                joined(worker);
            }
            let _ = end.send(true);
            threads.push(thread);
        }
        threads.into_iter().for_each(joined);
    }
}

fn joined(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a worker ended badly");
    }
}

/// A socket on an address, that may share its port with others of this process.
pub(crate) fn bind(address: SocketAddr) -> Result<std::net::TcpListener, ListenError> {
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    listen().map_err(|source| ListenError::Bind { address, source })
}

/// One worker's place: what it needs to serve connections.
struct Seat {
    worker: Arc<Worker>,
    limits: config::Limits,
    drain_time: Duration,
    tls: Arc<Tls>,
    connections: Arc<Semaphore>,
    draining: watch::Receiver<bool>,
    pulse: Arc<Pulse>,
}

impl Seat {
    async fn serve(self, socket: std::net::TcpListener) -> std::io::Result<()> {
        let listener = TcpListener::from_std(socket)?;
        let seat = Arc::new(self);
        let mut draining = seat.draining.clone();
        let mut open = JoinSet::new();
        let pulse = Arc::clone(&seat.pulse);
        tokio::spawn(async move { pulse.beat().await });
        loop {
            // LIMIT: at connections_max the next one waits in the kernel.
            let place = Arc::clone(&seat.connections).acquire_owned();
            let accepted = tokio::select! {
                _ = draining.wait_for(|draining| *draining) => break,
                accepted = async { (place.await, listener.accept().await) } => accepted,
                Some(_) = open.join_next() => continue,
            };
            let (Ok(place), accepted) = accepted else { break };
            match accepted {
                Ok((tcp, peer)) => seat.take(&mut open, (tcp, peer), Some(place)),
                Err(error) => {
                    // Out of file descriptors, most likely: wait for some to come back.
                    tracing::error!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        // The kernel has made connections that nobody has accepted yet, and would reset them.
        let listener = listener.into_std()?;
        while let Ok((tcp, peer)) = listener.accept() {
            if tcp.set_nonblocking(true).is_ok()
                && let Ok(tcp) = TcpStream::from_std(tcp)
            {
                seat.take(&mut open, (tcp, peer), None);
            }
        }
        drop(listener);
        let all = async { while open.join_next().await.is_some() {} };
        if timeout(seat.drain_time, all).await.is_err() {
            tracing::warn!(count = open.len(), "cut the streams that did not end in time");
            // Aborted tasks drop their disclosures, which writes their outcomes.
            open.shutdown().await;
        }
        Ok(())
    }

    /// LIMIT: one more of an address is closed before its handshake costs anything.
    fn take(
        self: &Arc<Self>,
        open: &mut JoinSet<()>,
        (tcp, peer): (TcpStream, SocketAddr),
        place: Option<OwnedSemaphorePermit>,
    ) {
        if let Ok(of_address) = self.worker.gate.crowd.connection(peer.ip()) {
            let seat = Arc::clone(self);
            open.spawn(async move {
                seat.connection(tcp, peer).await;
                drop((place, of_address));
            });
        }
    }

    async fn connection(&self, tcp: TcpStream, peer: SocketAddr) {
        let limits = &self.limits;
        if tcp.set_nodelay(true).is_err() {
            return;
        }
        let tcp = WriteTimeout::new(tcp, limits.write_timeout_ms.duration());
        let _open = self.worker.gate.metrics.connection();
        let acceptor = TlsAcceptor::from(self.tls.now());
        let handshake = timeout(limits.handshake_timeout_ms.duration(), acceptor.accept(tcp));
        let mut tls = match handshake.await {
            Ok(Ok(tls)) => tls,
            Ok(Err(error)) => {
                self.worker.gate.metrics.handshake_failed();
                return tracing::debug!(%peer, %error, "TLS handshake failed");
            }
            Err(_) => {
                self.worker.gate.metrics.handshake_failed();
                return tracing::debug!(%peer, "TLS handshake took too long");
            }
        };
        tls.get_mut().1.set_buffer_limit(Some(BUFFER_BYTES));
        let leaf = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate = leaf.map(|leaf| Arc::new(PeerCertificate::read(leaf)));
        let address = peer;
        let peer = Peer { address, certificate };
        let is_h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        let ended = match is_h2 {
            true => self.http2(tls, peer).await,
            false => self.http1(tls, peer).await,
        };
        if let Err(error) = ended {
            tracing::debug!(peer = %address, %error, "connection ended badly");
        }
    }

    async fn http1(&self, tls: TlsStream<WriteTimeout>, peer: Peer) -> hyper::Result<()> {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_timeout_ms.duration())
            .max_buf_size(BUFFER_BYTES)
            .max_headers(self.limits.header_count_max.as_usize());
        let activity = Arc::new(Activity::default());
        let connection = http.serve_connection(TokioIo::new(tls), self.service(peer, &activity));
        let mut connection = std::pin::pin!(connection);
        let mut draining = self.draining.clone();
        tokio::select! {
            ended = &mut connection => return ended,
            _ = draining.wait_for(|draining| *draining) => {}
        }
        // A caller may be about to ask, and would lose what it asks on a connection that closes. The
        // answer to its next request says that it is the last one.
        tokio::select! {
            ended = &mut connection => return ended,
            () = activity.busy() => {}
            () = tokio::time::sleep(self.drain_time / 4) => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    }

    async fn http2(&self, tls: TlsStream<WriteTimeout>, peer: Peer) -> hyper::Result<()> {
        let limits = &self.limits;
        let mut http = http2::Builder::new(TokioExecutor::new());
        let header_bytes = u32::try_from(limits.header_bytes_max.get()).unwrap_or(u32::MAX);
        http.timer(TokioTimer::new())
            .max_concurrent_streams(u32::try_from(limits.streams_max.get()).unwrap_or(100))
            .max_header_list_size(header_bytes.saturating_add(16 * 1024))
            .max_send_buf_size(BUFFER_BYTES)
            .max_pending_accept_reset_streams(usize::min(limits.resets_max.as_usize(), 20))
            .keep_alive_interval(Some(Duration::from_secs(20)))
            .keep_alive_timeout(Duration::from_secs(20));
        let activity = Arc::new(Activity::default());
        let connection = http.serve_connection(TokioIo::new(tls), self.service(peer, &activity));
        let mut connection = std::pin::pin!(connection);
        let mut draining = self.draining.clone();
        let idle_max = limits.header_timeout_ms.duration();
        tokio::select! {
            ended = &mut connection => return ended,
            _ = draining.wait_for(|draining| *draining) => {}
            // Pings are no request: who asks for nothing makes room.
            () = activity.idle(idle_max) => {}
            () = activity.flooded(limits.resets_max.get()) => {
                self.worker.gate.crowd.resets();
                return Ok(());
            }
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = &mut connection => ended,
            () = activity.idle(idle_max) => Ok(()),
        }
    }
}
