//! The accept loop of a worker's web server: how many connections there are at a time, and what becomes of those beyond.
//!
//! Up to the cap each connection may ask for anything. Beyond it there is a small **reserve** of connections that may ask for
//! `/healthz` and `/readyz` only, once, and within two seconds. If the reserve is full, the oldest one in it is closed for the next:
//! so whoever looks after the worker gets an answer, however many clients hold connections. Where the process may not open another
//! file, one that was kept spare is closed, and the connection that takes its place is one of the reserve.

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

/// How many connections beyond the cap may ask for the worker's health at a time.
const RESERVE: usize = 64;

/// How long a connection of the reserve has at least, before it makes room for another.
const RESERVED_FOR_AT_LEAST: Duration = Duration::from_millis(25);

/// How long a connection of the reserve has at most, for all of its request and until it is closed.
const RESERVED_FOR_AT_MOST: Duration = Duration::from_secs(2);

/// The time between two lines in the log about the same thing.
const SAID_EVERY: Duration = Duration::from_secs(5);

/// How long to wait where nothing can be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts a worker's connections.
pub(super) struct Acceptor {
    pub(super) worker: Arc<str>,
    pub(super) listener: TcpListener,
    pub(super) router: Router,
    pub(super) limits: WebLimits,
    /// How many connections may be open.
    pub(super) cap: usize,
    pub(super) spawner: Spawner,
    /// The certificates, where connections may begin with a handshake.
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Arc<Tls>>,
}

/// A connection of the reserve.
struct Reserved {
    since: Instant,
    /// Closes the connection when it is dropped.
    close: oneshot::Sender<()>,
}

/// A line of the log that is not repeated all the time.
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
    /// Serves until `stopped`; then lets the requests in hand finish, and closes every connection.
    pub(super) async fn serve(self, stopped: impl Future<Output = ()>) {
        let stop = watch::Sender::new(false);
        tokio::select! {
            biased;
            () = stopped => {}
            () = self.accept(&stop) => {}
        }
        // Nobody is to connect any more.
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
                            "{} connections are open, which is the most that the web server takes (--web-connections): new ones may \
                             ask for /healthz and /readyz only, until others end",
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
                            "no connection can be accepted: {error}; the process may open more files after `ulimit -n`, or the web \
                             server take fewer connections (--web-connections)"
                        );
                    }
                    // The next connection takes the place of the spare file, or of one of the reserve.
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

    /// Takes a connection into the reserve. If that is full, its oldest connection is closed.
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
        // Answers are small, and are not to wait for each other. A connection that is gone says so when it is read.
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

/// Closes the connection that has been in the reserve for longest, if there is one.
async fn make_room(reserve: &mut VecDeque<Reserved>) -> bool {
    reserve.retain(|reserved| !reserved.close.is_closed());
    let Some(Reserved { since, close }) = reserve.pop_front() else { return false };
    tokio::time::sleep_until(since + RESERVED_FOR_AT_LEAST).await;
    drop(close);
    // Its task closes it.
    tokio::task::yield_now().await;
    true
}

/// Opens a file that can be closed where no other can be opened.
fn spare() -> Option<std::fs::File> {
    std::fs::File::open("/dev/null").ok()
}

/// Whether an error tells of the one connection that was to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
