use futures_util::future::LocalBoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use super::RunError;

type Job = Box<dyn FnOnce() -> LocalBoxFuture<'static, ()> + Send>;

/// A thread with a runtime of its own, for work that stays where it was begun.
#[derive(Clone)]
pub(crate) struct Thread {
    jobs: mpsc::UnboundedSender<Job>,
}

impl Thread {
    /// Starts a thread; it ends when its last handle is gone, dropping what still runs there.
    pub(crate) fn start(name: &str) -> Result<(Self, std::thread::JoinHandle<()>), RunError> {
        let failed = |error: std::io::Error| RunError::System {
            doing: format!("start thread {name}"),
            reason: error.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (jobs, mut waiting) = mpsc::unbounded_channel::<Job>();
        let handle = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let local = LocalSet::new();
                local.block_on(&runtime, async move {
                    while let Some(job) = waiting.recv().await {
                        tokio::task::spawn_local(job());
                    }
                });
            })
            .map_err(failed)?;
        Ok((Self { jobs }, handle))
    }

    /// Runs a future there. The receiver gets its result, or an error when the thread ended before.
    pub(crate) fn run<T, F>(&self, make: impl FnOnce() -> F + Send + 'static) -> oneshot::Receiver<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let (result, receiver) = oneshot::channel();
        let job: Job = Box::new(move || {
            let future = make();
            Box::pin(async move {
                // Who asked may not wait for the answer.
                let _ = result.send(future.await);
            })
        });
        // A thread that is gone answers by the receiver's error.
        let _ = self.jobs.send(job);
        receiver
    }
}
