//! Records as they are in topics.

use std::collections::HashMap;

use marlowe_broker::{Broker, BrokerError, Isolation, OffsetSpec, Partition, RecordBatch, TopicPartition};

use super::wait::within;

/// A record as it is in a topic. Its key and its value are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) partition: u32,
    pub(crate) offset: u64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    fn of(partition: Partition, batch: &dyn RecordBatch, index: usize) -> Self {
        let record = batch.get(index);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = batch.headers(index);
        Self {
            partition: partition.get(),
            offset: record.offset.get(),
            timestamp: record.timestamp.millis(),
            key: record.key.map(text),
            value: record.value.map(text),
            headers: headers.iter().map(|header| (header.name.to_owned(), header.value.map(<[u8]>::to_vec))).collect(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.header_bytes(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    pub(crate) fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(other, _)| other == name)?.1.as_deref()
    }
}

/// Returns all committed records of a topic, in order, by partition. It reads up to the end that
/// readers of uncommitted records see, and does not reach that end while a transaction is not
/// finished. A topic that does not exist has no partitions.
pub(crate) async fn records(broker: &dyn Broker, topic: &str) -> Result<Vec<Vec<Record>>, BrokerError> {
    within(async {
        let partitions = broker.topic(topic).await?.map_or(0, |topic| topic.partitions);
        let partitions: Vec<Partition> = Partition::all(partitions).collect();
        let starts = broker.offsets(topic, &partitions, OffsetSpec::Earliest).await?;
        let ends = broker.offsets(topic, &partitions, OffsetSpec::Latest).await?;
        let mut reader = broker.reader(Isolation::ReadCommitted)?;
        let mut records: Vec<Vec<Record>> = vec![Vec::new(); partitions.len()];
        let mut reading = HashMap::new();
        for ((partition, start), end) in partitions.into_iter().zip(starts).zip(ends) {
            if start < end {
                reading.insert(reader.assign(&TopicPartition::new(topic, partition), start)?, (partition, end));
            }
        }
        while !reading.is_empty() {
            for fetched in reader.poll().await? {
                let Some((partition, end)) = reading.get(&fetched.source).copied() else { continue };
                let batch = &fetched.batch;
                let read = (0..batch.len()).map(|index| Record::of(partition, &**batch, index));
                records[partition.get() as usize].extend(read);
                if batch.next_offset() >= end {
                    reader.unassign(fetched.source);
                    reading.remove(&fetched.source);
                }
            }
        }
        Ok(records)
    })
    .await
}
