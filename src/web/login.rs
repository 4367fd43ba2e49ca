//! The page on which a browser says its token, and the way out: `/login` and `/logout`, where tokens are needed.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;

use super::page::{Policy, escaped};
use super::site::Site;

pub(super) const LOGIN: &str = "/login";
pub(super) const LOGOUT: &str = "/logout";

const TEMPLATE: &str = include_str!("login.html");

/// What the page's form says.
#[derive(Deserialize)]
pub(crate) struct Filled {
    token: String,
    /// Where the browser was to go.
    #[serde(default)]
    to: String,
}

/// The page, and after it the way `to` a path.
pub(super) fn page(status: StatusCode, wrong: &str, to: &str) -> Response {
    let page = TEMPLATE.replace("{{wrong}}", &escaped(wrong)).replace("{{to}}", &escaped(local(to)));
    let policy = Policy::of(TEMPLATE).header();
    let never = HeaderValue::from_static("no-store");
    (status, [(header::CONTENT_SECURITY_POLICY, policy), (header::CACHE_CONTROL, never)], Html(page)).into_response()
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

/// A path of this server; `/` for what could lead elsewhere.
pub(super) fn local(to: &str) -> &str {
    let is_local = to.starts_with('/') && !to.starts_with("//") && !to.contains(['\\', '\r', '\n', '\t']);
    if is_local && !to.starts_with(LOGIN) && !to.starts_with(LOGOUT) { to } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_this_server_only() {
        assert_eq!(local("/tables?limit=1"), "/tables?limit=1");
        for elsewhere in
            ["//evil.example", "https://evil.example", "/\\evil.example", "", "javascript:x", "/login", "/\t/evil"]
        {
            assert_eq!(local(elsewhere), "/", "{elsewhere}");
        }
    }
}
