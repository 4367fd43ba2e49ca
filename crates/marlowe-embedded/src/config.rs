use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Clock, Entropy, RecordLimit, SystemClock, SystemEntropy};

/// How an [`EmbeddedBroker`](crate::EmbeddedBroker) is set up.
#[derive(Clone)]
pub struct EmbeddedConfig {
    /// The time of day, which retention is measured against. Default: the system's.
    pub clock: Arc<dyn Clock>,
    /// Chance, for the names of members. Default: the system's.
    pub entropy: Arc<dyn Entropy>,
    /// The largest record taken: key, value and headers together. Default 10 MiB; at most 1 GiB.
    pub max_message_bytes: usize,
    /// How long a tombstone stays in a compacted topic after the cleaner first met it, so that a reader that is behind
    /// still learns that the key is gone, if the topic does not say so itself. Default 24 h, as Kafka's
    /// `delete.retention.ms`.
    pub tombstone_retention: Duration,
    /// How far a record's timestamp may lie after the broker's clock. Records that lie further are refused, with all that was
    /// written together with them. Default 1 h, as Kafka's `message.timestamp.after.max.ms`.
    pub max_timestamp_ahead: Duration,
    /// A compacted partition is cleaned when this many bytes were added since the last time, and at least as many as
    /// it had then; one of a few keys sooner, as it has many times as much to throw away. Default 1 MiB.
    pub clean_after_bytes: usize,
    /// In a folder: how many bytes of batches are kept in memory for the readers of the newest records. Default 64 MiB.
    pub cache_bytes: usize,
    /// In a folder: the most bytes it may grow to. `None` asks for as much as the address space lends.
    pub max_folder_bytes: Option<usize>,
    /// In a folder: whose it is. A folder of another owner is refused. `None`: it is not looked at.
    pub owner: Option<String>,
    /// In a folder: the [id](crate::EmbeddedBroker::id) of the broker that must be there. Without it a folder that holds none gets
    /// a new one.
    pub expected_id: Option<String>,
}

impl EmbeddedConfig {
    /// The limit on a record, with what the format can hold.
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
