//! One connection of a worker's web server, with the limits on the time that its client may take.
//!
//! ```text
//!           first byte of a request      end of its headers      end of its answer
//!   idle -------------------------> head -----------------> busy -----------------> idle
//!   (60 s)                          (10 s)                  (no limit here)
//! ```
//!
//! hyper has one timeout for the first two states, so both are checked here. While a request is
//! in flight, other limits apply: a body that makes no progress ends with an error, and so does a
//! socket that takes nothing of the answer.

use std::future::poll_fn;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use futures_util::FutureExt;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, Sleep};
use tower_service::Service;

use super::permit::Permit;
use crate::config::WebLimits;
use crate::panics::panic_text;
use crate::web::problem::Problem;

/// The size of the buffer for a request, or for an answer, of one connection, in bytes.
const BUFFER: usize = 64 << 10;

/// The requests that a connection may make.
pub(crate) enum Allowed {
    /// Requests for any path. The connection counts against the cap.
    Anything(Permit),
    /// One request for the worker's health, because the cap is reached.
    Health(Health),
}

/// The limits of a connection that may ask for the worker's health only.
pub(crate) struct Health {
    /// Completes when the connection must be closed.
    pub(crate) closed: oneshot::Receiver<()>,
    /// The time at which the connection is closed at the latest.
    pub(crate) until: Instant,
    /// The number of other connections that may be open.
    pub(crate) cap: usize,
}

/// A connection that was accepted.
pub(crate) struct Connection {
    pub(crate) router: Router,
    pub(crate) limits: WebLimits,
    pub(crate) allowed: Allowed,
}

/// The state of a connection: the thing that it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// The first byte of a request.
    Request,
    /// The rest of a request's head.
    Head,
    /// An answer, which is being made or sent.
    Answer,
}

/// The state of a connection, and the time since when. The socket and the service share it: the
/// socket sees bytes, and the service sees requests.
#[derive(Clone)]
struct Phase(Arc<Mutex<(Awaited, Instant)>>);

impl Phase {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((Awaited::Request, Instant::now()))))
    }

    fn bytes_came(&self) {
        let mut phase = self.0.lock();
        if phase.0 == Awaited::Request {
            *phase = (Awaited::Head, Instant::now());
        }
    }

    fn is_now(&self, awaited: Awaited) {
        *self.0.lock() = (awaited, Instant::now());
    }

    /// Returns the time at which the state becomes overdue, if it has a limit.
    fn deadline(&self, limits: &WebLimits) -> Option<Instant> {
        let (awaited, since) = *self.0.lock();
        match awaited {
            Awaited::Request => Some(since + limits.idle),
            Awaited::Head => Some(since + limits.headers),
            Awaited::Answer => None,
        }
    }
}

impl Connection {
    /// Serves until the client is gone or takes too long, or until `closed` completes. Once
    /// `stopping` is set, it ends after the request in flight.
    pub(crate) async fn serve(
        self,
        socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        stopping: watch::Receiver<bool>,
    ) {
        // A panic in an answer's body, which is code of the program, ends this connection only.
        if let Err(panic) = AssertUnwindSafe(self.carry(socket, stopping)).catch_unwind().await {
            tracing::error!("an answer of the web server broke off: {}", panic_text(&*panic));
        }
    }

    /// Serves the connection that results from a TLS handshake. The handshake may take as long as a
    /// request's head.
    #[cfg(feature = "tls")]
    pub(crate) async fn serve_after<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
        mut self,
        handshake: impl Future<Output = io::Result<S>>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let (mut until, mut closed) = (Instant::now() + self.limits.headers, None);
        if let Allowed::Health(health) = &mut self.allowed {
            until = until.min(health.until);
            closed = Some(&mut health.closed);
        }
        let closed = async {
            match closed {
                Some(closed) => drop(closed.await),
                None => std::future::pending().await,
            }
        };
        let shaken = tokio::select! {
            biased;
            shaken = handshake => shaken,
            () = closed => return,
            // If the server is gone, it has stopped as well.
            _ = stopping.wait_for(|is_stopping| *is_stopping) => return,
            () = tokio::time::sleep_until(until) => return,
        };
        match shaken {
            Ok(socket) => self.serve(socket, stopping).await,
            Err(error) => tracing::debug!("a connection of the web server did not begin: {error}"),
        }
    }

    async fn carry(
        self,
        socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        mut stopping: watch::Receiver<bool>,
    ) {
        let Self { router, limits, allowed } = self;
        let phase = Phase::new();
        let (permit, health) = match allowed {
            Allowed::Anything(permit) => (Some(permit), None),
            Allowed::Health(health) => (None, Some(health)),
        };
        let (over, last) = (health.as_ref().map(|health| health.cap), health.as_ref().map(|health| health.until));
        let socket = ClientSocket { socket, phase: phase.clone(), limit: limits.write, stalled: None, _permit: permit };
        let answers = Answers { router, phase: phase.clone(), body: limits.body, over };
        let service = service_fn(move |request| answers.answer(request));
        let mut builder = http1::Builder::new();
        builder.header_read_timeout(None).max_buf_size(BUFFER);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(socket), service).with_upgrades());
        let mut closed = pin!(async move {
            match health {
                Some(health) => drop(health.closed.await),
                None => std::future::pending().await,
            }
        });
        let mut is_stopping = *stopping.borrow_and_update();
        if is_stopping {
            connection.as_mut().graceful_shutdown();
        }
        loop {
            // The limit of a head that begins after this look cannot expire before the next look.
            let next_look = Instant::now() + limits.headers;
            let look = phase.deadline(&limits).map_or(next_look, |deadline| deadline.min(next_look));
            let look = last.map_or(look, |last| last.min(look));
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!("a connection of the web server ended: {error}");
                    }
                    return;
                }
                () = closed.as_mut() => return,
                changed = stopping.changed(), if !is_stopping => {
                    // If the server is gone, it has stopped as well.
                    is_stopping = changed.is_err() || *stopping.borrow_and_update();
                    if is_stopping {
                        connection.as_mut().graceful_shutdown();
                    }
                }
                () = tokio::time::sleep_until(look) => {
                    let now = Instant::now();
                    let is_overdue = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
                    if is_overdue(last) || is_overdue(phase.deadline(&limits)) {
                        return;
                    }
                }
            }
        }
    }
}

