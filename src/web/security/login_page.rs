//! The page on which a user enters a token.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::session::{LOGIN, LOGOUT};
use crate::web::page::{Policy, escaped};

const TEMPLATE: &str = include_str!("login.html");

/// Returns the page, with the error `wrong` if it is not empty. After the login the browser goes to
/// the path `to`.
pub(crate) fn page(status: StatusCode, wrong: &str, to: &str) -> Response {
    let page = TEMPLATE.replace("{{wrong}}", &escaped(wrong)).replace("{{to}}", &escaped(local(to)));
    let policy = Policy::of(TEMPLATE).header();
    let never = HeaderValue::from_static("no-store");
    (status, [(header::CONTENT_SECURITY_POLICY, policy), (header::CACHE_CONTROL, never)], Html(page)).into_response()
}

/// Returns `to` if it is a path of this server, and `/` otherwise. `/` also replaces the paths of
/// login and logout.
pub(crate) fn local(to: &str) -> &str {
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
