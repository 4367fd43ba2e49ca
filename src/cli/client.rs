use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::arguments::{AskedAt, Web};
use crate::web::WebToken;

/// How long a running worker may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// The largest answer that is read: a page of rows has up to 16 MiB, or one row.
const LARGEST_ANSWER: u64 = 64 << 20;

/// Why a running worker did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// Nobody answers.
    #[error("no worker answers at {address}: start one, or say with --web where it is")]
    NoAnswer {
        /// Where.
        address: SocketAddr,
        /// What was seen.
        source: Box<ureq::Error>,
    },
    /// There is nobody to ask.
    #[error("this asks a running worker, and `--web off` says that there is none: give its HOST:PORT")]
    Off,
    /// Another program's worker answers.
    #[error("the worker at {address} runs app `{found}`, not `{wanted}`: say with --web where the right one is")]
    OtherApp {
        /// Where.
        address: SocketAddr,
        /// The app there.
        found: String,
        /// This program's.
        wanted: String,
    },
    /// It is no worker that answers.
    #[error("what answers at {address} is no worker of Marlowe: say with --web where one is")]
    NoWorker {
        /// Where.
        address: SocketAddr,
    },
    /// It needs a token, or another one.
    #[error(
        "the worker at {address} does not answer everyone: {reason}; here that is --web-token, MARLOWE_WEB_TOKEN or --web-tokens"
    )]
    Unauthorized {
        /// Where.
        address: SocketAddr,
        /// What it says.
        reason: String,
    },
    /// It refused.
    #[error("the worker at {address} answers {status}: {reason}")]
    Refused {
        /// Where.
        address: SocketAddr,
        /// The HTTP status.
        status: u16,
        /// Why.
        reason: String,
    },
}

/// A running worker of this program, over HTTP.
pub(crate) struct RunningWorker {
    address: SocketAddr,
    token: Option<WebToken>,
    agent: ureq::Agent,
}

impl RunningWorker {
    /// Finds it, and makes sure that it runs app `app`.
    pub(crate) fn find(at: &AskedAt, app: &str) -> Result<Self, ClientError> {
        let Web::At(address) = at.web else { return Err(ClientError::Off) };
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_WITHIN))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        let worker = Self { address, token: at.token.clone(), agent: config.into() };
        let (_, health) = worker.answer(worker.agent.get(worker.url("/healthz")).call())?;
        match json(&health).get("app").and_then(Value::as_str) {
            None => Err(ClientError::NoWorker { address }),
            Some(found) if found != app => {
                Err(ClientError::OtherApp { address, found: found.to_owned(), wanted: app.to_owned() })
            }
            Some(_) => Ok(worker),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Result<Box<RawValue>, ClientError> {
        let mut request = self.agent.get(self.url(path));
        if let Some(token) = &self.token {
            request = request.header("authorization", token.bearer());
        }
        self.accept(self.answer(request.call())?)
    }

    pub(crate) fn post(&self, path: &str, body: &impl Serialize) -> Result<Box<RawValue>, ClientError> {
        let request = self.agent.post(self.url(path)).header("content-type", "application/json");
        let request = match &self.token {
            Some(token) => request.header("authorization", token.bearer()),
            None => request,
        };
        // What is asked serializes: it is made of text, numbers and JSON.
        let body = serde_json::to_string(body).unwrap_or_default();
        self.accept(self.answer(request.send(body))?)
    }

    /// That what answers does not answer as a worker does.
    pub(crate) fn is_none(&self) -> ClientError {
        ClientError::NoWorker { address: self.address }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn answer(
        &self,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<(u16, Vec<u8>), ClientError> {
        let gone = |source| ClientError::NoAnswer { address: self.address, source: Box::new(source) };
        let mut response = response.map_err(gone)?;
        let body = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec().map_err(gone)?;
        Ok((response.status().as_u16(), body))
    }

    /// The answer as it came: numbers in it are not read and written again.
    fn accept(&self, (status, body): (u16, Vec<u8>)) -> Result<Box<RawValue>, ClientError> {
        if (200..300).contains(&status) {
            return serde_json::from_slice(&body).map_err(|_| self.is_none());
        }
        let body = json(&body);
        let reason = body.get("error").and_then(Value::as_str).map_or_else(|| body.to_string(), str::to_owned);
        match status {
            401 => Err(ClientError::Unauthorized { address: self.address, reason }),
            _ => Err(ClientError::Refused { address: self.address, status, reason }),
        }
    }
}

/// What a body says in JSON; other text stands for itself.
fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned().into())
}
