use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{BrokerError, CommittedOffset, Offset, OffsetSpec, Partition, SharedBroker, TopicPartition};
use parking_lot::Mutex;

use super::gathering::Gathering;

/// What a worker looks up of single partitions. Many shards come to a worker at once, and each asks for its own; what is
/// asked while a request is under way goes out together in the next one, and so is no older than who asked for it.
pub(crate) struct Lookups {
    broker: SharedBroker,
    group: Arc<str>,
    offsets: Mutex<BTreeMap<(Arc<str>, End), OffsetGathering>>,
    committed: Gathering<TopicPartition, Option<CommittedOffset>>,
}

type OffsetGathering = Arc<Gathering<Partition, Offset>>;

/// An end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// The first record that is there.
    Earliest,
    /// Where the next record will be.
    Latest,
}

impl Lookups {
    /// Of the positions of `group`.
    pub(crate) fn new(broker: SharedBroker, group: Arc<str>) -> Self {
        Self { broker, group, offsets: Mutex::default(), committed: Gathering::default() }
    }

    /// Where a partition begins, or ends.
    pub(crate) async fn offset(&self, topic: &Arc<str>, partition: Partition, end: End) -> Result<Offset, BrokerError> {
        let gathering = self.offsets.lock().entry((topic.clone(), end)).or_default().clone();
        let spec = match end {
            End::Earliest => OffsetSpec::Earliest,
            End::Latest => OffsetSpec::Latest,
        };
        gathering.ask(partition, async |partitions| self.broker.offsets(topic, partitions, spec).await).await
    }

    /// The group's position in a partition.
    pub(crate) async fn committed(&self, source: TopicPartition) -> Result<Option<CommittedOffset>, BrokerError> {
        self.committed.ask(source, async |sources| self.broker.committed(&self.group, sources).await).await
    }
}
