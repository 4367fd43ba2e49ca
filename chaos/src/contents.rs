//! What is committed in topics.

use std::collections::BTreeMap;
use std::time::Duration;

use marlowe_broker::{Broker, Isolation, Offset, OffsetSpec, Partition, Partitioner, TopicPartition};
use serde_json::Value;

use crate::Result;

/// How long a topic may show nothing new before its end is reached.
const PROGRESS_WITHIN: Duration = Duration::from_secs(90);

/// A record as it is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its partition.
    pub partition: Partition,
    /// Its offset.
    pub offset: Offset,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value, unless it says that the key is gone.
    pub value: Option<Vec<u8>>,
}

/// All that is committed in a topic, in order within its partitions. A transaction that is still open would keep it from its
/// end: that is an error.
///
/// # Errors
/// When it cannot be read to its end.
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

/// A table as its changelog has it: the last value of each key, and where the key is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// The rows.
    pub rows: BTreeMap<String, Value>,
    /// Keys that are not where they should be, or in more than one partition.
    pub misplaced: Vec<String>,
}

/// The rows of `app`'s table `table`.
///
/// # Errors
/// When the changelog cannot be read, or holds what is no row.
pub async fn rows(broker: &dyn Broker, app: &str, table: &str) -> Result<Rows> {
    let changelog = format!("{app}-{table}-changelog");
    let partitions = broker.topic(&changelog).await?.map_or(0, |topic| topic.partitions);
    let mut found = Rows::default();
    for record in records(broker, &changelog).await? {
        // Marlowe's own notes begin so.
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
