//! [`Event`]: a record with its key, topic, offset, timestamp and headers.

use std::sync::Arc;

use marlowe_broker::{Offset, Partition, Timestamp};

/// A record with its metadata, as an agent gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<K, V> {
    /// Its key.
    pub key: K,
    /// Its value.
    pub value: V,
    /// The topic it came from.
    pub topic: Arc<str>,
    /// The partition it came from.
    pub partition: Partition,
    /// Its offset there.
    pub offset: Offset,
    /// The event's time, as its producer set it.
    pub timestamp: Timestamp,
    /// Its headers, in order. A header without a value (Kafka's null) differs from a header with an
    /// empty value.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}
