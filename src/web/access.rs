//! Who may ask a worker's web server for what: tokens with roles, and the callers that they make.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use subtle::ConstantTimeEq;

use super::problem::Problem;
use crate::config::Config;
use crate::worker::RunError;

/// What a caller of the web server may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Ask: requests with the methods GET, HEAD and OPTIONS.
    Read,
    /// Also change: requests with all methods.
    Write,
}

/// Who sent a request, for the program's own routes: it is an extractor.
///
/// Where the worker has tokens ([`Config::web_token`](crate::Config::web_token)), it is who the request's token, or the session of
/// its browser, stands for. Without tokens everyone is a caller without a name.
///
/// ```
/// use marlowe::axum::{Router, routing::get};
/// use marlowe::{App, Caller, Role};
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
    /// What the caller may do.
    pub role: Role,
    /// The name of the caller's token, if it has one.
    pub name: Option<Arc<str>>,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = axum::response::Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        use axum::response::IntoResponse;
        let outside = || Problem::new(StatusCode::UNAUTHORIZED, "nothing says who sent this request").into_response();
        parts.extensions.get::<Self>().cloned().ok_or_else(outside)
    }
}

/// A secret that lets a caller ask the web server. It is shown nowhere, not even by `Debug`.
///
/// ```
/// use marlowe::{Config, WebToken};
///
/// let config = Config::default()
///     .web_token(WebToken::write("open-sesame").named("ada"))
///     .web_token(WebToken::read("look-around"));
/// assert!(!format!("{config:?}").contains("sesame"));
/// ```
#[derive(Clone)]
pub struct WebToken {
    pub(super) caller: Caller,
    secret: Arc<str>,
}

impl WebToken {
    /// A token whose callers may read.
    pub fn read(secret: &str) -> Self {
        Self { caller: Caller { role: Role::Read, name: None }, secret: secret.into() }
    }

    /// A token whose callers may read and change.
    pub fn write(secret: &str) -> Self {
        Self { caller: Caller { role: Role::Write, name: None }, secret: secret.into() }
    }

    /// Names its callers; see [`Caller::name`].
    pub fn named(mut self, name: &str) -> Self {
        self.caller.name = Some(name.into());
        self
    }

    /// Reads a file of tokens. Each line is `read TOKEN` or `write TOKEN`, and may end with a name; lines that begin with `#` are
    /// comments.
    ///
    /// # Errors
    /// When the file cannot be read, has a line that is none of these, or has no token.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Vec<Self>, RunError> {
        let path = path.as_ref();
        let wrong = |reason: String| {
            RunError::Settings(format!(
                "the web tokens in {}: {reason}; write lines of `read TOKEN` and `write TOKEN`",
                path.display()
            ))
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let mut tokens = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let token = match words.as_slice() {
                [] => continue,
                [first, ..] if first.starts_with('#') => continue,
                ["read", secret] => Self::read(secret),
                ["write", secret] => Self::write(secret),
                ["read", secret, name] => Self::read(secret).named(name),
                ["write", secret, name] => Self::write(secret).named(name),
                // The line is not shown: it may hold a token.
                _ => return Err(wrong(format!("line {} is not understood", number + 1))),
            };
            tokens.push(token);
        }
        if tokens.is_empty() { Err(wrong("there are none".into())) } else { Ok(tokens) }
    }

    pub(super) fn secret(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    /// As a client says it.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.secret)
    }

    pub(crate) fn role(&self) -> Role {
        self.caller.role
    }

    /// Whether it can stand in a header: visible ASCII, and not nothing.
    fn is_valid(&self) -> bool {
        !self.secret.is_empty() && self.secret.chars().all(|c| c.is_ascii_graphic())
    }
}

/// `read:TOKEN` or `write:TOKEN`; a text without a role is a token whose callers may change.
impl From<&str> for WebToken {
    fn from(text: &str) -> Self {
        match text.split_once(':') {
            Some(("read", secret)) => Self::read(secret),
            Some(("write", secret)) => Self::write(secret),
            _ => Self::write(text),
        }
    }
}

impl From<String> for WebToken {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl fmt::Debug for WebToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebToken")
            .field("role", &self.caller.role)
            .field("name", &self.caller.name)
            .finish_non_exhaustive()
    }
}

/// Who may ask a worker for what.
pub(crate) struct Access {
    tokens: Vec<WebToken>,
    read_only: bool,
}

impl Access {
    pub(crate) fn new(config: &Config) -> Self {
        Self { tokens: config.web_tokens.clone(), read_only: config.web_read_only }
    }

    /// Checks that the tokens can be said, and that workers which need a secret of their own have one.
    pub(crate) fn check(config: &Config) -> Result<(), RunError> {
        let tokens = &config.web_tokens;
        if tokens.iter().any(|token| !token.is_valid()) {
            return Err(RunError::Settings(
                "a web token cannot stand in a header: use letters, digits and signs of ASCII, and no blanks".into(),
            ));
        }
        let several = config.workers > 1 || config.standby_replicas > 0 || config.advertise.is_some();
        if !tokens.is_empty() && config.web.is_some() && several && config.cluster_token.is_none() {
            return Err(RunError::Settings(
                "with web tokens, workers need a secret of their own to ask each other: give all of the app's workers the same \
                 --cluster-token (or MARLOWE_CLUSTER_TOKEN)"
                    .into(),
            ));
        }
        Ok(())
    }

    /// Whether callers need a token.
    pub(crate) fn needs_token(&self) -> bool {
        !self.tokens.is_empty()
    }

    pub(super) fn tokens(&self) -> &[WebToken] {
        &self.tokens
    }

    /// Returns the caller that everyone is where no token is needed.
    pub(super) fn anyone(&self) -> Option<Caller> {
        (!self.needs_token()).then_some(Caller { role: Role::Write, name: None })
    }

    /// Returns what a caller may do here.
    pub(super) fn limited(&self, mut caller: Caller) -> Caller {
        if self.read_only {
            caller.role = Role::Read;
        }
        caller
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Returns the caller whose token the request says.
    pub(super) fn by_bearer(&self, headers: &HeaderMap) -> Option<Caller> {
        let said = headers.get(header::AUTHORIZATION)?.as_bytes();
        let (scheme, said) = said.split_at_checked(b"Bearer ".len())?;
        if !scheme.eq_ignore_ascii_case(b"Bearer ") {
            return None;
        }
        self.token(said).map(|token| token.caller.clone())
    }

    /// Returns the token that this is. How long that takes does not tell how much of one is right.
    pub(super) fn token(&self, said: &[u8]) -> Option<&WebToken> {
        // Each is looked at, also after one that is it.
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

    #[test]
    fn tokens_are_read_from_a_file_and_never_shown() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("tokens");
        std::fs::write(&path, "# who may what\nwrite sesame ada\n\n  read look  \n")?;
        let tokens = WebToken::from_file(&path)?;
        assert_eq!(tokens.len(), 2);
        assert_eq!((tokens[0].role(), tokens[0].bearer().as_str()), (Role::Write, "Bearer sesame"));
        assert_eq!((tokens[1].role(), tokens[1].caller.name.as_deref()), (Role::Read, None));
        assert!(!format!("{tokens:?}").contains("sesame"));
        for wrong in ["sesame", "admin sesame", "write", "write sesame ada more", "", "# none"] {
            std::fs::write(&path, wrong)?;
            let error = WebToken::from_file(&path).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("`read TOKEN`") && !error.contains("sesame"), "{wrong}: {error}");
        }
        Ok(())
    }
}
