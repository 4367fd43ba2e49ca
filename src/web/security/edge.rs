//! The checks before every route: which requests are refused, who sent the others, and which
//! headers tell browsers how to treat the answers.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use marlowe_broker::Clock;

use super::access::{Access, Caller};
use super::hosts::Hosts;
use super::session::{LOGIN, LOGOUT, Sessions};
use super::{hop, login_page};
use crate::cluster::{NotSigned, Signed, Verifier};
use crate::config::Role;
use crate::panics::panic_text;
use crate::peer::READ_PATH;
use crate::web::problem::Problem;
use crate::web::server::Unread;

/// The checks that requests pass before any route.
pub(crate) struct Edge {
    pub(crate) hosts: Hosts,
    pub(crate) access: Access,
    pub(crate) sessions: Sessions,
    /// Checks the signatures of the app's other workers, if they share a secret.
    pub(crate) cluster: Option<Verifier>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The way in which a caller identified itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// By a token in the request.
    Token,
    /// By the cookie of a session.
    Session,
    /// By another worker that forwarded the request.
    Worker,
    /// Not at all, because no token is needed.
    Nothing,
}

/// Runs before every route, in this order:
///
/// 1. Refuses requests that nobody may make here, or that this caller may not make.
/// 2. Reads the body of a signed request, and checks its signature.
/// 3. Runs the route. A panic of the handler, or a path without a route, becomes an error answer.
/// 4. Adds security headers to the answer.
/// 5. Reads the rest of the request's body, and then answers.
pub(crate) async fn guard(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let (mut request, unread) = Unread::of(request);
    let mut response = match edge.refusal(&mut request) {
        None => match with_signed_body(request).await {
            Ok(request) => answer(request, next).await,
            Err(error) => not_signed(&error).into_response(),
        },
        Some(refusal) => {
            // This hands the body, which nobody has read, back to `unread`.
            drop(request);
            refusal
        }
    };
    secure(response.headers_mut());
    unread.read_before(response).await
}

impl Edge {
    /// Returns the answer to a request that is refused. Otherwise it notes in the request who sent
    /// it.
    fn refusal(&self, request: &mut Request) -> Option<Response> {
        let look = |verifier: &Verifier| verifier.look(request.method(), request.uri(), request.headers());
        let is_workers = match self.cluster.as_ref().map_or(Ok(None), look) {
            Ok(Some(signed)) => {
                request.extensions_mut().insert(signed);
                true
            }
            Ok(None) => false,
            Err(error) => return Some(not_signed(&error).into_response()),
        };
        if !is_workers && let Err(problem) = self.hosts.check(request) {
            return Some(problem.into_response());
        }
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        if !method.is_safe() && !is_own_page(request.headers()) {
            let error =
                format!("{method} {path}: changes from pages of another site are refused; leave out the Origin header");
            return Some(Problem::new(StatusCode::FORBIDDEN, error).into_response());
        }
        // Workers authenticate to each other with a secret of their own. `cluster::guard` checks
        // it.
        if path == READ_PATH {
            return None;
        }
        let is_for_all = match path.as_str() {
            "/healthz" | "/readyz" => true,
            LOGIN | LOGOUT => self.access.needs_token(),
            _ => false,
        };
        match self.caller(request, is_workers) {
            Some((caller, said)) => {
                let caller = self.access.limited(caller);
                if !is_for_all && !method.is_safe() && caller.role < Role::Write {
                    return Some(self.may_not_change(&method, &path).into_response());
                }
                // A handler needs to know the caller, but not its secret.
                match said {
                    Said::Token => drop(request.headers_mut().remove(header::AUTHORIZATION)),
                    Said::Session => self.sessions.forget(request.headers_mut()),
                    Said::Worker | Said::Nothing => {}
                }
                request.extensions_mut().insert(caller);
                request.extensions_mut().insert(said);
                None
            }
            None if is_for_all => None,
            None => Some(self.who_is_that(request)),
        }
    }

    fn caller(&self, request: &Request, is_workers: bool) -> Option<(Caller, Said)> {
        let headers = request.headers();
        let by_worker = || hop::caller(headers).filter(|_| is_workers).map(|caller| (caller, Said::Worker));
        let by_token = || self.access.by_bearer(headers).map(|caller| (caller, Said::Token));
        let by_session =
            || self.sessions.caller(&self.access, headers, self.clock.now()).map(|caller| (caller, Said::Session));
        let nobody = || self.access.anyone().map(|caller| (caller, Said::Nothing));
        by_worker().or_else(by_token).or_else(by_session).or_else(nobody)
    }

