//! The request to stop a worker: Ctrl-C or SIGTERM.

use tokio::sync::watch;

use crate::interrupt::interrupted;

/// The exit code of a process that Ctrl-C ended, by the convention of shells.
const ENDED_BY_INTERRUPT: i32 = 130;

/// A request to stop the process, by Ctrl-C or SIGTERM.
pub(crate) struct Interruption {
    came: watch::Receiver<bool>,
}

impl Interruption {
    /// Starts to listen. The first request wakes everyone who waits with [`came`](Self::came). A
    /// Ctrl-C after it ends the process at once.
    pub(crate) fn listen() -> Self {
        let (tell, came) = watch::channel(false);
        tokio::spawn(async move {
            interrupted().await;
            tracing::info!("stopping: finishing the events in flight (Ctrl-C again to quit at once)");
            tell.send_replace(true);
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(ENDED_BY_INTERRUPT);
            }
            // This task must not end, because it holds the sender.
            std::future::pending::<()>().await;
        });
        Self { came }
    }

    /// Waits until the process is asked to stop.
    pub(crate) async fn came(&self) {
        // This cannot fail, because the sender lives as long as the process.
        let _ = self.came.clone().wait_for(|came| *came).await;
    }
}
