use std::panic::AssertUnwindSafe;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use super::problem::Problem;
use super::unread::Unread;
use crate::panics::panic_text;

/// Stands before every route: turns away changes that pages of other sites send, turns a handler's panic into an answer, says
/// so when a path leads nowhere, and reads the body before it answers.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let (request, unread) = Unread::of(request);
    let response = answer(request, next).await;
    unread.read_before(response).await
}

async fn answer(request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    if !method.is_safe() && !is_own_page(request.headers()) {
        return Problem::new(
            StatusCode::FORBIDDEN,
            format!(
                "{method} {}: changes from pages of another site are not taken; leave out the Origin header",
                uri.path()
            ),
        )
        .into_response();
    }
    let matched = request.extensions().get::<MatchedPath>().is_some();
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Err(panic) => {
            let reason = panic_text(&*panic);
            tracing::error!("{method} {}: {reason}", uri.path());
            Problem::internal(format!("{method} {}: {reason}", uri.path())).into_response()
        }
        Ok(response) if !matched && is_bare_not_found(&response) => {
            Problem::not_found(format!("nothing is served at {method} {}; `GET /` shows what is", uri.path()))
                .into_response()
        }
        Ok(response) => response,
    }
}

/// A built-in path that does not take the method.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} does not take {method}; the Allow header says what it takes", uri.path()),
    )
}

/// Whether a request comes from a page that this server served, or from no page at all. Any page in the user's browser can
/// reach a server on the loopback.
pub(super) fn is_own_page(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let host = headers.get(header::HOST).map(|host| host.as_bytes()).unwrap_or_default();
    let origin = origin.as_bytes();
    origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://")) == Some(host)
}

fn is_bare_not_found(response: &Response) -> bool {
    response.status() == StatusCode::NOT_FOUND && !response.headers().contains_key(header::CONTENT_TYPE)
}
