use std::sync::Arc;

use marlowe_broker::{Offset, Partition, Timestamp};

/// A record as an agent sees it, with all that came along.
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
    /// When it happened, as its producer said.
    pub timestamp: Timestamp,
    /// Its headers, in order. One without a value (Kafka's null) is not the same as an empty one.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}
