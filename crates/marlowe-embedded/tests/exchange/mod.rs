//! Helpers of the tests: a clock, and writing and reading records.

#![allow(dead_code)] // no test file uses all of it

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use marlowe_broker::{
    Broker, BrokerError, Clock, Isolation, NewRecord, Offset, OffsetSpec, Partition, SeededEntropy, Timestamp,
    TopicPartition, Written,
};
use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};

/// A clock that stands still until a test moves it.
#[derive(Default)]
pub(crate) struct HandClock(AtomicI64);

impl HandClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

pub(crate) fn config(clock: &Arc<HandClock>) -> EmbeddedConfig {
    EmbeddedConfig { clock: clock.clone(), entropy: Arc::new(SeededEntropy::new(1)), ..EmbeddedConfig::default() }
}

pub(crate) fn place(topic: &str, partition: u32) -> TopicPartition {
    TopicPartition::new(topic, Partition::new(partition))
}

pub(crate) fn record<'a>(key: &'a str, value: Option<&'a str>, millis: i64) -> NewRecord<'a> {
    NewRecord {
        timestamp: Timestamp::from_millis(millis),
        key: Some(key.as_bytes()),
        value: value.map(str::as_bytes),
        headers: &[],
    }
}

/// Writes records with one timestamp, as one batch.
pub(crate) async fn produce(
    broker: &EmbeddedBroker,
    to: &TopicPartition,
    millis: i64,
    records: &[(&str, Option<&str>)],
) -> Result<Written, BrokerError> {
    let mut producer = broker.producer()?;
    let destination = producer.destination(to)?;
    for (key, value) in records {
        producer.send(destination, record(key, *value, millis))?;
    }
    producer.flush().await
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) offset: u64,
    pub(crate) key: String,
    pub(crate) value: Option<String>,
}

/// Reads all records of a partition. The last batch must end at the partition's end.
pub(crate) async fn read(broker: &EmbeddedBroker, from: &TopicPartition) -> Vec<Read> {
    let start = bound(broker, from, OffsetSpec::Earliest).await;
    read_from(broker, from, start).await
}

pub(crate) async fn read_from(broker: &EmbeddedBroker, from: &TopicPartition, start: u64) -> Vec<Read> {
    let end = bound(broker, from, OffsetSpec::Latest).await;
    let mut reader = broker.reader(Isolation::ReadCommitted).unwrap();
    reader.assign(from, Offset::new(start)).unwrap();
    let (mut position, mut all) = (start, Vec::new());
    while position < end {
        for fetched in reader.poll().await.unwrap() {
            let batch = fetched.batch;
            for index in 0..batch.len() {
                let record = batch.get(index);
                assert!(record.offset.get() >= position, "offsets only grow");
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                all.push(Read {
                    offset: record.offset.get(),
                    key: text(record.key.unwrap_or_default()),
                    value: record.value.map(text),
                });
            }
            position = batch.next_offset().get();
        }
    }
    assert_eq!(position, end, "reading all ends at the end");
    all
}

pub(crate) async fn bound(broker: &EmbeddedBroker, of: &TopicPartition, spec: OffsetSpec) -> u64 {
    broker.offsets(&of.topic, &[of.partition], spec).await.unwrap()[0].get()
}

pub(crate) fn pairs(read: &[Read]) -> Vec<(&str, Option<&str>)> {
    read.iter().map(|read| (read.key.as_str(), read.value.as_deref())).collect()
}
