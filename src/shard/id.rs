//! The identity of a shard in a program.

use marlowe_broker::Partition;

/// The identity of a shard: the number of its co-partition group in the topology, and its
/// partition. (Kafka Streams: `TaskId`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ShardId {
    pub(crate) group: usize,
    pub(crate) partition: Partition,
}
