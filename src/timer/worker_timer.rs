//! Timers, crontabs and tasks of a worker: the trait that they and sources implement, and the loops
//! that run them.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use marlowe_broker::{MetadataSource, SharedBroker, Timestamp, TopicPartition};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::agenda::Agenda;
use super::claims::{Claimed, Claims};
use super::crontab::Crontab;
use super::runs::TimerRuns;
use super::schedule::{Schedule, next_tick};
use crate::backoff::Backoff;
use crate::panics::panic_text;
use crate::scope::{Uses, WorkerScope, WorkerWith};
use crate::topology::{Place, TimerKind, TimerNode, TopologyError};
use crate::{HandlerError, watch};

/// A timer, crontab, task or source of a worker, without its types.
pub(crate) trait AnyWorkerTimer: Send + Sync {
    fn node(&self) -> TimerNode;

    /// Returns the partition in which a source's position is kept. It is the only one of a topic
    /// for this source. `None` if this is no source.
    fn position(&self, _app: &str) -> Option<TopicPartition> {
        None
    }

    /// Returns the reason why it will never run after `now`, if it never will.
    fn never_runs(&self, _now: Timestamp) -> Option<TopologyError> {
        None
    }

    /// Runs until the work is done or has failed. Timers and crontabs run for ever.
    fn run(&'static self, context: WorkerTimerContext) -> LocalBoxFuture<'static, Outcome>;
}

/// The environment in which a worker's timer runs.
pub(crate) struct WorkerTimerContext {
    pub(crate) scope: Arc<WorkerScope>,
    pub(crate) broker: SharedBroker,
    pub(crate) metadata: Arc<dyn MetadataSource>,
    /// True while this worker is the leader.
    pub(crate) leader: watch::Receiver<bool>,
    /// Requests for one more run. Each is answered at the end of its run.
    pub(crate) fire: mpsc::Receiver<oneshot::Sender<()>>,
    /// The register of runs that are in progress.
    pub(crate) runs: Arc<TimerRuns>,
    /// The times that have had their run on the leader.
    pub(crate) claims: Rc<Claims>,
}

/// The end of a worker's timer.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A task or source is done.
    Done,
    /// A task or source failed, so the worker stops.
    Failed { name: Arc<str>, reason: String },
}

impl WorkerTimerContext {
    /// Waits until this worker is the leader.
    pub(crate) async fn leads(&mut self) {
        // Cannot fail, because the sender lives as long as the worker.
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

    fn never_runs(&self, now: Timestamp) -> Option<TopologyError> {
        let Schedule::At(times) = &self.schedule else { return None };
        let reason = times.never_after(now)?;
        Some(TopologyError::Crontab { name: self.name.clone(), reason })
    }

    fn run(&'static self, context: WorkerTimerContext) -> LocalBoxFuture<'static, Outcome> {
        match &self.schedule {
            Schedule::Once => Box::pin(self.once(context)),
            Schedule::Every(interval) => Box::pin(self.every(*interval, context)),
            Schedule::At(times) => Box::pin(self.at((**times).clone(), context)),
        }
    }
}

impl<W, F> WorkerTimer<W, F>
where
    W: WorkerWith,
    F: AsyncFn(W::Opened) -> Result<(), HandlerError> + Send + Sync + 'static,
{
    async fn once(&self, mut context: WorkerTimerContext) -> Outcome {
        let opened = self.with.open_on_worker(&context.scope);
        if self.place == Place::Leader {
            context.leads().await;
        }
        match self.handle(opened).await {
            Ok(()) => Outcome::Done,
            Err(reason) => Outcome::Failed { name: self.name.clone(), reason },
        }
    }

    async fn every(&self, interval: Duration, mut context: WorkerTimerContext) -> Outcome {
        let opened = self.with.open_on_worker(&context.scope);
        let mut due = Instant::now() + interval;
        loop {
            let asked = tokio::select! {
                biased;
                asked = context.fire.recv() => asked,
                () = tokio::time::sleep_until(due) => None,
            };
            if self.place == Place::Worker || *context.leader.borrow() {
                self.fire(&context, &opened).await;
            }
            match asked {
                // The caller may be gone.
                Some(asked) => drop(asked.send(())),
                None => due = next_tick(due, interval, Instant::now()),
            }
        }
    }

    /// Runs a crontab. On the leader, a time that came while another worker led, or none did, has
    /// its run when this worker leads, unless it has had it.
    async fn at(&self, times: Crontab, mut context: WorkerTimerContext) -> Outcome {
        let opened = self.with.open_on_worker(&context.scope);
        let clock = context.scope.clock.clone();
        let mut agenda = Agenda::begin(times, &*clock);
        let (mut named, mut backoff) = (None, Backoff::every(CLAIM_AGAIN));
        loop {
            tokio::select! {
                biased;
                next = agenda.next(&*clock) => named = Some(next),
                () = context.leads(), if named.is_some() => {}
            }
            if self.place == Place::Leader && !*context.leader.borrow() {
                continue;
            }
            let Some(time) = named.take() else { continue };
            if self.place == Place::Leader {
                match context.claims.claim(&self.name, time, clock.now()).await {
                    Ok(Claimed::Ours) => {}
                    Ok(Claimed::Over) => continue,
                    Err(error) => {
                        tracing::warn!(crontab = %self.name, "its run cannot be claimed; trying again: {error}");
                        named = Some(time);
                        backoff.wait().await;
                        continue;
                    }
                }
            }
            self.fire(&context, &opened).await;
        }
    }

    async fn fire(&self, context: &WorkerTimerContext, opened: &W::Opened) {
        let in_flight = context.runs.begin(&self.name);
        let ended = self.handle(opened.clone()).await;
        drop(in_flight);
        if let Err(error) = ended {
            tracing::error!(timer = %self.name, "timer failed: {error}");
        }
    }

    async fn handle(&self, opened: W::Opened) -> Result<(), String> {
        match AssertUnwindSafe((self.handler)(opened)).catch_unwind().await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(panic) => Err(panic_text(&*panic)),
        }
    }
}

/// The wait before a run is claimed again after the broker did not accept the claim.
const CLAIM_AGAIN: Duration = Duration::from_millis(500);
