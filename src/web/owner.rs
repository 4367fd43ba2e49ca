use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::{OriginalUri, Request};
use axum::http::{HeaderName, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use marlowe_broker::{Partition, Partitioner};
use tokio::time::{Instant, timeout_at};

use super::access::Caller;
use super::hop;
use super::hop::Hop;
use super::problem::Problem;
use crate::cluster::Signed;
use crate::codec::Key;
use crate::host::RequestError;
use crate::limits::after;
use crate::peer::WAIT_AT_MOST;
use crate::query::{Elsewhere, Found, PeerRefusal, RouteError, Routes, Unavailable};
use crate::scope::WorkerScope;
use crate::table::{AsKey, Keyspace, Table};

/// The way to the worker that owns a key of a table, for requests to the program's own routes. Made by
/// [`WebState::owner_of`](crate::WebState::owner_of).
///
/// It makes a layer that answers each request at the owner of the key in its path ([`by_path`](Self::by_path)) or query
/// ([`by_query`](Self::by_query)), or takes one request there ([`forward`](Self::forward)).
pub struct OwnerOf<K> {
    routes: Arc<Routes>,
    worker: Arc<str>,
    table: Arc<str>,
    partitioner: Partitioner,
    deadline: Duration,
    body_limit: usize,
    headers: Arc<[HeaderName]>,
    key: std::marker::PhantomData<fn() -> K>,
}

impl<K> Clone for OwnerOf<K> {
    fn clone(&self) -> Self {
        Self {
            routes: self.routes.clone(),
            worker: self.worker.clone(),
            table: self.table.clone(),
            partitioner: self.partitioner,
            deadline: self.deadline,
            body_limit: self.body_limit,
            headers: self.headers.clone(),
            key: self.key,
        }
    }
}

impl<K> fmt::Debug for OwnerOf<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnerOf({})", self.table)
    }
}

/// Where a request is answered.
#[derive(Debug)]
pub enum Forwarded {
    /// In this process: the key is owned here.
    Here(Request),
    /// Elsewhere; or nowhere, and the response says why.
    Elsewhere(Response),
}

