//! Reading back the committed records of a topic.

use marlowe_broker::{Isolation, OffsetSpec, Partition, TopicPartition};

use super::simulation::Simulation;
use crate::codec::{TopicKey, decode_value};
use crate::topic::Topic;

/// A committed record of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The record's partition.
    pub partition: Partition,
    /// The record's key.
    pub key: Option<Vec<u8>>,
    /// The record's value.
    pub value: Option<Vec<u8>>,
    /// The record's headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Simulation {
    /// Returns the committed keys and values of a topic, in order within each partition.
    ///
    /// # Panics
    /// If there is no such topic, or a record does not decode.
    pub async fn committed<K: TopicKey, V: 'static>(&self, topic: Topic<K, V>) -> Vec<(K, V)> {
        let codec = topic.0.settings().codec;
        let decode = |record: Committed| {
            let key = K::decode_key(record.key.as_deref());
            let value = decode_value(&*codec, record.value.as_deref());
            match (key, value) {
                (Ok(key), Ok(value)) => (key, value),
                (Err(error), _) | (_, Err(error)) => panic!("topic `{}`: {error}", topic.name()),
            }
        };
        self.records(topic.name()).await.into_iter().map(decode).collect()
    }

    /// Returns the committed records of a topic as bytes, in order within each partition.
    ///
    /// # Panics
    /// If there is no such topic.
    pub async fn records(&self, topic: &str) -> Vec<Committed> {
        let described = self.broker.topic(topic).await.ok().flatten();
        let partitions: Vec<Partition> = match described {
            Some(described) => Partition::all(described.partitions).collect(),
            None => panic!("there is no topic `{topic}`"),
        };
        let mut records = Vec::new();
        for partition in partitions {
            let place = std::slice::from_ref(&partition);
            let bound = async |spec| self.broker.offsets(topic, place, spec).await.map(|found| found[0]);
            let bounds = (bound(OffsetSpec::Earliest).await, bound(OffsetSpec::Latest).await);
            let (Ok(start), Ok(end)) = bounds else { panic!("topic `{topic}` cannot be read") };
            let reader = self.broker.reader(Isolation::ReadCommitted);
            let mut reader = reader.unwrap_or_else(|error| panic!("{error}"));
            let mut at = start;
            reader.assign(&TopicPartition::new(topic, partition), start).unwrap_or_else(|error| panic!("{error}"));
            while at < end {
                for fetched in reader.poll().await.unwrap_or_else(|error| panic!("{error}")) {
                    let batch = &fetched.batch;
                    records.extend((0..batch.len()).map(|index| {
                        let (record, headers) = (batch.get(index), batch.headers(index).into_iter());
                        Committed {
                            partition,
                            key: record.key.map(<[u8]>::to_vec),
                            value: record.value.map(<[u8]>::to_vec),
                            headers: headers
                                .map(|header| (header.name.to_owned(), header.value.map(<[u8]>::to_vec)))
                                .collect(),
                        }
                    }));
                    at = batch.next_offset();
                }
            }
        }
        records
    }
}
