use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Offset, OffsetSpec, Partition, TopicPartition};
use marlowe_state::PositionSlot;

use super::launch::{Shared, Worker};
use super::{RunError, WorkerState};
use crate::table::TableKind;

/// How often a drain looks.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// How far the inputs are processed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) done: u64,
    pub(crate) total: u64,
}

/// Runs a program until every input is processed to its end.
pub(crate) struct Drain<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) workers: &'a [Worker],
}

impl Drain<'_> {
    /// Waits until the tasks and sources are done and every input is processed to its end. Then each timer fires once more, so
    /// that what timers compute is final too: first those in the shards, then those of the workers.
    pub(crate) async fn run(&self, mut watch: impl FnMut(Progress)) -> Result<(), RunError> {
        self.tasks_done(&mut watch).await?;
        self.quiet(&mut watch).await?;
        for worker in self.workers {
            worker.fire_partition_timers().await;
        }
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
            // Where another process leads, its tasks are not for this one to wait for.
            let leader = self.workers.iter().find(|worker| worker.status.borrow().leads);
            let led = leader.is_none_or(|leader| leader.tasks.borrow().leader == 0);
            if ready && own && led {
                return Ok(());
            }
            watch(self.progress().await?.0);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until all that is there is processed, and nothing new came of it.
    async fn quiet(&self, watch: &mut impl FnMut(Progress)) -> Result<(), RunError> {
        loop {
            // The ends do not move while the positions, looked up in between, are at them: so there was a moment at which
            // all was processed. Positions and what was made of them are committed together, so nothing is under way either.
            let (progress, ends) = self.progress().await?;
            watch(progress);
            if progress.done >= progress.total && self.ends().await? == ends && self.copies_are_current().await? {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How far the inputs are, and their ends, which were looked up first.
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
        let committed = self
            .shared
            .broker
            .committed(&self.shared.program.app, &partitions)
            .await
            .map_err(RunError::broker("looking up the group's positions"))?;
        for ((committed, start), end) in committed.into_iter().zip(starts).zip(&ends) {
            let at = committed.map_or(start, |committed| committed.offset.max(start));
            progress.total += start.distance_to(*end);
            progress.done += start.distance_to(at.min(*end));
        }
        Ok((progress, ends))
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

    /// The topics that agents read, each once.
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
