use std::sync::Arc;

use marlowe_broker::{
    BrokerError, CommittedOffset, GroupMetadata, Header, NewRecord, Offset, SharedBroker, Timestamp, TopicPartition,
};
use marlowe_state::TableIndex;

use super::gathering::Gathering;
use crate::turn::Stamp;

/// Writes what begins the epochs of shards: of many shards that are opened at a time together.
pub(crate) struct Epochs {
    broker: SharedBroker,
    group: Arc<str>,
    notes: Gathering<Note, ()>,
    beginnings: Gathering<Arc<Beginning>, Vec<(TableIndex, Offset)>>,
}

/// The position by which the group tells an epoch, and who may say so.
#[derive(Clone)]
struct Note {
    member: GroupMetadata,
    anchor: TopicPartition,
    epoch: CommittedOffset,
}

/// The first records of a shard's epoch.
pub(crate) struct Beginning {
    /// In the form of [`Stamp`]s.
    pub(crate) stamp: Vec<u8>,
    pub(crate) changelogs: Vec<ChangelogBeginning>,
}

/// The first records of an epoch in a table's changelog.
pub(crate) struct ChangelogBeginning {
    pub(crate) table: TableIndex,
    pub(crate) to: TopicPartition,
    /// Keys and values; one without a value is gone.
    pub(crate) records: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Epochs {
    /// Of the shards of `group`.
    pub(crate) fn new(broker: SharedBroker, group: Arc<str>) -> Self {
        Self { broker, group, notes: Gathering::default(), beginnings: Gathering::default() }
    }

    /// Notes a shard's epoch beside its anchor, in the name of who was given the shard.
    pub(crate) async fn note(
        &self,
        member: GroupMetadata,
        anchor: TopicPartition,
        epoch: CommittedOffset,
    ) -> Result<(), BrokerError> {
        self.notes.ask(Note { member, anchor, epoch }, async |notes| self.note_all(notes).await).await
    }

    async fn note_all(&self, notes: &[Note]) -> Result<Vec<()>, BrokerError> {
        let mut left: Vec<&Note> = notes.iter().collect();
        while let Some(Note { member, .. }) = left.first() {
            // Of a member in two generations, the older may be refused, and the newer not.
            let (same, others): (Vec<&Note>, Vec<&Note>) = left.iter().partition(|note| note.member == *member);
            let epochs: Vec<_> = same.iter().map(|note| (note.anchor.clone(), note.epoch.clone())).collect();
            self.broker.commit_offsets(&self.group, Some(member), &epochs).await?;
            left = others;
        }
        Ok(vec![(); notes.len()])
    }

    /// Writes the first records of an epoch. Returns the changelogs' ends.
    pub(crate) async fn begin(&self, beginning: Beginning) -> Result<Vec<(TableIndex, Offset)>, BrokerError> {
        // A shard without tables has nothing to say, and needs no producer to say it.
        if beginning.changelogs.is_empty() {
            return Ok(Vec::new());
        }
        self.beginnings.ask(Arc::new(beginning), async |beginnings| self.begin_all(beginnings).await).await
    }

    async fn begin_all(&self, beginnings: &[Arc<Beginning>]) -> Result<Vec<Vec<(TableIndex, Offset)>>, BrokerError> {
        let mut producer = self.broker.producer()?;
        let mut destinations = Vec::new();
        for Beginning { stamp, changelogs } in beginnings.iter().map(|beginning| &**beginning) {
            let headers = [Header { name: Stamp::HEADER, value: stamp }];
            let mut of_shard = Vec::new();
            for ChangelogBeginning { table, to, records } in changelogs {
                let destination = producer.destination(to)?;
                for (key, value) in records {
                    let (key, value, timestamp) = (Some(key.as_slice()), value.as_deref(), Timestamp::default());
                    producer.send(destination, NewRecord { timestamp, key, value, headers: &headers })?;
                }
                of_shard.push((*table, destination));
            }
            destinations.push(of_shard);
        }
        let written = producer.flush().await?;
        let ends = |of_shard: Vec<_>| {
            let end = |(table, destination)| Some((table, written.end(destination)?));
            of_shard.into_iter().filter_map(end).collect()
        };
        Ok(destinations.into_iter().map(ends).collect())
    }
}
