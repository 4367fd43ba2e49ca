//! The visits that the Kafka bench counts, and how they are loaded.

use marlowe_broker::{NewRecord, Partition, Partitioner, SharedBroker, Timestamp, TopicConfig, TopicPartition};
use serde::{Deserialize, Serialize};

use crate::BenchResult;

/// An event that is counted: a visit of a page. As JSON it has 100 bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Visit {
    /// The key.
    pub(crate) page: String,
    /// The time of sending, in microseconds since the bench began. Only the latency bench sets it.
    pub(crate) at: u64,
    /// Another field to decode.
    pub(crate) agent: String,
}

/// The number of partitions of all topics.
pub(crate) const PARTITIONS: u32 = 4;

impl Visit {
    fn new(random: u64, keys: u64, at: u64) -> Self {
        Self {
            page: format!("page-{:07}", random % keys),
            at,
            agent: format!("Mozilla/5.0 (bench; {:032})", random % 1_000_003),
        }
    }
}

/// Visits with uniformly random keys, the same in each run.
pub(crate) struct Visits {
    state: u64,
    keys: u64,
    value: Vec<u8>,
}

impl Visits {
    pub(crate) fn new(keys: u64) -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, keys, value: Vec::new() }
    }

    /// Returns the key and the bytes of the next visit.
    pub(crate) fn next(&mut self, at: u64) -> (String, &[u8]) {
        // xorshift64*
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let visit = Visit::new(self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16, self.keys, at);
        self.value.clear();
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(&mut self.value, &visit);
        (visit.page, &self.value)
    }
}

/// Creates the topic and sends `count` visits to it.
pub(crate) async fn load(broker: &SharedBroker, topic: &str, keys: u64, count: u64) -> BenchResult<()> {
    broker.create_topic(TopicConfig::new(topic, PARTITIONS)).await?;
    let mut producer = broker.producer()?;
    let destinations: Vec<_> = Partition::all(PARTITIONS)
        .map(|partition| producer.destination(&TopicPartition::new(topic, partition)))
        .collect::<Result<_, _>>()?;
    let mut visits = Visits::new(keys);
    let mut bytes = 0;
    for sent in 1..=count {
        let (key, value) = visits.next(0);
        bytes += value.len() as u64;
        let partition = Partitioner::Murmur2.partition(key.as_bytes(), PARTITIONS);
        let timestamp = Timestamp::from_millis(1_700_000_000_000 + sent as i64);
        let record = NewRecord { timestamp, key: Some(key.as_bytes()), value: Some(value), headers: &[] };
        producer.send(destinations[partition.index()], record)?;
        if sent % 100_000 == 0 {
            producer.flush().await?;
        }
    }
    producer.flush().await?;
    println!("{}", serde_json::json!({ "loaded": count, "keys": keys, "bytes_of_a_value": bytes / count.max(1) }));
    Ok(())
}
