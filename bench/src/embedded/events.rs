//! The events of the embedded bench, and how they are loaded.

use marlowe_broker::{
    NewRecord, Partition, Partitioner, Producer, SharedBroker, Timestamp, TopicConfig, TopicPartition,
};
use serde::{Deserialize, Serialize};

use crate::BenchResult;

/// An event that is counted: a view of a page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PageView {
    /// The key.
    pub(crate) page: String,
    /// Another field to decode.
    pub(crate) user: u64,
    /// Another field to decode.
    pub(crate) duration_ms: u32,
}

/// The topic of the events.
pub(crate) const TOPIC: &str = "views";

/// The number of partitions of the topic.
pub(crate) const PARTITIONS: u32 = 4;

/// Events with uniformly random keys, the same in each run.
pub(crate) struct Events {
    state: u64,
    keys: u64,
    left: u64,
    value: Vec<u8>,
}

impl Events {
    /// Creates `count` events over `keys` keys.
    pub(crate) fn new(keys: u64, count: u64) -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, keys, left: count, value: Vec::new() }
    }

    /// Returns the key and the bytes of the next event.
    pub(crate) fn next(&mut self) -> Option<(String, &[u8])> {
        self.left = self.left.checked_sub(1)?;
        // xorshift64*
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let random = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16;
        let view = PageView {
            page: format!("page-{:07}", random % self.keys),
            user: random % 1_000_003,
            duration_ms: (random % 60_000) as u32,
        };
        self.value.clear();
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(&mut self.value, &view);
        Some((view.page, &self.value))
    }
}

/// Creates the topic and sends `count` events to it.
pub(crate) async fn load(broker: &SharedBroker, keys: u64, count: u64) -> BenchResult<()> {
    broker.create_topic(TopicConfig::new(TOPIC, PARTITIONS)).await?;
    let mut producer = broker.producer()?;
    let destinations: Vec<_> = Partition::all(PARTITIONS)
        .map(|partition| producer.destination(&TopicPartition::new(TOPIC, partition)))
        .collect::<Result<_, _>>()?;
    let mut events = Events::new(keys, count);
    let mut sent = 0u64;
    while let Some((key, value)) = events.next() {
        let partition = Partitioner::Murmur2.partition(key.as_bytes(), PARTITIONS);
        let record = NewRecord {
            timestamp: Timestamp::from_millis(sent as i64),
            key: Some(key.as_bytes()),
            value: Some(value),
            headers: &[],
        };
        Producer::send(&mut *producer, destinations[partition.index()], record)?;
        sent += 1;
        if sent.is_multiple_of(100_000) {
            producer.flush().await?;
        }
    }
    producer.flush().await?;
    Ok(())
}
