use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{BrokerError, CommittedOffset, GroupMetadata, MetadataSource, Offset, TopicPartition};
use marlowe_state::{SlicePosition, Store, TableIndex};

use super::RunError;
use super::cancellation::Cancellation;
use super::epochs::{Beginning, ChangelogBeginning};
use super::restore::Restorer;
use super::tail::LogPlan;
use crate::shard::ShardId;
use crate::table::{AnyTable, EPOCH_KEY};
use crate::turn::{Includes, Stamp};

/// The member of the group that a shard was given to.
#[derive(Clone)]
pub(crate) struct Taker {
    metadata: Arc<dyn MetadataSource>,
    member: Arc<str>,
}

impl Taker {
    /// Who it is now.
    pub(crate) fn now(metadata: &Arc<dyn MetadataSource>) -> Self {
        Self { metadata: metadata.clone(), member: metadata.current().member }
    }

    /// The member as it is by now, unless the group took it for dead meanwhile.
    fn current(&self) -> Option<GroupMetadata> {
        let current = self.metadata.current();
        (current.member == self.member).then_some(current)
    }
}

/// A shard that is about to be opened.
pub(crate) struct Opening<'a> {
    pub(crate) id: ShardId,
    pub(crate) taker: &'a Taker,
    pub(crate) store: &'a dyn Store,
    pub(crate) cancellation: &'a Cancellation,
}

/// How often what the broker did not answer is tried again, and how soon.
const TRIES: u32 = 10;
const AGAIN: Duration = Duration::from_millis(500);

/// At least once, nothing keeps a worker that was taken for dead from its changelogs. So each opening of a shard is an *epoch*,
/// which its records tell, and whoever reads them passes over those of an earlier one than he has seen: see
/// [`Stamp`].
impl Restorer {
    /// Begins an epoch of a shard whose store has all that is in its changelogs. `false` when somebody wrote there meanwhile, so
    /// that they have to be read, or the opening is cancelled.
    pub(crate) async fn begin_where_all_is_read(
        &self,
        opening: &Opening<'_>,
        logs: &[LogPlan],
    ) -> Result<bool, RunError> {
        let Some(_writing) = opening.cancellation.writing().await else { return Ok(false) };
        let seen = logs.iter().map(|log| opening.store.position(log.slot).epoch).max().unwrap_or_default();
        let Some(epoch) = self.begin_epoch(opening, seen).await? else { return Ok(false) };
        let nothing = logs.iter().map(|log| (log.table, log.index, Vec::new())).collect();
        let ends = self.write_again(opening, epoch, nothing).await?;
        // One record each: the one that says that the epoch has begun.
        let follows = |log: &LogPlan| ends.contains(&(log.index, Offset::new(log.end.get() + 1)));
        if !logs.iter().all(follows) {
            return Ok(false);
        }
        let position = |log: &LogPlan| {
            let changelog = Offset::new(log.end.get() + 1);
            (log.slot, SlicePosition { changelog, epoch, ..opening.store.position(log.slot) })
        };
        let positions: Vec<_> = logs.iter().map(position).collect();
        opening.store.apply(&mut [], &positions).map_err(RunError::store("restoring a store"))?;
        Ok(true)
    }

    /// Begins an epoch, later than any before. It is noted with the group, beside the shard's anchor, which the group refuses to
    /// who is no member any more: so the latest is the shard's owner's. `None` when the opening is cancelled.
    pub(crate) async fn begin_epoch(&self, opening: &Opening<'_>, seen: u64) -> Result<Option<u64>, RunError> {
        let group = &self.topology.groups[opening.id.group];
        let anchor = TopicPartition { topic: self.topology.anchor(group), partition: opening.id.partition };
        let mut tries = 0;
        while !opening.cancellation.is_cancelled() {
            match self.note_epoch(opening.taker, &anchor, seen).await {
                // It is about to be told that it lost the shard, or is in a newer generation the next time.
                Ok(None) | Err(BrokerError::Fenced { .. }) => {}
                Ok(epoch) => return Ok(epoch),
                Err(error) if error.calls_for_a_new_beginning() && tries < TRIES => {
                    tracing::warn!("noting who owns {anchor}, and trying again: {error}");
                    tries += 1;
                }
                Err(error) => return Err(RunError::broker(format!("noting who owns {anchor}"))(error)),
            }
            tokio::time::sleep(AGAIN).await;
        }
        Ok(None)
    }

    async fn note_epoch(&self, taker: &Taker, anchor: &TopicPartition, seen: u64) -> Result<Option<u64>, BrokerError> {
        let noted = self.lookups.committed(anchor.clone()).await?.unwrap_or(Offset::ZERO.into());
        let epoch = noted.offset.get().max(seen) + 1;
        let note = CommittedOffset { offset: Offset::new(epoch), ..noted };
        let Some(member) = taker.current() else { return Ok(None) };
        self.epochs.note(member, anchor.clone(), note).await?;
        Ok(Some(epoch))
    }

    /// Says in the changelogs that the epoch has begun, and writes the rows again whose records were passed over: what ran ahead of
    /// the committed input, and what owners of earlier epochs wrote too late. Returns the logs' ends. If nobody knows whether it was
    /// written, it is written once more.
    pub(crate) async fn write_again(
        &self,
        opening: &Opening<'_>,
        epoch: u64,
        passed_over: Vec<(&'static dyn AnyTable, TableIndex, Vec<Vec<u8>>)>,
    ) -> Result<Vec<(TableIndex, Offset)>, RunError> {
        let mut tries = 0;
        loop {
            match self.try_to_write_again(opening, epoch, &passed_over).await {
                Err(RunError::Broker { source, .. }) if source.calls_for_a_new_beginning() && tries < TRIES => {
                    tracing::warn!("repairing a changelog, and trying again: {source}");
                    tries += 1;
                    tokio::time::sleep(AGAIN).await;
                }
                done => return done,
            }
        }
    }

    async fn try_to_write_again(
        &self,
        opening: &Opening<'_>,
        epoch: u64,
        passed_over: &[(&'static dyn AnyTable, TableIndex, Vec<Vec<u8>>)],
    ) -> Result<Vec<(TableIndex, Offset)>, RunError> {
        // What is committed includes nothing that runs ahead of it.
        let stamp = Stamp::written(epoch, &Includes::default());
        let owner = opening.taker.member.as_bytes().to_vec();
        let mut changelogs = Vec::new();
        for (table, index, keys) in passed_over {
            let to = TopicPartition { topic: table.identity().changelog.clone(), partition: opening.id.partition };
            let mut records = vec![(EPOCH_KEY.to_vec(), Some(owner.clone()))];
            for key in keys.iter().filter(|key| **key != EPOCH_KEY) {
                let (mut ordered, mut value) = (Vec::new(), Vec::new());
                table.ordered_key(key, &mut ordered).map_err(|error| RunError::Codec {
                    doing: format!("repairing the changelog of `{}`", table.name()),
                    reason: error.to_string(),
                })?;
                let found = opening.store.get(*index, &ordered, &mut value);
                let found = found.map_err(RunError::store("repairing a changelog"))?;
                records.push((key.clone(), found.then_some(value)));
            }
            changelogs.push(ChangelogBeginning { table: *index, to, records });
        }
        let begun = self.epochs.begin(Beginning { stamp, changelogs }).await;
        begun.map_err(RunError::broker("repairing a changelog"))
    }
}
