use futures_util::future::LocalBoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use super::RunError;
use crate::surroundings::Surroundings;

type Job = Box<dyn FnOnce() -> LocalBoxFuture<'static, ()> + Send>;

/// A thread with a runtime of its own, for work that stays where it was begun.
///
/// In a simulation it is a task among others, on the one thread and runtime there.
#[derive(Clone)]
pub(crate) struct Thread {
    jobs: mpsc::UnboundedSender<Job>,
}

/// The end of a thread, to be waited for.
pub(crate) enum Join {
    System(std::thread::JoinHandle<()>),
    #[cfg(feature = "sim")]
    Simulated(tokio::task::JoinHandle<()>),
}

impl Thread {
    /// Starts a thread; it ends when its last handle is gone, dropping what still runs there.
    pub(crate) fn start(name: &str, surroundings: &Surroundings) -> Result<(Self, Join), RunError> {
        let (jobs, waiting) = mpsc::unbounded_channel();
        let join = match surroundings {
            Surroundings::System => Join::System(system(name, waiting)?),
            #[cfg(feature = "sim")]
            Surroundings::Simulated(process) => {
                let local = LocalSet::new();
                let work = process.pausable(async move { local.run_until(work(waiting)).await });
                Join::Simulated(tokio::task::spawn_local(work))
            }
        };
        Ok((Self { jobs }, join))
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

impl Join {
    /// Waits for the end of all of these, whose handles are gone.
    pub(crate) async fn all(joins: Vec<Join>) {
        let mut system = Vec::new();
        for join in joins {
            match join {
                Join::System(join) => system.push(join),
                #[cfg(feature = "sim")]
                Join::Simulated(join) => drop(join.await),
            }
        }
        if !system.is_empty() {
            let joined = tokio::task::spawn_blocking(move || system.into_iter().for_each(|join| drop(join.join())));
            let _ = joined.await;
        }
    }

    /// The same at once, for a thread that is to be gone: what runs there is dropped.
    pub(crate) fn now(self) {
        match self {
            Join::System(join) => drop(join.join()),
            #[cfg(feature = "sim")]
            Join::Simulated(join) => join.abort(),
        }
    }
}

fn system(name: &str, waiting: mpsc::UnboundedReceiver<Job>) -> Result<std::thread::JoinHandle<()>, RunError> {
    let failed =
        |error: std::io::Error| RunError::System { doing: format!("start thread {name}"), reason: error.to_string() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let main = move || LocalSet::new().block_on(&runtime, work(waiting));
    std::thread::Builder::new().name(name.to_owned()).spawn(main).map_err(failed)
}

async fn work(mut waiting: mpsc::UnboundedReceiver<Job>) {
    while let Some(job) = waiting.recv().await {
        tokio::task::spawn_local(job());
    }
}
