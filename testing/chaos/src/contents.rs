//! The committed contents of topics.

use std::collections::BTreeMap;
use std::time::Duration;

use marlowe_broker::{Broker, Isolation, Offset, OffsetSpec, Partition, Partitioner, TopicPartition};
use serde_json::Value;

use crate::Result;

/// The time within which a topic must show something new before its end.
const PROGRESS_WITHIN: Duration = Duration::from_secs(90);

/// A committed record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The partition.
    pub partition: Partition,
    /// The offset.
    pub offset: Offset,
    /// The key.
    pub key: Vec<u8>,
    /// The value, or `None` if the record removes the key.
    pub value: Option<Vec<u8>>,
}

/// Returns all committed records of a topic, in order within each partition.
///
/// # Errors
/// When the topic cannot be read to its end. A transaction that is still open prevents it.
pub async fn records(broker: &dyn Broker, topic: &str) -> Result<Vec<Record>> {
    let Some(description) = broker.topic(topic).await? else { return Err(format!("there is no topic {topic}").into()) };
    let partitions: Vec<Partition> = Partition::all(description.partitions).collect();
    let starts = broker.offsets(topic, &partitions, OffsetSpec::Earliest).await?;
    let ends = broker.offsets(topic, &partitions, OffsetSpec::Latest).await?;
    let mut records = Vec::new();
    let mut reader = broker.reader(Isolation::ReadCommitted)?;
    let mut left = BTreeMap::new();
    for ((partition, start), end) in partitions.into_iter().zip(starts).zip(ends) {
        if start < end {
            left.insert(reader.assign(&TopicPartition::new(topic, partition), start)?, (partition, end));
        }
    }
    while !left.is_empty() {
        let Ok(fetched) = tokio::time::timeout(PROGRESS_WITHIN, reader.poll()).await else {
            return Err(format!(
                "{topic}: nothing came for {PROGRESS_WITHIN:?} before the end of {left:?}: is a transaction open?"
            )
            .into());
        };
        for fetched in fetched? {
            let Some((partition, end)) = left.get(&fetched.source).copied() else { continue };
            for index in 0..fetched.batch.len() {
                let record = fetched.batch.get(index);
                if record.offset < end {
                    let key = record.key.unwrap_or_default().to_vec();
                    let value = record.value.map(<[u8]>::to_vec);
                    records.push(Record { partition, offset: record.offset, key, value });
                }
            }
            if fetched.batch.next_offset() >= end {
                reader.unassign(fetched.source);
                left.remove(&fetched.source);
            }
        }
    }
    Ok(records)
}

/// A table as its changelog has it: the last value of each key, and the keys in wrong partitions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// The value of each key.
    pub rows: BTreeMap<String, Value>,
    /// The keys that have a record in a wrong partition.
    pub misplaced: Vec<String>,
}

/// Returns the rows of the table `table` of `app`.
///
/// # Errors
/// When the changelog cannot be read, or has a record that is no row.
pub async fn rows(broker: &dyn Broker, app: &str, table: &str) -> Result<Rows> {
    let changelog = format!("{app}-{table}-changelog");
    let partitions = broker.topic(&changelog).await?.map_or(0, |topic| topic.partitions);
    let mut found = Rows::default();
    for record in records(broker, &changelog).await? {
        // The keys of Marlowe's own notes begin with this byte.
        if record.key.first() == Some(&0) {
            continue;
        }
        let key = String::from_utf8(record.key)?;
        if Partitioner::Murmur2.partition(key.as_bytes(), partitions) != record.partition {
            found.misplaced.push(format!("{table}[{key}] in partition {}", record.partition));
        }
        match record.value {
            Some(value) => found.rows.insert(key, serde_json::from_slice(&value)?),
            None => found.rows.remove(&key),
        };
    }
    Ok(found)
}
