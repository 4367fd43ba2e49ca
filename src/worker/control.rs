//! The control of a worker: it follows the worker's membership of the group, has shards restored,
//! and hands them to the lanes.
//!
//! # Revoked and lost
//!
//! **Revoked** partitions are still this worker's. Its lane lets the events in hand finish,
//! commits, and closes the shard. Only then is the partition acknowledged, and only then does the
//! group give it to its next owner. So the next owner finds everything committed. Each partition is
//! acknowledged by itself, as soon as it is closed.
//!
//! **Lost** partitions already belong to others, because the group expelled this worker. Their work
//! is dropped without a commit. The lanes must have dropped it before the membership is polled
//! again. Polling makes this worker a new member, with a current generation. A commit of the old
//! member's work would then be accepted in the new member's name.
//!
//! # The end
//!
//! A worker that is told to stop, or in which something failed, closes all its shards, which
//! commits them, and then leaves the group. While the shards close, the membership is still polled,
//! so that the worker stays a member until the last commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use marlowe_broker::{GroupEvent, Membership, MetadataSource, TopicPartition};
use marlowe_state::Store;
use tokio::sync::{mpsc, oneshot};

use super::acquire::{RestoreReason, ShardAcquisition};
use super::owned::{Owned, ShardLife};
use super::status::{WorkerState, WorkerStatus};
use crate::error::RunError;
use crate::lane::{Dropped, LaneCommand, LaneEvent};
use crate::query::Owner;
use crate::restore::{Cancellation, Restored, close};
use crate::shard::ShardId;
use crate::threads::{Failures, Spawner};
use crate::topology::Topology;
use crate::turn::Caution;
use crate::watch;

/// A command from a process to one of its workers.
pub(crate) enum ControlCommand {
    /// Fires every partition timer once more. Answered when that is committed.
    FirePartitionTimers(oneshot::Sender<()>),
    /// Commits, gives all shards back and leaves the group. Answered when that is done.
    Stop(oneshot::Sender<()>),
}

/// How long a worker waits for news from its group. After that it counts as joined, and has no
/// shard for now.
const NOTHING_AFTER: Duration = Duration::from_secs(3);

/// The control of a worker: it follows the membership of the group, has shards restored, and hands
/// them to the lanes.
pub(crate) struct Control {
    pub(crate) worker: Arc<str>,
    pub(crate) topology: Arc<Topology>,
    pub(crate) membership: Box<dyn Membership>,
    pub(crate) metadata: Arc<dyn MetadataSource>,
    pub(crate) lanes: Vec<mpsc::UnboundedSender<LaneCommand>>,
    pub(crate) lane_events: mpsc::UnboundedReceiver<LaneEvent>,
    pub(crate) takings: ShardAcquisition,
    pub(crate) leader: watch::Sender<bool>,
    pub(crate) status: watch::Sender<WorkerStatus>,
    pub(crate) owned: BTreeMap<ShardId, Owned>,
    pub(crate) openings: u64,
    pub(crate) pending: FuturesUnordered<BoxFuture<'static, Step>>,
    pub(crate) spawner: Spawner,
}

/// A step that was begun earlier and is done now.
pub(crate) enum Step {
    Restored(ShardId, u64, Result<Restored, RunError>),
    Opened(ShardId, u64),
    /// The shards of these partitions are closed, and the partitions may go to their next owners.
    /// The stores are still here.
    Closed(Vec<TopicPartition>, Vec<Gone>),
}

/// The reason why a worker's work ended.
enum Ended {
    /// The worker was told to stop. The caller waits for the answer.
    Told(oneshot::Sender<()>),
    /// The process dropped the worker.
    Abandoned,
    /// Another part of the worker or of the process failed, and has reported that.
    Failed,
}

/// A shard that has left, with its store if that was kept.
type Gone = (ShardId, Option<Arc<dyn Store>>);

