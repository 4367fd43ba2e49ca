//! A network between workers that is not made of sockets.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use futures_util::future::BoxFuture;
use http_body_util::Full;

use super::request_error::RequestError;

/// Answers the requests to a worker's web server. An error says why there is no answer.
pub(crate) type Serve = Arc<dyn Fn(Request<Body>) -> BoxFuture<'static, Result<Response<Body>, String>> + Send + Sync>;

/// A network, as one process has it.
pub(crate) trait Network: Send + Sync {
    /// Returns where others find this process.
    fn url(&self) -> Arc<str>;

    /// Answers requests to this process with `serve`, until [`stop_serving`](Self::stop_serving).
    fn serve(&self, serve: Serve);

    fn stop_serving(&self);

    /// Carries a request to the process that it names, and the answer back.
    fn carry(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Response<Body>, RequestError>>;
}
