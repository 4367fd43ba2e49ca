//! The name of a shard in a program.

use marlowe_broker::Partition;

/// Which shard: a co-partition group, by its number in the topology, and a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ShardId {
    pub(crate) group: usize,
    pub(crate) partition: Partition,
}
