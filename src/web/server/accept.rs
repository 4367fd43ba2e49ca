//! The accept loop of a worker's web server. It limits the open connections, and keeps room for
//! health checks.
//!
//! Up to the cap, a connection may ask for anything. Beyond it there is a small **reserve** of
//! connections. A connection of the reserve may ask for `/healthz` and `/readyz` only, once, and
//! within two seconds. If the reserve is full, its oldest connection is closed for the new one. So
//! a health check gets an answer, however many clients hold connections.
//!
//! If the process may not open another file, a spare file is closed. The connection that takes its
//! place belongs to the reserve.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::connection::{Allowed, Connection, Health};
use super::permit::Permit;
use crate::config::WebLimits;
use crate::threads::Spawner;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// The number of connections beyond the cap that may ask for the worker's health at the same time.
const RESERVE: usize = 64;

/// The minimum lifetime of a connection of the reserve, before it makes room for another.
const RESERVED_FOR_AT_LEAST: Duration = Duration::from_millis(25);

/// The maximum lifetime of a connection of the reserve, including its request.
const RESERVED_FOR_AT_MOST: Duration = Duration::from_secs(2);

/// The minimum time between two log lines about the same thing.
const SAID_EVERY: Duration = Duration::from_secs(5);

/// The time to wait when nothing can be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// The accept loop of a worker's web server.
pub(crate) struct Acceptor {
    pub(crate) worker: Arc<str>,
    pub(crate) listener: TcpListener,
    pub(crate) router: Router,
    pub(crate) limits: WebLimits,
    /// The number of connections that may be open.
    pub(crate) cap: usize,
    pub(crate) spawner: Spawner,
    /// The certificates, if connections begin with a handshake.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<Tls>>,
}

/// A connection of the reserve.
struct Reserved {
    since: Instant,
    /// Closes the connection when it is dropped.
    close: oneshot::Sender<()>,
}

/// A rate limit for one kind of log line.
#[derive(Default)]
struct Seldom(Option<Instant>);

impl Seldom {
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self.0.is_none_or(|last| now - last >= SAID_EVERY);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}

impl Acceptor {
    /// Serves until `stopped` completes. Then it lets the requests in flight finish, and closes
    /// every connection.
    pub(crate) async fn serve(self, stopped: impl Future<Output = ()>) {
        let stop = watch::Sender::new(false);
        tokio::select! {
            biased;
            () = stopped => {}
            () = self.accept(&stop) => {}
        }
        // This closes the listener, so that nobody can connect any more.
        drop(self);
        stop.send_replace(true);
        stop.closed().await;
    }

    async fn accept(&self, stop: &watch::Sender<bool>) {
        let open = Arc::new(AtomicUsize::new(0));
        let mut reserve: VecDeque<Reserved> = VecDeque::new();
        let mut spare = spare();
        let (mut full, mut no_file) = (Seldom::default(), Seldom::default());
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) if open.load(Ordering::Relaxed) < self.cap => {
                    self.begin(stream, self.limits, Allowed::Anything(Permit::of(&open)), stop);
                }
                Ok((stream, _)) => {
                    if full.is_due() {
                        tracing::warn!(
                            worker = %self.worker,
                            "{} connections are open, which is the limit of the web server (--web-connections): new \
                             ones may only ask for /healthz and /readyz until others end",
                            self.cap
                        );
                    }
                    self.reserve(stream, &mut reserve, stop).await;
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if no_file.is_due() {
                        tracing::warn!(
                            worker = %self.worker,
                            "no connection can be accepted: {error}; raise the limit of open files (`ulimit -n`), or \
                             use a smaller --web-connections"
                        );
                    }
                    // The next connection gets the file of the spare, or that of a connection of
                    // the reserve.
                    if spare.take().is_none() && !make_room(&mut reserve).await {
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                    if let Ok(Ok((stream, _))) = tokio::time::timeout(PAUSE, self.listener.accept()).await {
                        self.reserve(stream, &mut reserve, stop).await;
                    }
                    continue;
                }
            }
            if spare.is_none() {
                spare = self::spare();
            }
        }
    }

    /// Takes a connection into the reserve. If the reserve is full, its oldest connection is
    /// closed.
    async fn reserve(&self, stream: TcpStream, reserve: &mut VecDeque<Reserved>, stop: &watch::Sender<bool>) {
        reserve.retain(|reserved| !reserved.close.is_closed());
        if reserve.len() >= RESERVE {
            make_room(reserve).await;
        }
        let mut limits = self.limits;
        for limit in [&mut limits.headers, &mut limits.body, &mut limits.write, &mut limits.idle] {
            *limit = (*limit).min(RESERVED_FOR_AT_MOST);
        }
        let since = Instant::now();
        let (close, closed) = oneshot::channel();
        let allowed = Allowed::Health(Health { closed, until: since + RESERVED_FOR_AT_MOST, cap: self.cap });
        self.begin(stream, limits, allowed, stop);
        reserve.push_back(Reserved { since, close });
    }

    fn begin(&self, stream: TcpStream, limits: WebLimits, allowed: Allowed, stop: &watch::Sender<bool>) {
        // Answers are small, and must not wait for each other. If this fails, the connection is
        // gone, and reading from it will say so.
        let _ = stream.set_nodelay(true);
        let connection = Connection { router: self.router.clone(), limits, allowed };
        let stopping = stop.subscribe();
        #[cfg(feature = "tls")]
        if let Some(acceptor) = self.tls.as_ref().and_then(|tls| tls.acceptor()) {
            let shaken = super::handshake::begin(acceptor, stream);
            self.spawner.spawn(connection.serve_after(shaken, stopping));
            return;
        }
        self.spawner.spawn(connection.serve(stream, stopping));
    }
}

/// Closes the connection that has been in the reserve for longest. Returns whether there was one.
async fn make_room(reserve: &mut VecDeque<Reserved>) -> bool {
    reserve.retain(|reserved| !reserved.close.is_closed());
    let Some(Reserved { since, close }) = reserve.pop_front() else { return false };
    tokio::time::sleep_until(since + RESERVED_FOR_AT_LEAST).await;
    drop(close);
    // Lets the connection's task close it.
    tokio::task::yield_now().await;
    true
}

/// Opens a file that can be closed when no other file can be opened.
fn spare() -> Option<std::fs::File> {
    std::fs::File::open("/dev/null").ok()
}

/// Returns whether an error concerns only the one connection that was to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