impl<K: Key> OwnerOf<K> {
    pub(crate) fn new<V: 'static>(scope: &WorkerScope, table: Table<K, V>) -> Self {
        let settings = table.0.settings();
        assert!(
            settings.keyspace == Keyspace::Partitioned,
            "table `{}` has rows of its own in each partition, so no key has an owner to route to",
            table.name()
        );
        Self {
            routes: scope.routes.clone(),
            worker: scope.worker.clone(),
            table: table.0.identity.name.clone(),
            partitioner: settings.partitioner,
            deadline: Duration::from_secs(10),
            body_limit: 2 << 20,
            headers: Arc::new([]),
            key: std::marker::PhantomData,
        }
    }

    /// Waits so long for an owner, and for the beginning of its answer (default: 10 seconds). A worker that owns the key and is not
    /// ready waits for at most a minute of it.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Forwards bodies of up to so many bytes (default: 2 MiB, as axum takes). A body is held until the owner has answered, since
    /// it may have to be sent again, to the next owner.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Forwards these headers of requests also where the workers share no [cluster token](crate::Config::cluster_token) (default:
    /// none).
    ///
    /// Without a token, anybody who can write to the topic of workers can claim to own a key. So a request is then forwarded with the
    /// headers that describe it (`Accept`, `Content-Type`, `Range` and the like), and without cookies, `Authorization` and other headers.
    pub fn headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.headers = names.into_iter().collect();
        self
    }

    /// Takes a request to the worker that owns `key`, if that is in another process: method, path, query, headers and body as
    /// they are; where the workers share no cluster token, only some [headers](Self::headers).
    /// It is forwarded once: a worker that gets it and does not own the key says so, and the next owner is
    /// looked for from here.
    ///
    /// The response is 503 with `Retry-After` when nobody has the key's partition open within the deadline, 502 or 504 when
    /// the owner broke off or did not answer, and 413 when the body is over the limit.
    pub async fn forward(&self, key: impl AsKey<K>, request: Request) -> Forwarded {
        let mut topic_key = Vec::new();
        key.lend(|key| key.encode(&mut topic_key));
        let partition = match self.routes.slices.partitions(&self.table) {
            0 => Partition::new(0),
            partitions => self.partitioner.partition(&topic_key, partitions),
        };
        let is_believed = self.routes.peers().token().is_none() || request.extensions().get::<Signed>().is_some();
        let routed = match Hop::of(request.headers(), is_believed) {
            Ok(None) => self.take_to_owner(partition, request).await,
            Ok(Some(hop)) => self.receive(partition, hop, request).await,
            Err(problem) => Err(problem.into_response()),
        };
        routed.map_or_else(Forwarded::Elsewhere, Forwarded::Here)
    }

    /// A request that another worker forwarded: it is answered here or not at all.
    async fn receive(&self, partition: Partition, hop: Hop, mut request: Request) -> Result<Request, Response> {
        let deadline = Instant::now() + hop.wait.min(WAIT_AT_MOST);
        match self.routes.here(&self.table, partition, hop.generation, deadline).await {
            Ok(_) => {
                hop::forget(request.headers_mut());
                Ok(request)
            }
            Err(PeerRefusal::Misdirected(generation)) => Err(hop::misdirected(
                Problem::new(
                    StatusCode::MISDIRECTED_REQUEST,
                    format!("{} is not with worker `{}`", self.place(partition), self.worker),
                )
                .with("generation", generation),
            )),
            Err(PeerRefusal::Route(error)) => Err(self.nobody(partition, &error).into_response()),
        }
    }

    /// The request itself if it is to be answered here.
    async fn take_to_owner(&self, partition: Partition, request: Request) -> Result<Request, Response> {
        let deadline = after(self.deadline);
        let mut search = self.routes.search(&self.table, partition, deadline);
        let nobody = |absence| self.nobody(partition, &RouteError::Closed(absence)).into_response();
        let mut owner = match search.next().await.map_err(nobody)? {
            Found::Here(_) => return Ok(request),
            Found::Elsewhere(owner) => owner,
        };
        if request.headers().contains_key(header::UPGRADE) {
            let error =
                format!("{} is with worker `{}` at {}: connect there", self.place(partition), owner.worker, owner.url);
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, error).into_response());
        }
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, self.body_limit).await.map_err(|_| {
            let error = format!("{}: a body is forwarded with up to {} bytes", self.place(partition), self.body_limit);
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, error).into_response()
        })?;
        loop {
            let hop = Hop { generation: owner.generation, wait: search.left() };
            let answered = timeout_at(deadline, self.send(&owner, &parts, body.clone(), hop)).await;
            let absence = match answered {
                Ok(Ok(response)) if hop::is_misdirected(&response) => Unavailable::Moving,
                Ok(Ok(response)) => return Err(hop::answer(response)),
                Ok(Err(RequestError::Unsent(reason))) => Unavailable::Unreachable {
                    worker: owner.worker.clone(),
                    url: owner.url.clone(),
                    reason: format!("it was not reached: {reason}"),
                },
                // It may have been obeyed. What only asks can be asked again.
                Ok(Err(RequestError::Unanswered(reason))) if parts.method.is_safe() => {
                    Unavailable::Unreachable { worker: owner.worker.clone(), url: owner.url.clone(), reason }
                }
                Ok(Err(RequestError::Unanswered(reason))) => {
                    let error = format!("worker `{}` at {} broke off: {reason}", owner.worker, owner.url);
                    return Err(Problem::new(StatusCode::BAD_GATEWAY, error).into_response());
                }
                Err(_) => {
                    let error =
                        format!("worker `{}` at {} did not answer within {:?}", owner.worker, owner.url, self.deadline);
                    return Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, error).into_response());
                }
            };
            search.missed(absence);
            owner = match search.next().await.map_err(nobody)? {
                // It has moved here meanwhile.
                Found::Here(_) => return Ok(Request::from_parts(parts, body.into())),
                Found::Elsewhere(owner) => owner,
            };
        }
    }

    async fn send(
        &self,
        owner: &Elsewhere,
        parts: &axum::http::request::Parts,
        body: Bytes,
        hop: Hop,
    ) -> Result<Response, RequestError> {
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let unsent = |error: axum::http::Error| RequestError::Unsent(error.to_string());
        let uri: Uri =
            format!("{}{path}", owner.url).parse().map_err(|error| unsent(axum::http::Error::from(error)))?;
        let mut request = axum::http::Request::new(body);
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = uri;
        let peers = self.routes.peers();
        *request.headers_mut() = match peers.token() {
            Some(_) => hop::headers(&parts.headers),
            None => hop::harmless(&parts.headers, &self.headers),
        };
        hop.say(request.headers_mut());
        // The owner believes this worker.
        if let Some(caller) = parts.extensions.get::<Caller>().filter(|_| peers.token().is_some()) {
            hop::say_caller(request.headers_mut(), caller);
        }
        peers.forward(&owner.url, request).await
    }

    fn place(&self, partition: Partition) -> String {
        format!("table `{}`, partition {partition}", self.table)
    }

    fn nobody(&self, partition: Partition, error: &RouteError) -> Problem {
        Problem::not_now(format!("{}: {error}; try again", self.place(partition))).with("partition", partition.get())
    }
}
