//! The records that are committed in topics.

use std::collections::{BTreeMap, HashMap};

use marlowe_broker::Broker;
use serde::de::DeserializeOwned;

use crate::common;
use crate::place::{Place, TestResult};

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
    let partitions = common::records::records(broker, topic).await?;
    if partitions.is_empty() {
        return Err(format!("there is no topic {topic}").into());
    }
    let text = |record: common::records::Record| Record { key: record.key.unwrap_or_default(), value: record.value };
    Ok(partitions.into_iter().map(|records| records.into_iter().map(text).collect()).collect())
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
