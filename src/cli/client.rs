//! The client with which commands ask a running worker over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, StatusCode, header, request};
use http_body_util::{BodyExt, Full, Limited};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::options::{AskedAt, Web};
use crate::config::WebToken;
use crate::error::RunError;
use crate::host::RequestError;
use crate::peer::HttpClient;

/// The time that a running worker may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// The size of the largest answer that is read, in bytes. A page of rows has up to 16 MiB, unless
/// its first row alone is larger.
const LARGEST_ANSWER: usize = 64 << 20;

/// A reason why a running worker did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nothing answers at the address.
    #[error("no worker answers at {address}: start one, or give its address with --web HOST:PORT ({reason})")]
    NoAnswer {
        /// The address that was asked.
        address: SocketAddr,
        /// The failure of the request.
        reason: String,
    },
    /// The client cannot be created.
    #[error(transparent)]
    Client(#[from] Box<RunError>),
    /// `--web off` says that there is no worker to ask.
    #[error(
        "this command asks a running worker, and `--web off` says that there is none: give its address with --web \
         HOST:PORT"
    )]
    Off,
    /// The worker of another program answers.
    #[error(
        "the worker at {address} runs app `{found}`, not `{wanted}`: give the address of the right worker with --web \
         HOST:PORT"
    )]
    OtherApp {
        /// The address that was asked.
        address: SocketAddr,
        /// The app that runs there.
        found: String,
        /// The app of this program.
        wanted: String,
    },
    /// The server that answers is not a worker.
    #[error("the server at {address} is not a Marlowe worker: give the address of a worker with --web HOST:PORT")]
    NoWorker {
        /// The address that was asked.
        address: SocketAddr,
    },
    /// The worker needs a token, or another token.
    #[error(
        "the worker at {address} refuses this caller: {reason}; this command takes the token from --web-token, \
         MARLOWE_WEB_TOKEN or --web-tokens"
    )]
    Unauthorized {
        /// The address that was asked.
        address: SocketAddr,
        /// The reason that the worker gives.
        reason: String,
    },
    /// The worker refused the request.
    #[error("the worker at {address} answers {status}: {reason}")]
    Refused {
        /// The address that was asked.
        address: SocketAddr,
        /// The HTTP status.
        status: u16,
        /// The reason that the worker gives.
        reason: String,
    },
}

/// A running worker of this program, which is asked over HTTP.
pub(crate) struct RunningWorker {
    address: SocketAddr,
    scheme: &'static str,
    token: Option<WebToken>,
    client: HttpClient,
}

impl RunningWorker {
    /// Finds the worker, and checks that it runs app `app`.
    pub(crate) async fn find(at: &AskedAt, app: &str) -> Result<Self, ClientError> {
        let Web::At(address) = at.web else { return Err(ClientError::Off) };
        let client = HttpClient::new(at.tls.as_ref()).map_err(Box::new)?;
        let scheme = if at.tls.is_some() { "https" } else { "http" };
        let worker = Self { address, scheme, token: at.token.clone(), client };
        let (status, health) = worker.ask(Request::get(worker.url("/healthz")), Bytes::new()).await?;
        let health = json(&health);
        match (health.get("app").and_then(Value::as_str), health.get("error").and_then(Value::as_str)) {
            (Some(found), _) if found == app => Ok(worker),
            (Some(found), _) => Err(ClientError::OtherApp { address, found: found.to_owned(), wanted: app.to_owned() }),
            (None, Some(reason)) => {
                Err(ClientError::Refused { address, status: status.as_u16(), reason: reason.to_owned() })
            }
            (None, None) => Err(ClientError::NoWorker { address }),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Box<RawValue>, ClientError> {
        let request = self.with_token(Request::get(self.url(path)));
        self.accept(self.ask(request, Bytes::new()).await?)
    }

    pub(crate) async fn post(&self, path: &str, body: &impl Serialize) -> Result<Box<RawValue>, ClientError> {
        let request = Request::post(self.url(path)).header(header::CONTENT_TYPE, "application/json");
        // This cannot fail, because the bodies consist of text, numbers and JSON.
        let body = serde_json::to_vec(body).unwrap_or_default();
        self.accept(self.ask(self.with_token(request), body.into()).await?)
    }

    /// Returns the error for a server that does not answer as a worker does.
    pub(crate) fn is_none(&self) -> ClientError {
        ClientError::NoWorker { address: self.address }
    }

    fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    fn with_token(&self, request: request::Builder) -> request::Builder {
        match &self.token {
            Some(token) => request.header(header::AUTHORIZATION, token.bearer()),
            None => request,
        }
    }

    async fn ask(&self, request: request::Builder, body: Bytes) -> Result<(StatusCode, Bytes), ClientError> {
        let gone = |reason: String| ClientError::NoAnswer { address: self.address, reason };
        let request = request.body(Full::new(body)).map_err(|error| gone(error.to_string()))?;
        let answered = async {
            let response = self.client.send(request).await.map_err(RequestError::reason)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
            Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
        };
        let late = |_| gone(format!("no answer came within {ANSWER_WITHIN:?}"));
        tokio::time::timeout(ANSWER_WITHIN, answered).await.map_err(late)?.map_err(gone)
    }

    /// Returns the answer as it came. It is not parsed and written again, so its numbers stay as
    /// they are.
    fn accept(&self, (status, body): (StatusCode, Bytes)) -> Result<Box<RawValue>, ClientError> {
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| self.is_none());
        }
        let body = json(&body);
        let reason = body.get("error").and_then(Value::as_str).map_or_else(|| body.to_string(), str::to_owned);
        match status {
            StatusCode::UNAUTHORIZED => Err(ClientError::Unauthorized { address: self.address, reason }),
            _ => Err(ClientError::Refused { address: self.address, status: status.as_u16(), reason }),
        }
    }
}

/// Parses a body as JSON. A body that is not JSON becomes a JSON string.
fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned().into())
}
