use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::listener::{Listener, Socket};
use super::routes::router;
use super::site::Site;
use crate::worker::{Join, RunError, Shared, Thread, Worker};

/// How long requests in hand may take to finish when the worker stops.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// A worker's web server, on a thread of its own.
pub(crate) struct WebServer {
    pub(crate) address: SocketAddr,
    thread: Thread,
    join: Join,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl WebServer {
    /// Serves on a socket that was taken before.
    #[cfg_attr(
        not(feature = "sim"),
        allow(clippy::infallible_destructuring_match, reason = "there is another with it")
    )]
    pub(crate) fn start(shared: &Shared, worker: &Worker, listener: Listener) -> Result<Self, RunError> {
        let Listener { socket, address, .. } = listener;
        let router = router(Arc::new(Site::new(shared, worker)))?;
        let (thread, join) = worker.starts.start(&format!("{}-web", worker.name))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let name = worker.name.clone();
        let socket = match socket {
            Socket::Tcp(socket) => socket,
            #[cfg(feature = "sim")]
            Socket::Simulated(process) => {
                process.serve(thread.clone(), router);
                let ended = thread.run(move || async move {
                    // A server whose stop is gone stops as well.
                    let _ = stopped.await;
                    process.serve_no_more();
                });
                return Ok(Self { address, thread, join, stop, ended });
            }
        };
        let ended = thread.run(move || async move {
            let served = async {
                let listener = tokio::net::TcpListener::from_std(socket)?;
                axum::serve(listener, router)
                    .with_graceful_shutdown(async {
                        // A server whose stop is gone stops as well.
                        let _ = stopped.await;
                    })
                    .await
            };
            if let Err(error) = served.await {
                tracing::error!(worker = %name, "the web server ended: {error}");
            }
        });
        Ok(Self { address, thread, join, stop, ended })
    }

    /// Finishes the requests in hand and closes the socket.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        if tokio::time::timeout(FINISH_WITHIN, self.ended).await.is_err() {
            tracing::warn!("requests to {} did not finish within {FINISH_WITHIN:?}: dropped", self.address);
        }
        // The thread's runtime ends with its last handle, and with it every connection.
        drop(self.thread);
        Join::all(vec![self.join]).await;
    }

    /// Ends at once, with every connection. Returns when its thread is gone, and so what it had open.
    pub(crate) fn crash(self) {
        drop(self.thread);
        self.join.now();
    }
}
