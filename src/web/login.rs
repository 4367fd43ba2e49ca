//! The routes `/login` and `/logout`, by which a browser begins and ends a session, where tokens are needed.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::login_page::{local, page};
use super::site::Site;

/// What the page's form says.
#[derive(Deserialize)]
pub(crate) struct Filled {
    token: String,
    /// Where the browser was to go.
    #[serde(default)]
    to: String,
}

/// `GET /login`: the page.
pub(crate) async fn show() -> Response {
    page(StatusCode::OK, "", "/")
}

/// `POST /login`: begins a session.
pub(crate) async fn begin(State(site): State<Arc<Site>>, Form(filled): Form<Filled>) -> Response {
    let edge = &site.edge;
    let session = edge
        .access
        .token(filled.token.trim().as_bytes())
        .and_then(|token| edge.sessions.begin(token, edge.clock.now()));
    match session {
        Some(cookie) => away(local(&filled.to), cookie),
        None => page(StatusCode::UNAUTHORIZED, "This token is not known here.", &filled.to),
    }
}

/// `POST /logout`: ends the session.
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
