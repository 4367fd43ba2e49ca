use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use marlowe_broker::{MetadataSource, SharedBroker, TopicPartition};
use tokio::sync::{mpsc, oneshot};

use super::Schedule;
use crate::HandlerError;
use crate::agent::panic_text;
use crate::scope::{Uses, WorkerScope, WorkerWith};
use crate::topology::{Place, TimerKind, TimerNode};
use crate::watch;

/// A timer, crontab, task or source of a worker, without its types.
pub(crate) trait AnyWorkerTimer: Send + Sync {
    fn node(&self) -> TimerNode;

    /// Where a source's position is kept, in a topic of its own with one partition.
    fn position(&self, _app: &str) -> Option<TopicPartition> {
        None
    }

    /// Runs until its work is over.
    fn run(&'static self, context: WorkerTimerContext) -> LocalBoxFuture<'static, Outcome>;
}

/// What a worker's timer runs with.
pub(crate) struct WorkerTimerContext {
    pub(crate) scope: Arc<WorkerScope>,
    pub(crate) broker: SharedBroker,
    pub(crate) metadata: Arc<dyn MetadataSource>,
    /// Whether this worker is the leader now.
    pub(crate) leader: watch::Receiver<bool>,
    /// Asks for one more run, and waits for its end.
    pub(crate) fire: mpsc::Receiver<oneshot::Sender<()>>,
}

/// How a worker's timer ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A task or source is done.
    Done,
    /// A task or source failed, and the worker stops.
    Failed { name: Arc<str>, reason: String },
}

impl WorkerTimerContext {
    /// Waits until this worker is the leader.
    pub(crate) async fn leads(&mut self) {
        // The sender lives as long as the worker.
        let _ = self.leader.wait_for(|leads| *leads).await;
    }
}

/// A handler on a schedule.
pub(crate) struct WorkerTimer<W, F> {
    pub(crate) name: Arc<str>,
    pub(crate) kind: TimerKind,
    pub(crate) schedule: Schedule,
    pub(crate) place: Place,
    pub(crate) with: W,
    pub(crate) handler: F,
}

impl<W, F> AnyWorkerTimer for WorkerTimer<W, F>
where
    W: WorkerWith,
    F: AsyncFn(W::Opened) -> Result<(), HandlerError> + Send + Sync + 'static,
{
    fn node(&self) -> TimerNode {
        let mut uses = Uses::default();
        self.with.declare(&mut uses);
        TimerNode { name: self.name.clone(), kind: self.kind.clone(), place: self.place, edges: uses.edges() }
    }

    fn run(&'static self, mut context: WorkerTimerContext) -> LocalBoxFuture<'static, Outcome> {
        let opened = self.with.open_on_worker(&context.scope);
        let run = move |opened: W::Opened| async move {
            let ended = AssertUnwindSafe((self.handler)(opened)).catch_unwind().await;
            match ended {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(panic) => Err(panic_text(&*panic)),
            }
        };
        Box::pin(async move {
            if matches!(self.schedule, Schedule::Once) {
                if self.place == Place::Leader {
                    context.leads().await;
                }
                return match run(opened).await {
                    Ok(()) => Outcome::Done,
                    Err(reason) => Outcome::Failed { name: self.name.clone(), reason },
                };
            }
            let clock = context.scope.clock.clone();
            let mut due = self.schedule.first(&*clock);
            loop {
                let asked = tokio::select! {
                    biased;
                    asked = context.fire.recv() => asked,
                    () = until(due) => None,
                };
                let here = self.place == Place::Worker || *context.leader.borrow();
                if here && let Err(error) = run(opened.clone()).await {
                    tracing::error!(timer = %self.name, "timer failed: {error}");
                }
                match (asked, due) {
                    // Whoever asked may be gone.
                    (Some(asked), _) => drop(asked.send(())),
                    (None, Some(was_due)) => due = self.schedule.next(was_due, &*clock),
                    (None, None) => return Outcome::Done,
                }
            }
        })
    }
}

async fn until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
