//! The callers of a worker's web server, and what they may do.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use subtle::ConstantTimeEq;

use crate::config::{Config, Role, WebToken};
use crate::web::problem::Problem;

/// The sender of a request, for the program's own routes. It is an extractor.
///
/// If the worker has tokens ([`Config::web_token`](crate::Config::web_token)), the caller belongs
/// to the token of the request or of its browser's session. Without tokens, everyone is a caller
/// without a name that may read and change.
/// ```
/// use marlowe::axum::{Router, routing::get};
/// use marlowe::App;
/// use marlowe::config::Role;
/// use marlowe::web::Caller;
///
/// async fn who(caller: Caller) -> String {
///     let may = if caller.role == Role::Write { "change" } else { "read" };
///     format!("{} may {may}", caller.name.as_deref().unwrap_or("somebody"))
/// }
///
/// let mut app = App::new("page-views");
/// app.web(|_| Router::new().route("/who", get(who)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// The role of the caller: what it may do.
    pub role: Role,
    /// The name of the caller's token, if it has one.
    pub name: Option<Arc<str>>,
}

impl Caller {
    /// Returns the caller that a token stands for.
    pub(crate) fn of(token: &WebToken) -> Self {
        Self { role: token.role, name: token.name.clone() }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = axum::response::Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        use axum::response::IntoResponse;
        let outside = || Problem::new(StatusCode::UNAUTHORIZED, "nothing says who sent this request").into_response();
        parts.extensions.get::<Self>().cloned().ok_or_else(outside)
    }
}

/// The rules of a worker's web server: its tokens, and whether it is read-only.
pub(crate) struct Access {
    tokens: Vec<WebToken>,
    read_only: bool,
}

impl Access {
    pub(crate) fn new(config: &Config) -> Self {
        Self { tokens: config.web_tokens.clone(), read_only: config.web_read_only }
    }

    /// Returns whether callers need a token.
    pub(crate) fn needs_token(&self) -> bool {
        !self.tokens.is_empty()
    }

    pub(crate) fn tokens(&self) -> &[WebToken] {
        &self.tokens
    }

    /// Returns the caller that everyone is if no token is needed.
    pub(crate) fn anyone(&self) -> Option<Caller> {
        (!self.needs_token()).then_some(Caller { role: Role::Write, name: None })
    }

    /// Returns the caller with the role that it has on this worker, which may be read-only.
    pub(crate) fn limited(&self, mut caller: Caller) -> Caller {
        if self.read_only {
            caller.role = Role::Read;
        }
        caller
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Returns the caller whose token is in the `Authorization` header of a request.
    pub(crate) fn by_bearer(&self, headers: &HeaderMap) -> Option<Caller> {
        let said = headers.get(header::AUTHORIZATION)?.as_bytes();
        let (scheme, said) = said.split_at_checked(b"Bearer ".len())?;
        if !scheme.eq_ignore_ascii_case(b"Bearer ") {
            return None;
        }
        self.token(said).map(Caller::of)
    }

    /// Returns the token that equals `said`. The time that this takes does not reveal how much of a
    /// guess is right.
    pub(crate) fn token(&self, said: &[u8]) -> Option<&WebToken> {
        // All tokens are compared, even after a match.
        self.tokens
            .iter()
            .fold(None, |found, token| if bool::from(token.secret().ct_eq(said)) { Some(token) } else { found })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn access() -> Access {
        let tokens = vec![WebToken::write("sesame").named("ada"), WebToken::from("read:look"), WebToken::from("a:b")];
        Access { tokens, read_only: false }
    }

    #[test]
    fn only_a_whole_token_as_a_bearer_is_right() {
        let access = access();
        let caller = |text: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(text).unwrap())]);
            access.by_bearer(&headers)
        };
        assert_eq!(caller("Bearer sesame"), Some(Caller { role: Role::Write, name: Some("ada".into()) }));
        assert_eq!(caller("bearer look"), Some(Caller { role: Role::Read, name: None }));
        assert_eq!(caller("Bearer a:b"), Some(Caller { role: Role::Write, name: None }));
        for wrong in
            ["sesame", "Bearer sesam", "Bearer sesame ", "Bearer Sesame", "Basic sesame", "bearer", "", "Bearer "]
        {
            assert_eq!(caller(wrong), None, "{wrong}");
        }
        assert_eq!(access.by_bearer(&HeaderMap::new()), None);
    }
}
