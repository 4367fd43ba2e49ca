//! A drain: runs a program until every input is processed to its end, and then has its timers fire
//! once more.
//!
//! # How a drain knows that everything is processed
//!
//! Agents produce records that other agents read, so an input that is at its end may grow again.
//! The drain looks up the ends of all inputs, then the group's positions, and then the ends again.
//! If all positions are at the ends, and the ends are the same both times, there was a moment at
//! which everything was processed. Nothing is under way at that moment either, because a position
//! is committed together with everything that was made of the records before it. Copies of global
//! tables must also be at the ends of their logs.
//!
//! # In which order things happen
//!
//! 1. Wait until the tasks and sources are done. Wait until everything is processed.
//! 2. Fire the partition timers once more (`last_firing`). Wait again.
//! 3. Fire the timers of the workers once more. Wait again.
//!
//! Several processes may drain the same app at once, and some may die meanwhile. So a drain judges
//! what other processes do by what is committed at the broker, and by the directory of workers.

mod last_firing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{CommittedOffset, Offset, OffsetSpec, Partition, TopicPartition};
use marlowe_state::PositionSlot;

use crate::error::RunError;
use crate::shard::ShardId;
use crate::timer::is_finished;
use crate::topology::{Place, TableKind, TimerKind};
use crate::worker::launch::Worker;
use crate::worker::shared::Shared;
use crate::worker::status::WorkerState;

/// How often a drain looks at the positions.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(25);

/// The progress of all inputs, in offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) done: u64,
    pub(crate) total: u64,
}

/// The drain of a program: it runs until every input is processed to its end.
pub(crate) struct Drain<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) workers: &'a [Worker],
}

