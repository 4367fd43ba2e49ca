//! The records that are committed in topics.

use std::collections::{BTreeMap, HashMap};

use marlowe_broker::{Broker, Isolation, OffsetSpec, Partition, RecordBatch, TopicPartition};
use serde::de::DeserializeOwned;

use crate::place::{Place, TestResult, within};

/// A committed record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
}

impl Record {
    pub(crate) fn number(&self) -> i64 {
        self.value.as_deref().and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{self:?} is no number"))
    }
}

/// A topic's records, in order, by partition.
pub(crate) type Partitions = Vec<Vec<Record>>;

/// Returns all that is committed in a topic, up to the end that readers of uncommitted records see.
/// The read does not reach that end while a transaction is not finished.
pub(crate) async fn records(broker: &dyn Broker, topic: &str) -> TestResult<Partitions> {
    let count = broker.topic(topic).await?.ok_or_else(|| format!("there is no topic {topic}"))?.partitions;
    let partitions: Vec<Partition> = Partition::all(count).collect();
    let starts = broker.offsets(topic, &partitions, OffsetSpec::Earliest).await?;
    let ends = broker.offsets(topic, &partitions, OffsetSpec::Latest).await?;
    let mut reader = broker.reader(Isolation::ReadCommitted)?;
    let (mut records, mut left) = (vec![Vec::new(); partitions.len()], HashMap::new());
    for ((partition, start), end) in partitions.into_iter().zip(starts).zip(ends) {
        if start < end {
            left.insert(reader.assign(&TopicPartition::new(topic, partition), start)?, (partition, end));
        }
    }
    while !left.is_empty() {
        for fetched in within(reader.poll()).await? {
            let Some((partition, end)) = left.get(&fetched.source).copied() else { continue };
            let batch = &fetched.batch;
            records[partition.get() as usize].extend((0..batch.len()).map(|index| record(&**batch, index)));
            if batch.next_offset() >= end {
                reader.unassign(fetched.source);
                left.remove(&fetched.source);
            }
        }
    }
    Ok(records)
}

fn record(batch: &dyn RecordBatch, index: usize) -> Record {
    let record = batch.get(index);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Record { key: record.key.map(text).unwrap_or_default(), value: record.value.map(text) }
}

impl Place {
    /// Returns all that is committed in one of the program's topics.
    pub(crate) async fn records(&self, topic: &str) -> TestResult<Partitions> {
        records(&*self.broker, &self.topic(topic)).await
    }

    /// Returns a table as its changelog has it, or an error if a key is in two partitions.
    pub(crate) async fn table<V: DeserializeOwned>(&self, table: &str) -> TestResult<BTreeMap<String, V>> {
        let changelog = format!("{}-{table}-changelog", self.app);
        let (mut rows, mut homes) = (BTreeMap::new(), HashMap::new());
        for (partition, records) in records(&*self.broker, &changelog).await?.into_iter().enumerate() {
            for record in records {
                // The keys of Marlowe's own records begin with a NUL byte.
                if record.key.starts_with('\0') {
                    continue;
                }
                let home = *homes.entry(record.key.clone()).or_insert(partition);
                if home != partition {
                    return Err(format!("{table}: {} is in partition {home} and in {partition}", record.key).into());
                }
                match record.value {
                    Some(value) => rows.insert(record.key, serde_json::from_str(&value)?),
                    None => rows.remove(&record.key),
                };
            }
        }
        Ok(rows)
    }
}
