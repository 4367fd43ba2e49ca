//! The HTTP client. It also speaks TLS if there are certificates to trust.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::error::RunError;
use crate::host::{RequestError, chain};
use crate::tls::Tls;

/// The time limit for connecting to another worker.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// The time that an unused connection is kept.
const KEEP_IDLE: Duration = Duration::from_secs(30);

/// The number of unused connections that are kept for each worker.
const IDLE_CONNECTIONS: usize = 16;

/// An HTTP client that keeps connections for later requests. It belongs to the runtime on which it
/// is used.
#[derive(Clone)]
pub(crate) enum HttpClient {
    /// A client for `http` URLs only.
    Plain(Client<HttpConnector, Full<Bytes>>),
    /// A client for `http` and `https` URLs.
    #[cfg(feature = "tls")]
    Tls(Client<hyper_rustls::HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl HttpClient {
    /// Makes a client that trusts the certificates of `tls`.
    pub(crate) fn new(tls: Option<&Arc<Tls>>) -> Result<Self, RunError> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_WITHIN));
        connector.set_nodelay(true);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(KEEP_IDLE).pool_max_idle_per_host(IDLE_CONNECTIONS);
        match tls {
            None => Ok(Self::Plain(builder.build(connector))),
            #[cfg(feature = "tls")]
            Some(tls) => {
                connector.enforce_http(false);
                let connector = hyper_rustls::HttpsConnectorBuilder::new()
                    .with_tls_config(tls.client()?)
                    .https_or_http()
                    .enable_http1()
                    .wrap_connector(connector);
                Ok(Self::Tls(builder.build(connector)))
            }
            #[cfg(not(feature = "tls"))]
            Some(tls) => match **tls {},
        }
    }

    /// Sends a request. The response's body arrives while it is read.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Body>, RequestError> {
        let answered = match self {
            Self::Plain(client) => client.request(request).await,
            #[cfg(feature = "tls")]
            Self::Tls(client) => client.request(request).await,
        };
        match answered {
            Ok(response) => Ok(response.map(Body::new)),
            Err(error) if error.is_connect() => Err(RequestError::Unsent(chain(&error))),
            Err(error) => Err(RequestError::Unanswered(chain(&error))),
        }
    }
}
