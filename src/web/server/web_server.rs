//! The web server of a worker: its threads, its start and its stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Response;
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use tower_service::Service;

use super::accept::Acceptor;
use super::advertise::Advertised;
use super::listener::{Listener, Socket};
use crate::cluster::Verifier;
use crate::config::Config;
use crate::error::RunError;
use crate::host::{Join, Serve};
use crate::threads::Thread;
use crate::tls::Tls;
use crate::web::routes::{RoutesOn, WebRoutes, router};
use crate::web::security::{Access, Edge, Hosts, Sessions};
use crate::web::site::Site;
use crate::worker::{Shared, Worker};

/// The time that requests in flight have to finish when the worker stops.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// A worker's web server, which runs on a thread of its own. The program's own routes run on
/// another thread.
pub(crate) struct WebServer {
    pub(crate) address: SocketAddr,
    threads: ServerThreads,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

/// The threads of a web server. Each ends when its last handle is dropped.
struct ServerThreads {
    web: Thread,
    routes: Option<Thread>,
    joins: Vec<Join>,
}

impl WebServer {
    /// Starts to serve on a socket that was opened before.
    pub(crate) fn start(
        shared: &Shared,
        worker: &Worker,
        routes: &WebRoutes,
        listener: Listener,
        config: &Config,
        tls: Option<Arc<Tls>>,
    ) -> Result<Self, RunError> {
        let Listener { socket, address, url } = listener;
        let hosts = match socket {
            Socket::Tcp(_) => {
                let advertised = Advertised::parse(config.advertise.as_deref(), tls.as_deref())?;
                let advertised = advertised.host().map(str::to_owned);
                Hosts::of(address, config.web_hosts.iter().cloned().chain(advertised))
            }
            Socket::Network(_) => Hosts::Any,
        };
        let edge = Edge {
            hosts,
            access: Access::new(config),
            sessions: Sessions::new(&shared.program.app, tls.as_ref().is_some_and(|tls| tls.serves())),
            cluster: config.cluster_token.clone().map(|token| Verifier::new(token, config.clock.clone(), url)),
            clock: config.clock.clone(),
        };
        let site = Arc::new(Site::new(shared, worker, edge));
        let (web, join) = worker.starts.start(&format!("{}-web", worker.name))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let socket = match socket {
            Socket::Tcp(socket) => socket,
            Socket::Network(network) => {
                network.serve(served(web.clone(), router(site, routes, &RoutesOn::SameThread)?));
                let ended = web.run(move || async move {
                    // If the other end of `stopped` is gone, the server stops as well.
                    let _ = stopped.await;
                    network.stop_serving();
                });
                let threads = ServerThreads { web, routes: None, joins: vec![join] };
                return Ok(Self { address, threads, stop, ended });
            }
        };
        let (thread, routes_join) = worker.starts.start(&format!("{}-routes", worker.name))?;
        let router = router(site, routes, &RoutesOn::Thread(thread.clone()))?;
        let (name, limits) = (worker.name.clone(), config.web_limits);
        let (cap, spawner) = (limits.connections_of_each(config.workers), web.spawner());
        let ended = web.run(move || async move {
            let listener = match tokio::net::TcpListener::from_std(socket) {
                Ok(listener) => listener,
                Err(error) => return tracing::error!(worker = %name, "the web server ended: {error}"),
            };
            let acceptor = Acceptor {
                worker: name,
                listener,
                router,
                limits,
                cap,
                spawner,
                #[cfg(feature = "tls")]
                tls,
            };
            // If the other end of `stopped` is gone, the server stops as well.
            acceptor.serve(async { drop(stopped.await) }).await;
        });
        let threads = ServerThreads { web, routes: Some(thread), joins: vec![join, routes_join] };
        Ok(Self { address, threads, stop, ended })
    }

    /// Finishes the requests in flight and closes the socket.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        if tokio::time::timeout(FINISH_WITHIN, self.ended).await.is_err() {
            tracing::warn!("requests to {} did not finish within {FINISH_WITHIN:?}: dropped", self.address);
        }
        let ServerThreads { web, routes, joins } = self.threads;
        // The runtime of a thread ends with its last handle, and every connection ends with the
        // runtime.
        drop((web, routes));
        Join::all(joins).await;
    }

    /// Ends at once, with every connection. Returns when the threads are gone, and with them
    /// everything that they had open.
    pub(crate) fn crash(self) {
        let ServerThreads { web, routes, joins } = self.threads;
        drop((web, routes));
        joins.into_iter().for_each(Join::now);
    }
}

/// Returns the function that answers requests without a socket. They are answered on the server's
/// thread, each as a whole.
fn served(thread: Thread, router: Router) -> Serve {
    Arc::new(move |request| {
        let mut router = router.clone();
        let answered = thread.run(move || async move {
            let Ok(response) = router.call(request).await;
            let (head, body) = response.into_parts();
            body.collect().await.map(|body| Response::from_parts(head, Body::from(body.to_bytes())))
        });
        Box::pin(async move {
            match answered.await {
                Ok(Ok(response)) => Ok(response),
                Ok(Err(error)) => Err(format!("broke off: {error}")),
                Err(_) => Err("broke the connection".to_owned()),
            }
        })
    })
}
