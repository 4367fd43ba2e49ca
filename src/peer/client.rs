//! The client that asks other workers over HTTP.

use std::error::Error;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use marlowe_broker::Offset;
use marlowe_state::SlicePosition;
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::error::PeerError;
use super::http::HttpClient;
use super::question::Answer;
use super::wire::{Asked, READ_PATH, decode_answer, encode_question};
use crate::cluster::{ClusterToken, Signer};
use crate::error::RunError;
use crate::host::{Host, Network, RequestError, chain};
use crate::tls::Tls;

/// The largest answer that is read, in bytes. An answer of rows is smaller, unless a single row is
/// that large.
const MAX_ANSWER: usize = 64 << 20;

/// Asks other workers over HTTP. One instance serves the whole process. Its connections live on
/// their own runtime, so that they do not wait for a busy thread.
#[derive(Clone)]
pub(crate) struct Peers {
    runtime: Handle,
    wire: Wire,
    signer: Option<Signer>,
}

/// The transport of requests.
#[derive(Clone)]
enum Wire {
    Http(HttpClient),
    Carried(Arc<dyn Network>),
}

impl Wire {
    fn new(host: &dyn Host, tls: Option<&Arc<Tls>>) -> Result<Self, RunError> {
        match host.network() {
            None => Ok(Self::Http(HttpClient::new(tls)?)),
            Some(network) => Ok(Self::Carried(network)),
        }
    }

    async fn carry(&self, request: Request<Full<Bytes>>) -> Result<Response<Body>, RequestError> {
        match self {
            Self::Http(client) => client.send(request).await,
            Self::Carried(network) => network.carry(request).await,
        }
    }
}

/// The means that secure requests between workers.
#[derive(Clone, Default)]
pub(crate) struct PeerSecurity {
    /// Signs requests, if the workers share a secret.
    pub(crate) signer: Option<Signer>,
    /// Encrypts requests, if the workers have certificates.
    pub(crate) tls: Option<Arc<Tls>>,
}

/// The body of a response that is not an answer.
#[derive(Deserialize)]
struct Refusal {
    error: String,
    position: Option<RefusalPosition>,
}

#[derive(Deserialize)]
struct RefusalPosition {
    changelog: u64,
    inbox: u64,
}

impl Peers {
    /// Forwards a request to the worker at `url`. The response's body arrives while it is read.
    pub(crate) async fn forward(&self, url: &str, request: Request<Bytes>) -> Result<Response<Body>, RequestError> {
        let (wire, request) = (self.wire.clone(), self.signed(url, request));
        let mut answering = RequestInFlight(self.runtime.spawn(async move { wire.carry(request).await }));
        (&mut answering.0).await.unwrap_or_else(|ended| Err(RequestError::Unsent(unfinished(&ended))))
    }

    /// Returns the secret that the workers share, if there is one.
    pub(crate) fn token(&self) -> Option<&ClusterToken> {
        self.signer.as_ref().map(|signer| &signer.token)
    }

    /// Makes a client whose connections live on `runtime`. It signs its requests if `security` has
    /// a signer.
    pub(crate) fn new(runtime: Handle, host: &dyn Host, security: PeerSecurity) -> Result<Self, RunError> {
        let PeerSecurity { signer, tls } = security;
        Ok(Self { runtime, wire: Wire::new(host, tls.as_ref())?, signer })
    }

    fn signed(&self, url: &str, mut request: Request<Bytes>) -> Request<Full<Bytes>> {
        if let Some(signer) = &self.signer {
            signer.sign(url, &mut request);
        }
        request.map(Full::new)
    }

    /// Asks the worker at `url`. Dropping the future cancels the question.
    pub(crate) async fn ask(&self, url: &str, asked: &Asked) -> Result<Answer, PeerError> {
        let refused = |error: &dyn Error| PeerError::Refused(error.to_string());
        let body = encode_question(asked).map_err(|error| refused(&error))?;
        let request = Request::post(format!("{url}{READ_PATH}")).body(body).map_err(|error| refused(&error))?;
        let request = self.signed(url, request);
        let wire = self.wire.clone();
        let mut answering = RequestInFlight(self.runtime.spawn(async move {
            let response = wire.carry(request).await.map_err(|lost| PeerError::Unreachable(lost.reason()))?;
            let status = response.status();
            let body =
                Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|error| unreachable(&*error))?;
            read(status, &body.to_bytes())
        }));
        match (&mut answering.0).await {
            Ok(Ok(answer)) if !answer.found.answers(&asked.question) => Err(PeerError::Refused(
                "its answer does not fit the request: run the same version of Marlowe on all workers".into(),
            )),
            Ok(answer) => answer,
            Err(ended) => Err(PeerError::Unreachable(unfinished(&ended))),
        }
    }
}

/// A request in flight. Dropping it cancels the request.
struct RequestInFlight<T>(JoinHandle<T>);

impl<T> Drop for RequestInFlight<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Reads a response: an answer, or the reason why there is none.
pub(super) fn read(status: StatusCode, body: &[u8]) -> Result<Answer, PeerError> {
    if status == StatusCode::OK {
        return decode_answer(body).map_err(|error| {
            PeerError::Refused(format!(
                "its answer is not understood ({error}): run the same version of Marlowe on all workers"
            ))
        });
    }
    let refusal: Refusal = serde_json::from_slice(body)
        .unwrap_or_else(|_| Refusal { error: format!("it answers {status}"), position: None });
    Err(match status {
        StatusCode::MISDIRECTED_REQUEST => PeerError::Misdirected,
        StatusCode::SERVICE_UNAVAILABLE => PeerError::NotNow {
            reason: refusal.error,
            position: refusal.position.map(|position| SlicePosition {
                changelog: Offset::new(position.changelog),
                inbox: Offset::new(position.inbox),
                ..SlicePosition::default()
            }),
        },
        StatusCode::UNAUTHORIZED => PeerError::Refused(refusal.error),
        _ => PeerError::Refused(format!("it answers {status}: {}", refusal.error)),
    })
}

fn unreachable(error: &(dyn Error + 'static)) -> PeerError {
    PeerError::Unreachable(chain(error))
}

/// Returns the reason why a request's task did not finish.
fn unfinished(ended: &tokio::task::JoinError) -> String {
    if ended.is_panic() { format!("asking panicked: {ended}") } else { "this process is stopping".to_owned() }
}
