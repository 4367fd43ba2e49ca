//! The layer that has each request answered by the worker that owns its key.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::RequestPartsExt;
use axum::extract::{RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use tower_layer::Layer;
use tower_service::Service;

use super::owner::{Forwarded, OwnerOf};
use super::problem::Problem;
use crate::codec::{Key, percent};

/// The place of the key in a request.
#[derive(Clone, Debug)]
pub(crate) enum KeyIn {
    Path(Arc<str>),
    Query(Arc<str>),
}

/// A layer that has each request answered by the worker that owns its key. Made by
/// [`OwnerOf::by_path`] and [`OwnerOf::by_query`].
pub struct RouteToOwner<K> {
    owner: OwnerOf<K>,
    key: KeyIn,
}

impl<K: Key> OwnerOf<K> {
    /// Returns a layer for routes that have the key in their path, as the parameter `name`:
    /// `.route("/pages/{page}", get(page)).route_layer(worker.owner_of(pages).by_path("page"))`.
    pub fn by_path(self, name: &str) -> RouteToOwner<K> {
        RouteToOwner::new(self, KeyIn::Path(name.into()))
    }

    /// Returns a layer for routes that have the key in their query, as the field `name`.
    pub fn by_query(self, name: &str) -> RouteToOwner<K> {
        RouteToOwner::new(self, KeyIn::Query(name.into()))
    }
}

impl<K> Clone for RouteToOwner<K> {
    fn clone(&self) -> Self {
        Self { owner: self.owner.clone(), key: self.key.clone() }
    }
}

impl<K> fmt::Debug for RouteToOwner<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteToOwner").field("owner", &self.owner).field("key", &self.key).finish()
    }
}

impl<K: Key> RouteToOwner<K> {
    pub(crate) fn new(owner: OwnerOf<K>, key: KeyIn) -> Self {
        Self { owner, key }
    }

    /// Forwards the request to the owner of its key.
    async fn route(&self, request: Request) -> Forwarded {
        let (mut parts, body) = request.into_parts();
        let text = match &self.key {
            KeyIn::Path(name) => match parts.extract::<RawPathParams>().await {
                Ok(parameters) => parameters
                    .iter()
                    .find(|(parameter, _)| *parameter == &**name)
                    .map(|(_, value)| value.as_bytes().to_vec())
                    .ok_or_else(|| {
                        Problem::internal(format!("the route's path has no parameter `{name}`"), "it has other names")
                    }),
                Err(rejection) => return Forwarded::Elsewhere(rejection.into_response()),
            },
            KeyIn::Query(name) => in_query(parts.uri.query().unwrap_or_default(), name).ok_or_else(|| {
                Problem::bad_request(format!("`?{name}=` is missing: it has the key by which the owner is found"))
            }),
        };
        let key =
            text.and_then(|text| K::decode(&text).map_err(|error| Problem::bad_request(format!("the key is {error}"))));
        match key {
            Ok(key) => self.owner.forward(key, Request::from_parts(parts, body)).await,
            Err(problem) => Forwarded::Elsewhere(problem.into_response()),
        }
    }
}

/// Returns the decoded field `name` of a query.
fn in_query(query: &str, name: &str) -> Option<Vec<u8>> {
    let plain = |text: &str| percent::decode(&text.replace('+', " "));
    query.split('&').find_map(|field| {
        let (field, value) = field.split_once('=').unwrap_or((field, ""));
        (plain(field) == name.as_bytes()).then(|| plain(value))
    })
}

impl<K: Key, S> Layer<S> for RouteToOwner<K> {
    type Service = RoutedToOwner<K, S>;

    fn layer(&self, inner: S) -> Self::Service {
        RoutedToOwner { layer: self.clone(), inner }
    }
}

/// The service that [`RouteToOwner`] makes of another service.
pub struct RoutedToOwner<K, S> {
    layer: RouteToOwner<K>,
    inner: S,
}

impl<K, S: Clone> Clone for RoutedToOwner<K, S> {
    fn clone(&self) -> Self {
        Self { layer: self.layer.clone(), inner: self.inner.clone() }
    }
}

impl<K, S> fmt::Debug for RoutedToOwner<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutedToOwner").field("layer", &self.layer).finish_non_exhaustive()
    }
}

impl<K, S> Service<Request> for RoutedToOwner<K, S>
where
    K: Key,
    S: Service<Request, Error = Infallible> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (layer, inner) = (self.layer.clone(), self.inner.clone());
        // The service that was polled as ready must be the one that is called. The clone replaces
        // it.
        let mut inner = std::mem::replace(&mut self.inner, inner);
        Box::pin(async move {
            match layer.route(request).await {
                Forwarded::Here(request) => Ok(inner.call(request).await?.into_response()),
                Forwarded::Elsewhere(response) => Ok(response),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_querys_field_is_found_and_decoded() {
        assert_eq!(in_query("a=1&page=%2Fho+me&page=2", "page").as_deref(), Some(&b"/ho me"[..]));
        assert_eq!(in_query("pa%67e", "page").as_deref(), Some(&b""[..]));
        assert_eq!(in_query("pages=1", "page"), None);
    }
}
