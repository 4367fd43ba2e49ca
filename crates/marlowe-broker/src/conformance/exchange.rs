//! Helpers of the checks that send and read records.

use std::sync::Arc;

use super::Setting;
use crate::{
    BrokerError, Destination, Header, Isolation, NewRecord, Offset, OffsetSpec, Partition, Producer, Reader, Timestamp,
    TopicPartition,
};

/// A record as it was read, with bytes of its own so that it can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) partition: u32,
    pub(super) offset: Offset,
    pub(super) timestamp: Timestamp,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Returns a record with this value, for checks in which only the value matters.
pub(super) fn value(value: &str) -> NewRecord<'_> {
    NewRecord { timestamp: Timestamp::from_millis(1), key: Some(b"key"), value: Some(value.as_bytes()), headers: &[] }
}

/// Returns the values of `read` as text.
pub(super) fn values(read: &[Read]) -> Vec<String> {
    let text = |read: &Read| String::from_utf8_lossy(read.value.as_deref().unwrap_or_default()).into_owned();
    read.iter().map(text).collect()
}

impl Setting {
    /// Sends `texts` as values to one partition, and flushes.
    pub(super) async fn produce(&self, to: &TopicPartition, texts: &[&str]) {
        let mut producer = self.broker.producer().expect("a producer");
        let destination = producer.destination(to).expect("a destination");
        for text in texts {
            producer.send(destination, value(text)).expect("the record is taken");
        }
        self.within("a flush", producer.flush()).await.expect("the flush goes through");
    }

    /// Returns the offset that `spec` names in one partition.
    pub(super) async fn offset(&self, of: &TopicPartition, spec: OffsetSpec) -> Offset {
        let offsets = self.broker.offsets(&of.topic, &[of.partition], spec).await.expect("offsets can be asked for");
        assert_eq!(offsets.len(), 1, "one offset for one partition");
        offsets[0]
    }

    /// Reads all records that `topic` has now, partition by partition.
    pub(super) async fn read_all(&self, topic: &Arc<str>, isolation: Isolation) -> Vec<Read> {
        let description = self.broker.topic(topic).await.expect("topics can be asked for").expect("the topic is there");
        let mut all = Vec::new();
        for partition in Partition::all(description.partitions) {
            let place = TopicPartition::new(topic.clone(), partition);
            let (start, end) =
                (self.offset(&place, OffsetSpec::Earliest).await, self.offset(&place, OffsetSpec::Latest).await);
            let mut reader = self.broker.reader(isolation).expect("a reader");
            reader.assign(&place, start).expect("the partition can be read");
            all.extend(self.read_to(&mut *reader, partition.get(), start, end).await);
        }
        all
    }

    /// Reads the only source of `reader` from `position` until its position reaches `end`.
    pub(super) async fn read_to(
        &self,
        reader: &mut dyn Reader,
        partition: u32,
        mut position: Offset,
        end: Offset,
    ) -> Vec<Read> {
        let mut all = Vec::new();
        while position < end {
            for fetched in self.within("reading to the end", reader.poll()).await.expect("records can be read") {
                let batch = fetched.batch;
                for index in 0..batch.len() {
                    let record = batch.get(index);
                    assert!(record.offset >= position, "offsets only grow");
                    position = record.offset.next();
                    all.push(Read {
                        partition,
                        offset: record.offset,
                        timestamp: record.timestamp,
                        key: record.key.map(<[u8]>::to_vec),
                        value: record.value.map(<[u8]>::to_vec),
                        headers: owned(&batch.headers(index)),
                    });
                }
                assert!(batch.next_offset() >= position, "a batch leads past its last record");
                position = batch.next_offset();
            }
        }
        all
    }
}

fn owned(headers: &[Header<'_>]) -> Vec<(String, Option<Vec<u8>>)> {
    headers.iter().map(|header| (header.name.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
}

/// Opens a destination and sends one value to it.
pub(super) fn send<P: Producer + ?Sized>(
    producer: &mut P,
    to: &TopicPartition,
    text: &str,
) -> Result<Destination, BrokerError> {
    let destination = producer.destination(to)?;
    producer.send(destination, value(text))?;
    Ok(destination)
}
