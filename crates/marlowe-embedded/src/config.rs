//! The settings of the embedded broker, with their defaults.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Clock, Entropy, RecordLimit, SystemClock, SystemEntropy};

/// The settings of an [`EmbeddedBroker`](crate::EmbeddedBroker).
#[derive(Clone)]
pub struct EmbeddedConfig {
    /// The time of day, against which retention is measured. Default: the system's clock.
    pub clock: Arc<dyn Clock>,
    /// The source of random numbers, for the names of members and the broker's id. Default: the
    /// system's source.
    pub entropy: Arc<dyn Entropy>,
    /// The size of the largest record accepted, in bytes: key, value and headers together. Default:
    /// 10 MiB; at most 1 GiB.
    pub max_message_bytes: usize,
    /// How long compaction keeps a tombstone after it first met it, in topics that do not say so
    /// themselves. In this time, a reader that is behind can still learn that the key is gone.
    /// Default: 24 h, as Kafka's `delete.retention.ms`.
    pub tombstone_retention: Duration,
    /// How far a record's timestamp may lie ahead of the broker's clock. A record that lies further
    /// ahead is refused, with all that was written together with it. Default: 1 h, as Kafka's
    /// `message.timestamp.after.max.ms`.
    pub max_timestamp_ahead: Duration,
    /// The number of appended bytes after which a compacted partition is cleaned. If the last
    /// cleaning left more bytes than that, as many must be appended. A partition of few keys is
    /// cleaned sooner: when many times what it keeps has been appended. Default: 1 MiB.
    pub clean_after_bytes: usize,
    /// In a folder: the bytes of batches that are kept in memory for readers of the newest records.
    /// Default: 64 MiB.
    pub cache_bytes: usize,
    /// In a folder: the most bytes that it may grow to. `None` (the default) allows what the
    /// address space allows, up to 1 TiB.
    pub max_folder_bytes: Option<usize>,
    /// In a folder: its owner. A folder of another owner is refused. `None` (the default) checks no
    /// owner.
    pub owner: Option<String>,
    /// In a folder: the [id](crate::EmbeddedBroker::id) of the broker that must be there. With
    /// `None` (the default), a folder without a broker gets a new one.
    pub expected_id: Option<String>,
}

impl EmbeddedConfig {
    /// Returns the limit on a record, bounded by what the format can hold.
    pub(crate) fn record_limit(&self) -> RecordLimit {
        RecordLimit { bytes: self.max_message_bytes.min(1 << 30), setting: "max_message_bytes (--max-message-bytes)" }
    }
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            max_message_bytes: 10 * 1024 * 1024,
            tombstone_retention: Duration::from_secs(24 * 60 * 60),
            max_timestamp_ahead: Duration::from_secs(60 * 60),
            clean_after_bytes: 1024 * 1024,
            cache_bytes: 64 * 1024 * 1024,
            max_folder_bytes: None,
            owner: None,
            expected_id: None,
        }
    }
}

impl fmt::Debug for EmbeddedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedConfig")
            .field("max_message_bytes", &self.max_message_bytes)
            .field("tombstone_retention", &self.tombstone_retention)
            .field("max_timestamp_ahead", &self.max_timestamp_ahead)
            .field("clean_after_bytes", &self.clean_after_bytes)
            .field("cache_bytes", &self.cache_bytes)
            .field("max_folder_bytes", &self.max_folder_bytes)
            .field("owner", &self.owner)
            .field("expected_id", &self.expected_id)
            .finish_non_exhaustive()
    }
}
