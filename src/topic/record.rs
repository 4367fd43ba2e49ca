//! A record to send, with its key, value, timestamp, partition and headers.

use std::fmt;

use marlowe_broker::{Header, Partition, Timestamp};

/// A record to send, with everything that a record can have. These methods send it:
///
/// - in an event: [`TopicSender::send_record`](crate::topic::TopicSender::send_record)
/// - outside events: [`TopicClient::send_record`](crate::topic::TopicClient::send_record)
/// - in a source: [`SourceWriter::send_record`](crate::timer::SourceWriter::send_record)
///
/// ```
/// use marlowe::broker::{Partition, Timestamp};
/// use marlowe::topic::ProducerRecord;
///
/// let mut app = marlowe::App::new("shop");
/// let orders = app.topic::<String, u32>("orders");
/// let late = app.topic::<String, u32>("late");
/// app.agent("sort", orders).with(late).each_event(async |late, order| {
///     let record = ProducerRecord::new(&order.key, &order.value)
///         .timestamp(Timestamp::from_millis(order.timestamp.millis() + 1_000))
///         .header("from", b"sort")
///         .partition(Partition::new(0));
///     late.send_record(record);
///     late.send_record(ProducerRecord::tombstone(&"gone".to_owned()));
///     Ok(())
/// });
/// ```
pub struct ProducerRecord<'a, K, V> {
    pub(crate) key: &'a K,
    /// The value. `None` makes the record a tombstone.
    pub(crate) value: Option<&'a V>,
    pub(crate) partition: Option<Partition>,
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) headers: Vec<Header<'a>>,
}

impl<'a, K, V> ProducerRecord<'a, K, V> {
    /// Makes a record with a key and a value.
    #[inline]
    pub fn new(key: &'a K, value: &'a V) -> Self {
        Self { key, value: Some(value), partition: None, timestamp: None, headers: Vec::new() }
    }

    /// Makes a tombstone: a record without a value. In a compacted topic it means that the key is
    /// removed. Readers of the topic get `None` if the type of the topic's values is an `Option`.
    pub fn tombstone(key: &'a K) -> Self {
        Self { key, value: None, partition: None, timestamp: None, headers: Vec::new() }
    }

    /// Sets the record's timestamp (default: the event's timestamp inside an event, the present
    /// time outside).
    pub fn timestamp(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// Sets the record's partition, whatever its key is (default: the partition of the key, by the
    /// topic's [partitioner](crate::Topic::partitioner)). In a partition that is not its key's
    /// home, the record cannot change its key's row.
    pub fn partition(mut self, partition: Partition) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Adds a header. A name may occur more than once.
    pub fn header(mut self, name: &'a str, value: &'a [u8]) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    /// Adds a header without a value, which is not the same as an empty one.
    pub fn null_header(mut self, name: &'a str) -> Self {
        self.headers.push(Header { name, value: None });
        self
    }
}

impl<K, V> Clone for ProducerRecord<'_, K, V> {
    fn clone(&self) -> Self {
        Self { headers: self.headers.clone(), ..*self }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for ProducerRecord<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerRecord")
            .field("key", self.key)
            .field("value", &self.value)
            .field("partition", &self.partition)
            .field("timestamp", &self.timestamp)
            .field("headers", &self.headers)
            .finish()
    }
}