impl Drain<'_> {
    /// Waits until the tasks and sources are done and every input is processed to its end. Then
    /// each timer fires once more, so that what timers compute is final too. The timers in the
    /// shards fire first, then those of the workers. Crontabs do not fire, because they run only at
    /// the times that they name.
    pub(crate) async fn run(&self, mut watch: impl FnMut(Progress)) -> Result<(), RunError> {
        self.tasks_done(&mut watch).await?;
        self.quiet(&mut watch).await?;
        self.fire_once_more(self.shards_with_timers().await?).await?;
        self.quiet(&mut watch).await?;
        for worker in self.workers {
            worker.fire_timers().await;
        }
        self.quiet(&mut watch).await
    }

    async fn tasks_done(&self, watch: &mut impl FnMut(Progress)) -> Result<(), RunError> {
        loop {
            let ready = self.workers.iter().all(|worker| worker.status.borrow().state == WorkerState::Ready);
            let own = self.workers.iter().all(|worker| worker.tasks.borrow().worker == 0);
            if ready && own && self.led().await? {
                return Ok(());
            }
            watch(self.progress().await?.0);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Returns whether everything that runs on the leader is done. If another process leads, or
    /// none at the moment, the sources' positions show whether the sources are done, and the
    /// leader's entry shows whether the tasks are.
    async fn led(&self) -> Result<bool, RunError> {
        if let Some(leader) = self.workers.iter().find(|worker| worker.status.borrow().leads) {
            return Ok(leader.tasks.borrow().leader == 0);
        }
        let program = &self.shared.program;
        let has_tasks = program
            .worker_timers
            .iter()
            .map(|timer| timer.node())
            .any(|timer| timer.place == Place::Leader && timer.kind == TimerKind::Task);
        if has_tasks && self.shared.routes.directory.leader_tasks_left() != Some(0) {
            return Ok(false);
        }
        let positions: Vec<_> = program.worker_timers.iter().filter_map(|timer| timer.position(&program.app)).collect();
        let committed = self.committed(&positions).await?;
        Ok(committed.iter().all(|position| position.as_ref().is_some_and(is_finished)))
    }

    /// Waits until everything is processed and has led to nothing new.
    async fn quiet(&self, watch: &mut impl FnMut(Progress)) -> Result<(), RunError> {
        loop {
            // The ends are the same before and after, and the positions, looked up in between, are
            // at them. So there was a moment at which everything was processed. Positions are
            // committed together with what was made of the records, so nothing is under way either.
            let (progress, ends) = self.progress().await?;
            watch(progress);
            if progress.done >= progress.total && self.ends().await? == ends && self.copies_are_current().await? {
                // What is committed must also be visible in the views.
                for worker in self.workers {
                    worker.settled().await;
                }
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Returns how far the inputs are, and their ends. The ends are looked up first.
    async fn progress(&self) -> Result<(Progress, Vec<Offset>), RunError> {
        let ends = self.ends().await?;
        let mut progress = Progress::default();
        let inputs = self.inputs();
        let mut starts = Vec::new();
        for (topic, partitions) in &inputs {
            starts.extend(self.offsets(topic, *partitions, OffsetSpec::Earliest).await?);
        }
        let partitions: Vec<TopicPartition> = inputs
            .iter()
            .flat_map(|(topic, partitions)| {
                Partition::all(*partitions).map(|partition| TopicPartition { topic: topic.clone(), partition })
            })
            .collect();
        let committed = self.committed(&partitions).await?;
        for ((committed, start), end) in committed.into_iter().zip(starts).zip(&ends) {
            let at = committed.map_or(start, |committed| committed.offset.max(start));
            progress.total += start.distance_to(*end);
            progress.done += start.distance_to(at.min(*end));
        }
        Ok((progress, ends))
    }

    /// Returns the shards in which timers run, each with the sum of its inputs' ends.
    async fn shards_with_timers(&self) -> Result<BTreeMap<ShardId, u64>, RunError> {
        let topology = &self.shared.topology;
        let mut ends = self.ends().await?.into_iter();
        let mut shards = BTreeMap::new();
        let timers = |group: &crate::topology::Group| !group.timers.is_empty();
        for (number, group) in topology.groups.iter().enumerate().filter(|(_, group)| timers(group)) {
            let partitions = Partition::all(group.partitions);
            shards.extend(partitions.map(|partition| (ShardId { group: number, partition }, 0)));
        }
        for (topic, partitions) in self.inputs() {
            let group = topology.groups.iter().position(|group| group.topics.contains(&topic));
            for (partition, end) in Partition::all(partitions).zip(ends.by_ref()) {
                if let Some(group) = group
                    && let Some(sum) = shards.get_mut(&ShardId { group, partition })
                {
                    *sum += end.get();
                }
            }
        }
        Ok(shards)
    }

    /// Returns how long a shard may have no owner: until the session of its last worker is over,
    /// and another worker has opened it.
    pub(super) fn others_within(&self) -> Duration {
        let sessions = self.workers.iter().map(|worker| worker.session_timeout);
        sessions.max().unwrap_or_default() + Duration::from_secs(5)
    }

    pub(super) async fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<CommittedOffset>>, RunError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let committed = self.shared.broker.committed(&self.shared.program.app, partitions).await;
        committed.map_err(RunError::broker("looking up the group's positions"))
    }

    async fn ends(&self) -> Result<Vec<Offset>, RunError> {
        let mut ends = Vec::new();
        for (topic, partitions) in self.inputs() {
            ends.extend(self.offsets(&topic, partitions, OffsetSpec::Latest).await?);
        }
        Ok(ends)
    }

    async fn copies_are_current(&self) -> Result<bool, RunError> {
        for table in self.shared.program.tables.iter().filter(|table| table.identity().kind == TableKind::Global) {
            for worker in self.workers {
                let copy = worker.scope.global(table.name());
                let ends = self.offsets(&table.identity().changelog, copy.partitions, OffsetSpec::Latest).await?;
                let behind =
                    ends.iter().zip(0..).any(|(end, slot)| copy.store.position(PositionSlot(slot)).changelog < *end);
                if behind {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Returns the topics that agents read, each once, with its number of partitions.
    fn inputs(&self) -> Vec<(Arc<str>, u32)> {
        let topology = &self.shared.topology;
        let mut inputs: Vec<(Arc<str>, u32)> = Vec::new();
        for agent in &topology.graph.agents {
            if !inputs.iter().any(|(topic, _)| *topic == agent.reads) {
                inputs.push((agent.reads.clone(), topology.partitions.get(&agent.reads).copied().unwrap_or(0)));
            }
        }
        inputs
    }

    async fn offsets(&self, topic: &str, partitions: u32, spec: OffsetSpec) -> Result<Vec<Offset>, RunError> {
        let all: Vec<Partition> = Partition::all(partitions).collect();
        let doing = format!("looking up the offsets of {topic}");
        self.shared.broker.offsets(topic, &all, spec).await.map_err(RunError::broker(doing))
    }
}