impl Control {
    /// Works until the worker is told to stop or something fails. In both cases it then commits,
    /// closes its shards and leaves the group. A failure is reported to `failures` before that. If
    /// the process abandons the worker, it does none of this, as in a crash.
    pub(crate) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<ControlCommand>, failures: Failures) {
        let mut stopped = match self.work(&mut commands, &failures).await {
            Ok(Ended::Told(done)) => Some(done),
            Ok(Ended::Abandoned) => return,
            Ok(Ended::Failed) => None,
            Err(error) => {
                failures.tell(error);
                None
            }
        };
        self.status.send_modify(|status| status.state = WorkerState::Stopping);
        self.leader.send_replace(false);
        let all: Vec<ShardId> = self.owned.keys().copied().collect();
        // A stopping worker keeps no standbys.
        self.takings.standbys = None;
        let (_, mut closing) = self.close(all);
        self.report();
        loop {
            tokio::select! {
                biased;
                () = &mut closing => break,
                command = commands.recv(), if stopped.is_none() => match command {
                    Some(ControlCommand::Stop(done)) => stopped = Some(done),
                    // Dropping the answer tells the caller that there is nothing to fire any more.
                    Some(ControlCommand::FirePartitionTimers(done)) => drop(done),
                    None => return,
                },
                Some(event) = self.lane_events.recv() => if let Err(error) = self.lane_event(event) {
                    failures.tell(error);
                },
                // The membership must be polled meanwhile, so that the work being committed is
                // still this worker's.
                event = self.membership.next() => drop(event),
            }
        }
        if let Err(error) = self.membership.leave().await {
            failures.tell(RunError::broker("leaving the group")(error));
        }
        if let Some(done) = stopped {
            let _ = done.send(());
        }
    }

    /// Works until the worker is told to stop, is abandoned, or something fails here or in another
    /// part of it.
    async fn work(
        &mut self,
        commands: &mut mpsc::UnboundedReceiver<ControlCommand>,
        failures: &Failures,
    ) -> Result<Ended, RunError> {
        let mut failed = std::pin::pin!(failures.come());
        // If there are more workers than partitions, the group has nothing to tell some of them.
        let mut nothing = std::pin::pin!(tokio::time::sleep(NOTHING_AFTER));
        loop {
            let joined = self.status.borrow().joined;
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(ControlCommand::FirePartitionTimers(done)) => self.fire(done),
                    Some(ControlCommand::Stop(done)) => return Ok(Ended::Told(done)),
                    None => return Ok(Ended::Abandoned),
                },
                () = &mut failed => return Ok(Ended::Failed),
                Some(event) = self.lane_events.recv() => self.lane_event(event)?,
                Some(step) = self.pending.next() => self.step(step).await?,
                event = self.membership.next() => {
                    let event = event.map_err(RunError::broker("membership of the group"))?;
                    self.group_event(event).await;
                }
                () = &mut nothing, if !joined => self.status.send_modify(|status| status.joined = true),
            }
            self.report();
        }
    }

    async fn group_event(&mut self, event: GroupEvent) {
        let leader_anchor = self.topology.leader_anchor();
        let leads = |partitions: &[TopicPartition]| partitions.iter().any(|partition| partition.topic == leader_anchor);
        match event {
            GroupEvent::Assigned(partitions) => {
                let generation = self.metadata.current().generation;
                let is_leader = leads(&partitions);
                self.status.send_modify(|status| {
                    status.joined = true;
                    if is_leader {
                        status.leads_since = generation;
                    }
                });
                if is_leader {
                    self.leader.send_replace(true);
                }
                let shards = self.shards(&partitions);
                for shard in shards {
                    self.begin_restore(shard, generation, RestoreReason::Assigned, Caution::default());
                }
            }
            GroupEvent::Revoked(partitions) => {
                if leads(&partitions) {
                    self.leader.send_replace(false);
                }
                // Each partition goes as soon as it is closed. So one with a slow event in hand
                // does not hold up the others.
                for partition in partitions {
                    let shard = self.shards(std::slice::from_ref(&partition));
                    let (gone, closed) = self.close(shard);
                    self.pending.push(Box::pin(async move {
                        closed.await;
                        Step::Closed(vec![partition], gone)
                    }));
                }
            }
            GroupEvent::Lost(partitions) => {
                tracing::warn!(worker = %self.worker, "lost {partitions:?}: the group expelled this worker; their uncommitted work is dropped");
                if leads(&partitions) {
                    self.leader.send_replace(false);
                }
                let mut dropping = Vec::new();
                for shard in self.shards(&partitions) {
                    let Some(Owned { lane, life, .. }) = self.owned.remove(&shard) else { continue };
                    match life {
                        ShardLife::Restoring { cancellation, .. } => cancellation.cancel(),
                        ShardLife::Opening { store } | ShardLife::Open { store } => {
                            let (dropped, wait) = oneshot::channel();
                            self.tell(lane, LaneCommand::Drop(vec![shard], dropped));
                            dropping.push((wait, shard, store));
                        }
                    }
                }
                for (wait, shard, store) in dropping {
                    // This comes before the membership is polled again, which makes this worker a
                    // new member. Nothing of the old member's work may be committed in the new
                    // member's name.
                    let _ = wait.await;
                    self.takings.let_go(shard, Some(store));
                }
            }
        }
    }

    fn shards(&self, partitions: &[TopicPartition]) -> Vec<ShardId> {
        let groups = &self.topology.groups;
        let shard = |partition: &TopicPartition| {
            let group = groups.iter().position(|group| self.topology.anchor(group) == partition.topic)?;
            Some(ShardId { group, partition: partition.partition })
        };
        partitions.iter().filter_map(shard).collect()
    }

    /// Begins to restore a shard, for the lane with the fewest shards.
    fn begin_restore(&mut self, id: ShardId, generation: u64, reason: RestoreReason, caution: Caution) {
        let load = |lane: usize| self.owned.values().filter(|owned| owned.lane == lane).count();
        let lane = (0..self.lanes.len()).min_by_key(|lane| load(*lane)).unwrap_or(0);
        self.openings += 1;
        let opening = self.openings;
        let owner = Owner { worker: self.worker.clone(), opening, generation };
        let cancellation = Cancellation::default();
        let restored = self.takings.take(id, owner, reason, cancellation.clone());
        self.pending.push(Box::pin(async move {
            // If the thread is gone, the worker is stopping.
            Step::Restored(id, opening, restored.await.unwrap_or(Ok(Restored::Cancelled(None))))
        }));
        let life = ShardLife::Restoring { cancellation, caution };
        self.owned.insert(id, Owned { lane, opening, generation, life });
    }

    async fn step(&mut self, step: Step) -> Result<(), RunError> {
        match step {
            Step::Restored(id, opening, restored) => {
                let mut plan = match restored? {
                    Restored::Ready(plan, _) => plan,
                    Restored::Cancelled(store) => {
                        self.left(id, store);
                        return Ok(());
                    }
                };
                match self.owned.get_mut(&id) {
                    Some(owned) if owned.opening == opening => {
                        let opening_life = ShardLife::Opening { store: plan.store.clone() };
                        if let ShardLife::Restoring { caution, .. } = std::mem::replace(&mut owned.life, opening_life) {
                            plan.caution = caution;
                        }
                        let lane = owned.lane;
                        let (ready, opened) = oneshot::channel();
                        self.tell(lane, LaneCommand::Open(plan, ready));
                        self.pending.push(Box::pin(async move {
                            // A lane that failed reports that itself.
                            let _ = opened.await;
                            Step::Opened(id, opening)
                        }));
                    }
                    // The shard left meanwhile, or is being opened again.
                    _ => self.left(id, Some(plan.store)),
                }
            }
            Step::Opened(id, opening) => {
                if let Some(owned) = self.owned.get_mut(&id)
                    && owned.opening == opening
                    && let ShardLife::Opening { store } = &owned.life
                {
                    owned.life = ShardLife::Open { store: store.clone() };
                }
            }
            Step::Closed(partitions, gone) => {
                gone.into_iter().for_each(|(shard, store)| self.left(shard, store));
                if let Err(error) = self.membership.acknowledge(&partitions).await {
                    tracing::warn!(worker = %self.worker, "the group did not take back {partitions:?}: {error}");
                }
            }
        }
        Ok(())
    }

    /// Lets a shard go that has left, unless it came back meanwhile. A standby may use its store.
    fn left(&self, id: ShardId, store: Option<Arc<dyn Store>>) {
        match store {
            Some(store) if self.owned.contains_key(&id) => close(&*store),
            _ if self.owned.contains_key(&id) => {}
            store => self.takings.let_go(id, store),
        }
    }

    /// Begins to close shards. Returns the shards with their stores, and a future that ends when
    /// they are closed.
    fn close(&mut self, shards: Vec<ShardId>) -> (Vec<Gone>, BoxFuture<'static, ()>) {
        let mut by_lane: BTreeMap<usize, Vec<ShardId>> = BTreeMap::new();
        let (mut gone, mut waiting) = (Vec::new(), Vec::new());
        for id in shards {
            let Some(Owned { lane, life, .. }) = self.owned.remove(&id) else { continue };
            match life {
                ShardLife::Restoring { cancellation, .. } => cancellation.cancel(),
                ShardLife::Opening { store } | ShardLife::Open { store } => {
                    by_lane.entry(lane).or_default().push(id);
                    gone.push((id, Some(store)));
                }
            }
        }
        for (lane, shards) in by_lane {
            let (closed, wait) = oneshot::channel();
            self.tell(lane, LaneCommand::Close(shards, closed));
            waiting.push(wait);
        }
        let closed = Box::pin(async move {
            for wait in waiting {
                // A lane that is gone has closed all its shards.
                let _ = wait.await;
            }
        });
        (gone, closed)
    }

    fn fire(&mut self, done: oneshot::Sender<()>) {
        let mut waiting = Vec::new();
        for lane in 0..self.lanes.len() {
            let (fired, wait) = oneshot::channel();
            self.tell(lane, LaneCommand::Fire(fired));
            waiting.push(wait);
        }
        self.spawner.spawn(async move {
            for wait in waiting {
                let _ = wait.await;
            }
            let _ = done.send(());
        });
    }

    fn lane_event(&mut self, event: LaneEvent) -> Result<(), RunError> {
        match event {
            LaneEvent::Failed(error) => Err(error),
            LaneEvent::Dropped(shards, error) => {
                tracing::warn!(
                    worker = %self.worker,
                    "a commit failed; its work is dropped and done again from the committed state: {error}"
                );
                for Dropped { id, opening, caution } in shards {
                    // The shard may be another worker's by now, or have come back.
                    let owned = self.owned.get(&id).filter(|owned| owned.opening == opening);
                    if let Some(Owned { generation, life, .. }) = owned {
                        let (generation, store) = (*generation, life.store().cloned());
                        self.begin_restore(id, generation, RestoreReason::Again(store), caution);
                    }
                }
                Ok(())
            }
        }
    }

    fn tell(&self, lane: usize, command: LaneCommand) {
        // A lane that is gone has reported why.
        let _ = self.lanes[lane].send(command);
    }

    fn report(&self) {
        let open = self.owned.iter().filter(|(_, owned)| matches!(owned.life, ShardLife::Open { .. }));
        let mut shards: Vec<ShardId> = open.map(|(id, _)| *id).collect();
        shards.sort();
        let mut taken: Vec<(ShardId, u64)> = self.owned.iter().map(|(id, owned)| (*id, owned.generation)).collect();
        taken.sort();
        let restoring = self.owned.len() - shards.len();
        let leads = *self.leader.borrow();
        self.status.send_if_modified(|status| {
            let state = match status.state {
                WorkerState::Stopping => WorkerState::Stopping,
                _ if !status.joined => WorkerState::Starting,
                _ if restoring > 0 => WorkerState::Restoring,
                _ => WorkerState::Ready,
            };
            let new = WorkerStatus { state, shards, restoring, taken, leads, ..status.clone() };
            let changed = *status != new;
            *status = new;
            changed
        });
    }
}
