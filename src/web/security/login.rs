//! The routes `/login` and `/logout`, by which a browser begins and ends a session. They exist only
//! if callers need tokens.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::login_page::{local, page};
use crate::web::site::Site;

/// The fields of the login form.
#[derive(Deserialize)]
pub(crate) struct Filled {
    token: String,
    /// The path to which the browser goes after the login.
    #[serde(default)]
    to: String,
}

/// Answers `GET /login`: the login page.
pub(crate) async fn show() -> Response {
    page(StatusCode::OK, "", "/")
}

/// Answers `POST /login`: begins a session.
pub(crate) async fn begin(State(site): State<Arc<Site>>, Form(filled): Form<Filled>) -> Response {
    let edge = &site.edge;
    let session = edge
        .access
        .token(filled.token.trim().as_bytes())
        .and_then(|token| edge.sessions.begin(token, edge.clock.now()));
    match session {
        Some(cookie) => away(local(&filled.to), cookie),
        None => page(StatusCode::UNAUTHORIZED, "The worker does not know this token.", &filled.to),
    }
}

/// Answers `POST /logout`: ends the session.
pub(crate) async fn end(State(site): State<Arc<Site>>) -> Response {
    match site.edge.sessions.end() {
        Some(cookie) => away("/", cookie),
        None => page(StatusCode::OK, "", "/"),
    }
}

fn away(to: &str, cookie: HeaderValue) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, to), (header::SET_COOKIE, cookie)]).into_response()
}
