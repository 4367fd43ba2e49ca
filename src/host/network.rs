//! A network between workers that does not use sockets. The simulation has one.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use futures_util::future::BoxFuture;
use http_body_util::Full;

use super::request_error::RequestError;

/// A function that answers the requests to a worker's web server. An error says why there is no
/// answer.
pub(crate) type Serve = Arc<dyn Fn(Request<Body>) -> BoxFuture<'static, Result<Response<Body>, String>> + Send + Sync>;

/// A network, as one process sees it.
pub(crate) trait Network: Send + Sync {
    /// Returns the URL at which other processes find this one.
    fn url(&self) -> Arc<str>;

    /// Answers requests to this process with `serve`, until [`stop_serving`](Self::stop_serving).
    fn serve(&self, serve: Serve);

    fn stop_serving(&self);

    /// Sends a request to the process that its URL names, and returns the response.
    fn carry(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Response<Body>, RequestError>>;
}
