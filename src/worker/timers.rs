//! The start of a worker's timers, crontabs, tasks and sources.

use std::rc::Rc;
use std::sync::Arc;

use marlowe_broker::MetadataSource;
use tokio::sync::{mpsc, oneshot};

use super::shared::Shared;
use super::status::{WorkerState, WorkerStatus};
use crate::error::RunError;
use crate::scope::WorkerScope;
use crate::threads::{Failures, Thread};
use crate::timer::{Claims, Outcome, TimerRuns, WorkerTimerContext};
use crate::topology::{Place, TimerKind};
use crate::watch;

/// The numbers of tasks and sources that are not done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TasksLeft {
    /// The number of those that run on every worker.
    pub(crate) worker: usize,
    /// The number of those that run on the leader.
    pub(crate) leader: usize,
}

impl TasksLeft {
    fn of(&mut self, place: Place) -> &mut usize {
        if place == Place::Leader { &mut self.leader } else { &mut self.worker }
    }
}

/// Channels that ask a timer for one more run.
pub(super) type TimerEars = Vec<mpsc::Sender<oneshot::Sender<()>>>;

/// The thread on which a worker's timers run, and the means to report about them.
pub(super) struct TimerThread {
    pub(super) thread: Thread,
    pub(super) failures: Failures,
    pub(super) runs: Arc<TimerRuns>,
}

/// Starts the worker's timers, tasks and sources once its shards are open.
pub(super) fn start_timers(
    shared: &Shared,
    scope: &Arc<WorkerScope>,
    on: TimerThread,
    leader: watch::Receiver<bool>,
    mut status: watch::Receiver<WorkerStatus>,
    mut metadata: watch::Receiver<Option<Arc<dyn MetadataSource>>>,
) -> (watch::Receiver<TasksLeft>, TimerEars) {
    let mut ears = Vec::new();
    let mut runs = Vec::new();
    let mut once = TasksLeft::default();
    for timer in &shared.program.worker_timers {
        let node = timer.node();
        let is_task = matches!(node.kind, TimerKind::Task | TimerKind::Source);
        let (ear, fire) = mpsc::channel(1);
        match node.kind {
            TimerKind::Task | TimerKind::Source => *once.of(node.place) += 1,
            TimerKind::Every(_) => ears.push(ear),
            // A crontab runs only at the times that it names.
            TimerKind::Crontab(_) => {}
        }
        runs.push((*timer, fire, is_task, node.place));
    }
    let (tasks, left) = watch::channel(once);
    let (scope, broker, stopping) = (scope.clone(), shared.broker.clone(), shared.stopping.clone());
    let leader_anchor = shared.topology.leader_anchor();
    let TimerThread { thread, failures, runs: in_flight } = on;
    let spawner = thread.spawner();
    thread.run(move || async move {
        let Ok(metadata) = metadata.wait_for(Option::is_some).await.map(|metadata| metadata.clone()) else { return };
        let Some(metadata) = metadata else { return };
        let _ = status.wait_for(|status| status.state == WorkerState::Ready).await;
        let tasks = Rc::new(tasks);
        let (group, worker) = (scope.app.clone(), &scope.worker);
        let claims = Rc::new(Claims::new(broker.clone(), group, leader_anchor, metadata.clone(), worker));
        for (timer, fire, is_task, place) in runs {
            let context = WorkerTimerContext {
                scope: scope.clone(),
                broker: broker.clone(),
                metadata: metadata.clone(),
                leader: leader.clone(),
                fire,
                runs: in_flight.clone(),
                claims: claims.clone(),
            };
            let (failures, tasks) = (failures.clone(), tasks.clone());
            let mut stopping = stopping.clone();
            spawner.spawn(async move {
                let outcome = tokio::select! {
                    biased;
                    // An error means that the process is gone.
                    _ = stopping.wait_for(|stopping| *stopping) => return,
                    outcome = timer.run(context) => outcome,
                };
                match outcome {
                    Outcome::Done if is_task => tasks.send_modify(|left| *left.of(place) -= 1),
                    Outcome::Done => {}
                    Outcome::Failed { name, reason } => {
                        failures.tell(RunError::Task { name, reason });
                    }
                }
            });
        }
    });
    (left, ears)
}
