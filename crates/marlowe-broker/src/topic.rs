use std::sync::Arc;
use std::time::Duration;

/// How long a topic keeps records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// For ever, or for `retention` since the record's timestamp (`cleanup.policy=delete`).
    Delete {
        /// `None` keeps everything.
        retention: Option<Duration>,
    },
    /// The last record of each key; a tombstone removes its key (`cleanup.policy=compact`).
    Compact,
    /// Both: the last record of each key, and none older than `retention` (`cleanup.policy=compact,delete`).
    CompactDelete {
        /// Since the record's timestamp.
        retention: Duration,
    },
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// Its name: 1 to 249 letters, digits, `.`, `_` and `-`, as Kafka allows.
    pub name: Arc<str>,
    /// How many partitions, at least 1.
    pub partitions: u32,
    /// How long it keeps records.
    pub cleanup: Cleanup,
    /// How many copies a cluster keeps; `None` leaves it to the broker. The embedded broker has one.
    pub replicas: Option<u16>,
}

impl TopicConfig {
    /// A topic that keeps everything.
    pub fn new(name: impl Into<Arc<str>>, partitions: u32) -> Self {
        Self { name: name.into(), partitions, cleanup: Cleanup::Delete { retention: None }, replicas: None }
    }

    /// The same with another clean-up.
    pub fn cleanup(mut self, cleanup: Cleanup) -> Self {
        self.cleanup = cleanup;
        self
    }
}

/// A topic as the broker has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions it has.
    pub partitions: u32,
    /// How long it keeps records.
    pub cleanup: Cleanup,
}