/// The service that answers the requests of a connection.
struct Answers {
    router: Router,
    phase: Phase,
    /// The time for which a body may make no progress.
    body: Duration,
    /// The cap, if this connection is beyond it.
    over: Option<usize>,
}

impl Answers {
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<AnswerBody>, std::convert::Infallible>> + use<> {
        self.phase.is_now(Awaited::Answer);
        let (phase, over) = (self.phase.clone(), self.over);
        let is_late = Arc::new(AtomicBool::new(false));
        let (limit, late) = (self.body, is_late.clone());
        let request = request.map(|body| {
            if body.is_end_stream() {
                return Body::empty();
            }
            Body::new(Progressing { body, limit, stalled: None, is_late: late })
        });
        let mut router = self.router.clone();
        async move {
            let response = match over {
                Some(cap) if !matches!(request.uri().path(), "/healthz" | "/readyz") => {
                    over_the_cap(cap).into_response()
                }
                _ => {
                    // A router is always ready.
                    let Ok(()) =
                        poll_fn(|context| <Router as Service<Request<Body>>>::poll_ready(&mut router, context)).await;
                    let Ok(response) = router.call(request).await;
                    response
                }
            };
            let mut response = if is_late.load(Ordering::Relaxed) { too_late(limit).into_response() } else { response };
            if over.is_some() || is_late.load(Ordering::Relaxed) {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| AnswerBody { body, phase }))
        }
    }
}

fn over_the_cap(cap: usize) -> Problem {
    Problem::not_now(format!(
        "the worker has {cap} open connections, which is its limit (--web-connections): try again when others have \
         ended; until then it answers only /healthz and /readyz"
    ))
}

fn too_late(limit: Duration) -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        format!("nothing of the request's body came for {limit:?}: send it again, without such a pause"),
    )
}

/// A socket that reports incoming bytes, and fails if the client does not take outgoing ones.
struct ClientSocket<S> {
    socket: S,
    phase: Phase,
    limit: Duration,
    /// Runs while bytes wait that the client does not take.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Held while the socket is open, even after an upgrade of the connection.
    _permit: Option<Permit>,
}

impl<S> ClientSocket<S> {
    fn progress<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let limit = self.limit;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(stalled.as_mut().poll(context));
        self.stalled = None;
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, format!("the client took nothing for {limit:?}"))))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientSocket<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = room.filled().len();
        let read = ready!(Pin::new(&mut self.socket).poll_read(context, room));
        if room.filled().len() > before {
            self.phase.bytes_came();
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ClientSocket<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.progress(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, parts);
        self.progress(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(context);
        self.progress(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.socket).poll_shutdown(context);
        self.progress(context, shut)
    }
}

/// A request's body that ends with an error if it makes no progress while it is read.
struct Progressing {
    body: Incoming,
    limit: Duration,
    /// Runs while a reader waits.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Set when the body has ended with this error.
    is_late: Arc<AtomicBool>,
}

impl HttpBody for Progressing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { body, limit, stalled, is_late } = &mut *self;
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
            *stalled = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)));
        }
        let waiting = stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(*limit)));
        ready!(waiting.as_mut().poll(context));
        is_late.store(true, Ordering::Relaxed);
        let late = io::Error::new(io::ErrorKind::TimedOut, "the body made no progress");
        Poll::Ready(Some(Err(axum::Error::new(late))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body. When it is dropped, the request is not in flight any more.
struct AnswerBody {
    body: Body,
    phase: Phase,
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.phase.is_now(Awaited::Request);
    }
}
