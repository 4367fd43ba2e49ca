//! The thread of the program's own routes. A handler that blocks holds up other routes of the
//! program there, but nothing that the worker serves itself.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::{mpsc, oneshot};
use tower_layer::Layer;
use tower_service::Service;

use crate::threads::Thread;
use crate::web::problem::Problem;

/// The number of pieces of an answer that may wait for the client to take them.
const PIECES: usize = 2;

/// A layer that answers requests on another thread.
#[derive(Clone)]
pub(crate) struct Apart {
    thread: Thread,
}

impl Apart {
    pub(crate) fn on(thread: Thread) -> Self {
        Self { thread }
    }
}

impl<S> Layer<S> for Apart {
    type Service = RoutesApart<S>;

    fn layer(&self, inner: S) -> RoutesApart<S> {
        RoutesApart { thread: self.thread.clone(), inner }
    }
}

/// The routes that are answered on the other thread.
#[derive(Clone)]
pub(crate) struct RoutesApart<S> {
    thread: Thread,
    inner: S,
}

/// A panic on its way to the thread that asked.
type Panic = Box<dyn Any + Send>;

impl<S> Service<Request> for RoutesApart<S>
where
    S: Service<Request, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let inner = self.inner.clone();
        // The service that was polled as ready must be the one that is called. The clone replaces
        // it.
        let mut inner = std::mem::replace(&mut self.inner, inner);
        let thread = self.thread.clone();
        Box::pin(async move {
            // If the client goes away, this future is dropped with `here`, and the request is
            // cancelled.
            let (here, gone) = oneshot::channel::<Infallible>();
            let spawner = thread.spawner();
            let answered = thread.run(move || async move {
                let answer = async move {
                    let Ok(response) = inner.call(request).await;
                    let (head, body) = response.into_response().into_parts();
                    let (body, rest) = begin(body).await;
                    if let Some(rest) = rest {
                        spawner.spawn(rest.send());
                    }
                    Response::from_parts(head, body)
                };
                let answer = pin!(AssertUnwindSafe(answer).catch_unwind());
                match select(answer, gone).await {
                    Either::Left((answer, _)) => Some(answer),
                    Either::Right(_) => None,
                }
            });
            let answered: Option<Result<Response, Panic>> = answered.await.ok().flatten();
            drop(here);
            match answered {
                Some(Ok(response)) => Ok(response),
                Some(Err(panic)) => resume_unwind(panic),
                None => Ok(Problem::not_now("the worker is stopping: ask another one, or try again").into_response()),
            }
        })
    }
}

/// The rest of an answer's body. The program makes it while it is sent.
struct Rest {
    body: Body,
    pieces: mpsc::Sender<Result<Frame<Bytes>, axum::Error>>,
}

impl Rest {
    /// Makes the rest, until the body ends or the client is gone.
    async fn send(mut self) {
        let pieces = self.pieces.clone();
        let making = async {
            while let Some(piece) = self.body.frame().await {
                if self.pieces.send(piece).await.is_err() {
                    return;
                }
            }
        };
        // The program's code may also panic here. The client then sees an answer that breaks off.
        let made = AssertUnwindSafe(select(pin!(making), pin!(pieces.closed()))).catch_unwind().await.map(|_| ());
        if let Err(panic) = made {
            let text = crate::panics::panic_text(&*panic);
            tracing::error!("the body of an answer broke off: {text}");
            let error = axum::Error::new(std::io::Error::other("the body broke off"));
            // This fails if nobody waits for the body any more.
            let _ = pieces.send(Err(error)).await;
        }
    }
}

/// Splits a body that goes to another thread. A body that is complete already goes as one piece.
/// Otherwise the pieces follow, and the second value makes them.
async fn begin(mut body: Body) -> (Body, Option<Rest>) {
    let size = body.size_hint();
    if body.is_end_stream() {
        return (Body::empty(), None);
    }
    // Most answers are one piece.
    let first = match body.frame().now_or_never() {
        Some(Some(Ok(frame))) => match (frame.into_data(), body.is_end_stream()) {
            (Ok(data), true) => return (Body::from(data), None),
            (Ok(data), false) => Some(Ok(Frame::data(data))),
            (Err(other), _) => Some(Ok(other)),
        },
        Some(Some(Err(error))) => Some(Err(error)),
        Some(None) => return (Body::empty(), None),
        None => None,
    };
    let (pieces, coming) = mpsc::channel(PIECES);
    (Body::new(Pieces { first, coming, size }), Some(Rest { body, pieces }))
}

/// A body whose pieces are made on another thread.
struct Pieces {
    first: Option<Result<Frame<Bytes>, axum::Error>>,
    coming: mpsc::Receiver<Result<Frame<Bytes>, axum::Error>>,
    size: SizeHint,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => self.coming.poll_recv(context),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}
