//! The router of a worker's web server: the built-in routes, and those that the program adds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};

use super::body::MAX_BODY;
use super::security::{LOGIN, LOGOUT, edge, login};
use super::server::Apart;
use super::site::Site;
use super::state::WebState;
use super::tables::{change, list as tables, row, rows};
use super::{cluster, health, index, metrics, topics, topology};
use crate::error::RunError;
use crate::panics::panic_message;
use crate::peer::READ_PATH;
use crate::threads::Thread;

/// The routes that a program adds to the built-in ones.
#[derive(Clone, Default)]
pub(crate) struct WebRoutes(Vec<Arc<dyn Fn(WebState) -> Router + Send + Sync>>);

impl WebRoutes {
    /// Adds routes. The closure makes them for each worker.
    pub(crate) fn add(&mut self, routes: impl Fn(WebState) -> Router + Send + Sync + 'static) {
        self.0.push(Arc::new(routes));
    }
}

/// The paths that every worker serves, as an error names them.
const BUILT_IN: &str = "/, /tables, /topics and /cluster and all below them, /topology, /healthz, /readyz and /metrics, and with web tokens /login and /logout";

/// The thread on which the program's own routes are answered.
pub(crate) enum RoutesOn {
    /// The thread of the server.
    SameThread,
    /// A thread of their own.
    Thread(Thread),
}

impl RoutesOn {
    fn over(&self, routes: Router) -> Router {
        match self {
            Self::SameThread => routes,
            Self::Thread(thread) => routes.layer(Apart::on(thread.clone())),
        }
    }
}

/// Returns everything that a worker serves: the built-in routes, and those that the program adds.
pub(crate) fn router(site: Arc<Site>, added: &WebRoutes, on: &RoutesOn) -> Result<Router, RunError> {
    let mut router = built_in(site.clone());
    for (number, routes) in added.0.iter().enumerate() {
        let state = WebState::new(site.scope.clone());
        // axum panics when paths collide.
        let merged = catch_unwind(AssertUnwindSafe(move || router.merge(on.over(routes(state)))));
        router = merged.map_err(|panic| RunError::Routes {
            number: number + 1,
            reason: panic_message(&*panic),
            built_in: BUILT_IN,
        })?;
    }
    Ok(router.layer(from_fn_with_state(site.edge.clone(), edge::guard)))
}

fn built_in(site: Arc<Site>) -> Router {
    let row: MethodRouter<Arc<Site>> = get(row::show).post(change::send).put(change::replace).delete(change::remove);
    let router = if site.edge.access.needs_token() {
        Router::new().route(LOGIN, get(login::show).post(login::begin)).route(LOGOUT, post(login::end))
    } else {
        Router::new()
    };
    router
        .route("/", get(index::show))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::show))
        .route("/topology", get(topology::show))
        .route("/tables", get(tables::list))
        .route("/tables/{table}", get(rows::page))
        // The empty key is also a key.
        .route("/tables/{table}/", row.clone())
        // Everything after the table's name is the key, including slashes.
        .route("/tables/{table}/{*key}", row)
        .route("/topics/{topic}", post(topics::send))
        .route(READ_PATH, post(cluster::read).layer(from_fn_with_state(site.clone(), cluster::guard)))
        .method_not_allowed_fallback(edge::wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(edge::secure_built_in))
        .with_state(site)
}