    fn may_not_change(&self, method: &Method, path: &str) -> Problem {
        let error = if self.access.is_read_only() {
            format!("{method} {path}: this worker refuses changes over the web (--web-read-only); ask another worker")
        } else {
            format!("{method} {path}: the token may only read; use a token whose role is write")
        };
        Problem::new(StatusCode::FORBIDDEN, error)
    }

    /// Returns the answer to a request without a valid token. A browser gets a page on which to
    /// enter one.
    fn who_is_that(&self, request: &Request) -> Response {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        let mut response = if *method == Method::GET && accepts.contains("text/html") {
            login_page::page(StatusCode::UNAUTHORIZED, "", uri.path_and_query().map_or("/", |path| path.as_str()))
        } else {
            let said = headers.contains_key(header::AUTHORIZATION);
            let wrong = if said { "the worker does not know the token" } else { "a token is needed" };
            let error = format!(
                "{method} {}: {wrong}; send one of the worker's tokens (--web-token) as `Authorization: Bearer TOKEN`",
                uri.path()
            );
            Problem::new(StatusCode::UNAUTHORIZED, error).into_response()
        };
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"marlowe\""));
        response
    }
}

/// Reads the body of a request that another worker signed. The body must be the signed one.
async fn with_signed_body(request: Request) -> Result<Request, NotSigned> {
    match request.extensions().get::<Signed>().copied() {
        Some(signed) => {
            let (parts, body) = request.into_parts();
            let body = signed.read(body).await?;
            Ok(Request::from_parts(parts, body.into()))
        }
        None => Ok(request),
    }
}

fn not_signed(error: &NotSigned) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, error.to_string())
}

async fn answer(request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let matched = request.extensions().get::<MatchedPath>().is_some();
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Err(panic) => {
            // A literal text of the program reveals no row, but a formatted text may.
            let text = panic.downcast_ref::<&'static str>().map(|text| format!(": {text}")).unwrap_or_default();
            let what = format!("{method} {}: the handler panicked{text}", uri.path());
            Problem::internal(what, panic_text(&*panic)).into_response()
        }
        Ok(response) if !matched && is_bare_not_found(&response) => {
            Problem::not_found(format!("nothing is served at {method} {}; `GET /` shows what is", uri.path()))
                .into_response()
        }
        Ok(response) => response,
    }
}

/// Returns the answer for a built-in path that does not support the method.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} does not support {method}; the Allow header lists what it supports", uri.path()),
    )
}

const FRAMES: HeaderName = HeaderName::from_static("x-frame-options");

/// Adds headers that tell browsers to believe an answer's type, and not to show the answer inside
/// pages of other sites. A route of the program may set other values.
fn secure(headers: &mut HeaderMap) {
    let has_policy = headers.contains_key(header::CONTENT_SECURITY_POLICY);
    let mut unless_said = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    unless_said(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    unless_said(header::REFERRER_POLICY, "same-origin");
    if !has_policy {
        unless_said(header::CONTENT_SECURITY_POLICY, "frame-ancestors 'none'");
        unless_said(FRAMES, "DENY");
    }
}

/// Adds headers to the answer of a built-in route: a page loads nothing unless it says so, and
/// browsers do not keep it.
pub(crate) async fn secure_built_in(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    headers.entry(FRAMES).or_insert(HeaderValue::from_static("DENY"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Returns whether a request comes from a page that this server served, or from no page at all.
/// This matters because any page in the user's browser can reach a server on the loopback.
pub(crate) fn is_own_page(headers: &HeaderMap) -> bool {
    // Browsers set this header themselves; pages cannot.
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site") {
        return false;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let host = headers.get(header::HOST).map(|host| host.as_bytes()).unwrap_or_default();
    let origin = origin.as_bytes();
    origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://")) == Some(host)
}

fn is_bare_not_found(response: &Response) -> bool {
    response.status() == StatusCode::NOT_FOUND && !response.headers().contains_key(header::CONTENT_TYPE)
}
