//! The rest of a request's body that no handler read. It is read before the request is answered.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The time that the rest of an unread body may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(2);

/// The rest of a request's body, if the handler did not read it to its end.
///
/// A server that answers before it has read the body closes the connection afterwards. The client
/// may then lose the answer, or send its next request on a connection that is gone. So the rest is
/// read before the answer is sent.
pub(crate) struct Unread(Option<oneshot::Receiver<Body>>);

impl Unread {
    /// Watches the body of a request. This costs nothing if there is none.
    pub(crate) fn of(request: Request) -> (Request, Self) {
        // A client that sends `Expect` sends the body only when it is asked to.
        if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
            return (request, Self(None));
        }
        let (dropped, rest) = oneshot::channel();
        (request.map(|body| Body::new(WatchedBody { body, dropped: Some(dropped) })), Self(Some(rest)))
    }

    /// Reads what is left. If that takes too long, the answer says that the connection ends with
    /// it.
    pub(crate) async fn read_before(self, mut response: Response) -> Response {
        if let Some(rest) = self.0.and_then(|mut rest| rest.try_recv().ok())
            && timeout(ARRIVES_WITHIN, discard(rest)).await.is_err()
        {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

async fn discard(mut body: Body) {
    // If the client breaks off, there is nothing left to read.
    while let Some(Ok(_)) = body.frame().await {}
}

/// A body that is handed back when it is dropped before its end.
struct WatchedBody {
    body: Body,
    dropped: Option<oneshot::Sender<Body>>,
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.dropped = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        if let Some(dropped) = self.dropped.take().filter(|_| !self.body.is_end_stream()) {
            // This fails if nobody waits for it any more.
            let _ = dropped.send(std::mem::take(&mut self.body));
        }
    }
}
