use std::sync::Arc;

use marlowe_broker::MetadataSource;
use tokio::sync::{mpsc, oneshot};

use super::RunError;
use super::launch::Shared;
use super::status::{WorkerState, WorkerStatus};
use super::thread::Thread;
use crate::scope::WorkerScope;
use crate::timer::{Outcome, WorkerTimerContext};
use crate::topology::{Place, TimerKind};
use crate::watch;

/// How many tasks and sources are not done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TasksLeft {
    /// Of those that run on every worker.
    pub(crate) worker: usize,
    /// Of those that run on the leader.
    pub(crate) leader: usize,
}

impl TasksLeft {
    fn of(&mut self, place: Place) -> &mut usize {
        if place == Place::Leader { &mut self.leader } else { &mut self.worker }
    }
}

/// Ask for one more run of a timer.
pub(super) type TimerEars = Vec<mpsc::Sender<oneshot::Sender<()>>>;

/// Starts the worker's timers, tasks and sources, once its shards are open.
pub(super) fn start_timers(
    shared: &Shared,
    scope: &Arc<WorkerScope>,
    thread: &Thread,
    leader: watch::Receiver<bool>,
    mut status: watch::Receiver<WorkerStatus>,
    mut metadata: watch::Receiver<Option<Arc<dyn MetadataSource>>>,
    failures: mpsc::UnboundedSender<RunError>,
) -> (watch::Receiver<TasksLeft>, TimerEars) {
    let mut ears = Vec::new();
    let mut runs = Vec::new();
    let mut once = TasksLeft::default();
    for timer in &shared.program.worker_timers {
        let node = timer.node();
        let is_task = matches!(node.kind, TimerKind::Task | TimerKind::Source);
        let (ear, fire) = mpsc::channel(1);
        if is_task {
            *once.of(node.place) += 1;
        } else {
            ears.push(ear);
        }
        runs.push((*timer, fire, is_task, node.place));
    }
    let (tasks, left) = watch::channel(once);
    let (scope, broker, stopping) = (scope.clone(), shared.broker.clone(), shared.stopping.clone());
    thread.run(move || async move {
        let Ok(metadata) = metadata.wait_for(Option::is_some).await.map(|metadata| metadata.clone()) else { return };
        let Some(metadata) = metadata else { return };
        let _ = status.wait_for(|status| status.state == WorkerState::Ready).await;
        let tasks = std::rc::Rc::new(tasks);
        for (timer, fire, is_task, place) in runs {
            let context = WorkerTimerContext {
                scope: scope.clone(),
                broker: broker.clone(),
                metadata: metadata.clone(),
                leader: leader.clone(),
                fire,
            };
            let (failures, tasks) = (failures.clone(), tasks.clone());
            let mut stopping = stopping.clone();
            tokio::task::spawn_local(async move {
                let outcome = tokio::select! {
                    biased;
                    // An error says that the process is gone.
                    _ = stopping.wait_for(|stopping| *stopping) => return,
                    outcome = timer.run(context) => outcome,
                };
                match outcome {
                    Outcome::Done if is_task => tasks.send_modify(|left| *left.of(place) -= 1),
                    Outcome::Done => {}
                    Outcome::Failed { name, reason } => {
                        let _ = failures.send(RunError::Task { name, reason });
                    }
                }
            });
        }
    });
    (left, ears)
}
