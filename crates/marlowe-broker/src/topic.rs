//! Topics: the settings to create one, and the description of an existing one.

use std::sync::Arc;
use std::time::Duration;

/// The cleanup policy of a topic: how long it keeps records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// Keeps records forever, or for `retention` after their timestamp (`cleanup.policy=delete`).
    Delete {
        /// How long records are kept after their timestamp; `None` keeps them forever.
        retention: Option<Duration>,
    },
    /// Keeps the last record of each key. A tombstone removes its key (`cleanup.policy=compact`).
    Compact,
    /// Keeps the last record of each key, if it is not older than `retention`
    /// (`cleanup.policy=compact,delete`).
    CompactDelete {
        /// How long records are kept after their timestamp.
        retention: Duration,
    },
}

/// The settings of a topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// The name: 1 to 249 letters, digits, `.`, `_` and `-`, as in Kafka.
    pub name: Arc<str>,
    /// The number of partitions, at least 1.
    pub partitions: u32,
    /// The cleanup policy.
    pub cleanup: Cleanup,
    /// How long compaction keeps a tombstone after it first met it (`delete.retention.ms`). `None`
    /// leaves it to the broker.
    pub tombstone_retention: Option<Duration>,
    /// The number of replicas in a cluster. `None` leaves it to the broker. The embedded broker
    /// keeps one.
    pub replicas: Option<u16>,
    /// The size of the broker's log segments, in bytes (Kafka: `segment.bytes`). It matters for a
    /// topic whose records are [deleted](crate::Broker::delete_records) once they are read, because
    /// a broker frees whole segments only. `None` leaves it to the broker. The embedded broker has
    /// no segments.
    pub segment_bytes: Option<u32>,
    /// The largest batch of records that the topic accepts, in bytes (Kafka: `max.message.bytes`).
    /// `None` leaves it to the broker. The embedded broker has one limit for all topics.
    pub max_message_bytes: Option<usize>,
    /// How often the topic's keys are written again.
    pub turnover: Turnover,
}

/// The rate at which the keys of a compacted topic are written again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turnover {
    /// No special rate. The broker's own settings are good enough.
    #[default]
    Ordinary,
    /// A few keys are written again and again. Kafka compacts closed segments only, and a segment
    /// has 1 GiB by default, so most of such a topic would be out of date. The topic gets small
    /// segments instead.
    High,
}

impl TopicConfig {
    /// Creates settings for a topic that keeps everything.
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

    /// Sets the size of the broker's log segments, in bytes.
    pub fn segment_bytes(mut self, bytes: u32) -> Self {
        self.segment_bytes = Some(bytes);
        self
    }

    /// Makes the topic compacted, for a few keys that are written again and again.
    pub fn with_few_keys(self) -> Self {
        Self { cleanup: Cleanup::Compact, turnover: Turnover::High, ..self }
    }

    /// Sets the cleanup policy.
    pub fn cleanup(mut self, cleanup: Cleanup) -> Self {
        self.cleanup = cleanup;
        self
    }

    /// Sets how long compaction keeps a tombstone.
    pub fn tombstone_retention(mut self, retention: Duration) -> Self {
        self.tombstone_retention = Some(retention);
        self
    }
}

/// A topic as it exists in the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// The topic's name.
    pub name: Arc<str>,
    /// The number of partitions.
    pub partitions: u32,
    /// The cleanup policy.
    pub cleanup: Cleanup,
    /// How long compaction keeps a tombstone after it first met it. It has no effect unless the
    /// topic is compacted.
    pub tombstone_retention: Duration,
}
