//! [`Outbox`]: records that events have sent and that wait for a commit.

use marlowe_broker::{Partition, RecordArena};

/// A topic that a lane writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OutTopic {
    /// The lane's number for the topic.
    pub(crate) number: u16,
    /// True if its records are sent in the commit's transaction. Otherwise they leave as soon as
    /// their event has finished.
    pub(crate) is_transactional: bool,
}

/// Records that events have sent and that wait to leave, each with its topic and partition.
pub(crate) type Outbox = RecordArena<(OutTopic, Partition)>;
