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
    /// How long compaction keeps a tombstone after it first met it (`delete.retention.ms`); `None` leaves it to the broker.
    pub tombstone_retention: Option<Duration>,
    /// How many copies a cluster keeps; `None` leaves it to the broker. The embedded broker has one.
    pub replicas: Option<u16>,
    /// The size, in bytes, of a broker's files whose records are [deleted](crate::Broker::delete_records) as they are read: it
    /// gives back whole files only (Kafka: `segment.bytes`). `None` leaves it to the broker. The embedded one has no such
    /// files.
    pub segment_bytes: Option<u32>,
    /// The largest batch of records that it takes, in bytes (Kafka: `max.message.bytes`); `None` leaves it to the broker. The
    /// embedded one has a limit for all topics.
    pub max_message_bytes: Option<usize>,
    /// How often its keys are written again.
    pub turnover: Turnover,
}

/// How often the keys of a compacted topic are written again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turnover {
    /// As it comes: the broker's own settings are good for it.
    #[default]
    Ordinary,
    /// A few keys, again and again. Kafka compacts closed segments only, which are 1 GiB by default; such a topic gets small
    /// ones, or most of what it holds would be out of date.
    High,
}

impl TopicConfig {
    /// A topic that keeps everything.
    pub fn new(name: impl Into<Arc<str>>, partitions: u32) -> Self {
        Self {
            name: name.into(),
            partitions,
            cleanup: Cleanup::Delete { retention: None },
            tombstone_retention: None,
            replicas: None,
            segment_bytes: None,
            max_message_bytes: None,
            turnover: Turnover::Ordinary,
        }
    }

    /// Sets the size of a broker's files, in bytes.
    pub fn segment_bytes(mut self, bytes: u32) -> Self {
        self.segment_bytes = Some(bytes);
        self
    }

    /// Makes it compacted, for a few keys that are written again and again.
    pub fn with_few_keys(self) -> Self {
        Self { cleanup: Cleanup::Compact, turnover: Turnover::High, ..self }
    }

    /// The same with another clean-up.
    pub fn cleanup(mut self, cleanup: Cleanup) -> Self {
        self.cleanup = cleanup;
        self
    }

    /// The same with another time for which tombstones are kept.
    pub fn tombstone_retention(mut self, retention: Duration) -> Self {
        self.tombstone_retention = Some(retention);
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
    /// How long compaction keeps a tombstone after it first met it, if the topic is compacted.
    pub tombstone_retention: Duration,
}
