//! The last firing of partition timers in a drain, across all processes of the app.

use std::collections::BTreeMap;

use marlowe_broker::{BrokerError, CommittedOffset, Offset, TopicPartition};
use tokio::time::Instant;

use super::{Drain, LOOK_EVERY};
use crate::error::RunError;
use crate::shard::ShardId;
use crate::worker::launch::Worker;
use crate::worker::status::WorkerStatus;

/// The last firing of a program's partition timers, after all input is processed.
///
/// Each shard's timers must fire after its last event. But the shard may be with another process,
/// or with one that was killed. So a process that fires them writes a note beside the position of
/// the shard's anchor, which all processes read. The note holds the sum of the inputs' ends. So a
/// note that was written before the last event is recognized as old.
///
/// A shard without an owner comes to another worker when the session of its last one ends, and the
/// drain waits for that. A shard whose worker lives and does not drain fires in its own time. The
/// drain waits for it no longer than [`Drain::others_within`].
struct LastFiring<'a> {
    drain: &'a Drain<'a>,
    /// The shards that have timers, each with the sum of its inputs' ends.
    shards: BTreeMap<ShardId, u64>,
}

impl Drain<'_> {
    /// Fires the partition timers of `shards` once more. Each shard comes with the sum of its
    /// inputs' ends.
    pub(super) async fn fire_once_more(&self, shards: BTreeMap<ShardId, u64>) -> Result<(), RunError> {
        LastFiring { drain: self, shards }.run().await
    }
}

impl LastFiring<'_> {
    async fn run(self) -> Result<(), RunError> {
        if self.shards.is_empty() {
            return Ok(());
        }
        loop {
            for worker in self.drain.workers {
                self.fire(worker).await?;
            }
            let began = Instant::now();
            // Wait until there is a shard to fire here.
            loop {
                let left = self.left().await?;
                if left.is_empty() {
                    return Ok(());
                }
                if self.drain.workers.iter().any(|worker| has_any(&worker.status.borrow(), &left)) {
                    break;
                }
                if began.elapsed() > self.drain.others_within() {
                    tracing::info!(
                        "{} shards are with workers that do not drain: their timers fire at their usual times",
                        left.len()
                    );
                    return Ok(());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Fires the timers of those shards that are open on `worker`, and notes that. If shards come
    /// or go meanwhile, nothing is noted, and so it is done again.
    async fn fire(&self, worker: &Worker) -> Result<(), RunError> {
        let mut status = worker.status.clone();
        let open = status.borrow_and_update().shards.clone();
        worker.fire_partition_timers().await;
        if status.has_changed().unwrap_or(true) {
            return Ok(());
        }
        let Some(metadata) = worker.metadata.borrow().clone() else { return Ok(()) };
        let here: Vec<_> = self.shards.iter().filter(|(shard, _)| open.contains(shard)).collect();
        let anchors: Vec<TopicPartition> = here.iter().map(|(shard, _)| self.anchor(**shard)).collect();
        let note = |(anchor, (_, at)): (TopicPartition, (_, &u64))| {
            (anchor, CommittedOffset { offset: Offset::ZERO, metadata: format!("{FIRED}{at}") })
        };
        let notes: Vec<_> = anchors.into_iter().zip(here).map(note).collect();
        let shared = self.drain.shared;
        match shared.broker.commit_offsets(&shared.program.app, Some(&metadata.current()), &notes).await {
            // Shards moved at this moment, so it is done again.
            Ok(()) | Err(BrokerError::Fenced { .. }) => Ok(()),
            Err(error) => Err(RunError::broker("noting that timers fired")(error)),
        }
    }

    /// Returns the shards whose timers have not fired since their last event.
    async fn left(&self) -> Result<Vec<ShardId>, RunError> {
        let anchors: Vec<TopicPartition> = self.shards.keys().map(|shard| self.anchor(*shard)).collect();
        let notes = self.drain.committed(&anchors).await?;
        let fired = |note: Option<CommittedOffset>| note?.metadata.strip_prefix(FIRED)?.parse::<u64>().ok();
        let shards = self.shards.iter().zip(notes);
        Ok(shards.filter(|((_, at), note)| fired(note.clone()) < Some(**at)).map(|((shard, _), _)| *shard).collect())
    }

    fn anchor(&self, shard: ShardId) -> TopicPartition {
        let topology = &self.drain.shared.topology;
        TopicPartition::new(topology.anchor(&topology.groups[shard.group]), shard.partition)
    }
}

/// The start of the note that timers have fired. The sum of the inputs' positions follows.
const FIRED: &str = "fired=";

fn has_any(status: &WorkerStatus, shards: &[ShardId]) -> bool {
    status.shards.iter().any(|shard| shards.contains(shard))
}
