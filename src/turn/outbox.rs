//! [`Outbox`]: records that events have sent and that wait for a commit.

use marlowe_broker::{Partition, RecordArena};

/// A topic that a lane writes to, by the lane's number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OutTopic(pub(crate) u16);

/// Records that events have sent and that wait for a commit, each with its topic and partition.
pub(crate) type Outbox = RecordArena<(OutTopic, Partition)>;
