//! The forwarding of a request to the worker that owns a key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::{OriginalUri, Request};
use axum::http::{HeaderName, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use marlowe_broker::{Partition, Partitioner};
use tokio::time::{Instant, timeout_at};

use super::problem::Problem;
use super::security::{Caller, Hop, hop};
use crate::cluster::Signed;
use crate::codec::Key;
use crate::host::RequestError;
use crate::limits::after;
use crate::peer::WAIT_AT_MOST;
use crate::query::{Elsewhere, FoundPartition, PeerRefusal, RouteError, Routes, Unavailable};
use crate::scope::WorkerScope;
use crate::table::{AsKey, Keyspace, Table};

/// A route to the workers that own a table's keys, for requests to the program's own routes. Made
/// by [`WebState::owner_of`](crate::web::WebState::owner_of).
///
/// It can make a layer that answers each request at the owner of the key in the request's path
/// ([`by_path`](Self::by_path)) or query ([`by_query`](Self::by_query)). It can also forward a
/// single request ([`forward`](Self::forward)).
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

/// The place where a request is answered.
#[derive(Debug)]
pub enum Forwarded {
    /// In this process, because the key is owned here. The request is handed back for that.
    Here(Request),
    /// Elsewhere: the owner's response. If there is no owner to ask, the response says why.
    Elsewhere(Response),
}

impl<K: Key> OwnerOf<K> {
    pub(crate) fn new<V: 'static>(scope: &WorkerScope, table: Table<K, V>) -> Self {
        let settings = table.0.settings();
        assert!(
            settings.keyspace == Keyspace::Partitioned,
            "table `{}` is partition-local, so its keys have no owner to route to",
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

    /// Waits at most `deadline` for an owner and for the beginning of its answer (default: 10 s). A
    /// worker that owns the key but is not ready waits for at most one minute of that time.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Forwards bodies of at most `bytes` bytes (default: 2 MiB, as in axum). A body is held in
    /// memory until the owner has answered, because it may have to be sent again, to the next
    /// owner.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Forwards the headers `names` of requests even if the workers share no [cluster
    /// token](crate::Config::cluster_token) (default: none).
    ///
    /// Without a token, anybody who can write to the workers topic can claim to own a key. So a
    /// request is then forwarded only with the headers that describe it (`Accept`, `Content-Type`,
    /// `Range` and the like). Cookies, `Authorization` and all other headers are left out.
    pub fn headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.headers = names.into_iter().collect();
        self
    }

    /// Forwards a request to the worker that owns `key`, if that worker is in another process. The
    /// method, path, query, headers and body stay as they are. If the workers share no cluster
    /// token, only some [headers](Self::headers) are forwarded.
    ///
    /// A request is forwarded only once. If the worker that gets it does not own the key, it says
    /// so, and this worker looks for the next owner.
    ///
    /// The response is:
    ///
    /// - 503 with `Retry-After`, if no worker has the key's partition open within the deadline,
    /// - 502 if the owner broke off, or 504 if it did not answer,
    /// - 413 if the body is larger than the limit.
    pub async fn forward(&self, key: impl AsKey<K>, request: Request) -> Forwarded {
        let mut topic_key = Vec::new();
        key.lend(|key| key.encode(&mut topic_key));
        let partition = self.routes.slices.home(&self.table, self.partitioner, &topic_key);
        let is_believed = self.routes.peers().token().is_none() || request.extensions().get::<Signed>().is_some();
        let routed = match Hop::of(request.headers(), is_believed) {
            Ok(None) => self.take_to_owner(partition, request).await,
            Ok(Some(hop)) => self.receive(partition, hop, request).await,
            Err(problem) => Err(problem.into_response()),
        };
        routed.map_or_else(Forwarded::Elsewhere, Forwarded::Here)
    }

    /// Takes a request that another worker forwarded. It is answered here or refused, and never
    /// forwarded again.
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

    /// Sends the request to the owner. `Ok` is the request itself, if it is to be answered here;
    /// `Err` is the response.
    async fn take_to_owner(&self, partition: Partition, request: Request) -> Result<Request, Response> {
        let deadline = after(self.deadline);
        let mut search = self.routes.search(&self.table, partition, deadline);
        let nobody = |absence| self.nobody(partition, &RouteError::Closed(absence)).into_response();
        let mut owner = match search.next().await.map_err(nobody)? {
            FoundPartition::Here(_) => return Ok(request),
            FoundPartition::Elsewhere(owner) => owner,
        };
        if request.headers().contains_key(header::UPGRADE) {
            let error =
                format!("{} is with worker `{}` at {}: connect there", self.place(partition), owner.worker, owner.url);
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, error).into_response());
        }
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, self.body_limit).await.map_err(|_| {
            let error = format!(
                "{}: a body that is forwarded may have at most {} bytes",
                self.place(partition),
                self.body_limit
            );
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, error).into_response()
        })?;
        loop {
            let hop = Hop { generation: owner.generation, wait: search.left() };
            let answered = timeout_at(deadline, self.send(&owner, &parts, body.clone(), hop)).await;
            let absence = match answered {
                Ok(Ok(response)) if hop::is_misdirected(&response) => Unavailable::Moving,
                Ok(Ok(response)) => return Err(hop::answer(response)),
                Ok(Err(RequestError::Unsent(reason))) => owner.unreachable(format!("it was not reached: {reason}")),
                // The request may have taken effect. Only a request that changes nothing can be
                // sent again.
                Ok(Err(RequestError::Unanswered(reason))) if parts.method.is_safe() => owner.unreachable(reason),
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
                // The partition has moved here in the meantime.
                FoundPartition::Here(_) => return Ok(Request::from_parts(parts, body.into())),
                FoundPartition::Elsewhere(owner) => owner,
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
        // The owner believes this worker, because they share the token.
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
