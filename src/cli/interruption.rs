use tokio::sync::watch;

use crate::interrupt::interrupted;

/// The exit code of a process that Ctrl-C ended, as shells have it.
const ENDED_BY_INTERRUPT: i32 = 130;

/// Whether the process was asked to stop, by Ctrl-C or SIGTERM.
pub(crate) struct Interruption {
    came: watch::Receiver<bool>,
}

impl Interruption {
    /// Listens from now on. The first time, whoever waits with [`came`](Self::came) is told; Ctrl-C after that ends the
    /// process at once.
    pub(crate) fn listen() -> Self {
        let (tell, came) = watch::channel(false);
        tokio::spawn(async move {
            interrupted().await;
            tracing::info!("stopping: finishing the events in hand (Ctrl-C again to quit at once)");
            tell.send_replace(true);
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(ENDED_BY_INTERRUPT);
            }
            // What waits for it, waits on.
            std::future::pending::<()>().await;
        });
        Self { came }
    }

    /// Waits for it.
    pub(crate) async fn came(&self) {
        // The sender lives as long as the process.
        let _ = self.came.clone().wait_for(|came| *came).await;
    }
}
