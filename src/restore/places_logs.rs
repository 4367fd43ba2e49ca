//! Reading and writing of shards' logs of places. Only the newest record of a log counts, and it is
//! near the log's end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use marlowe_broker::{
    Broker, BrokerError, Isolation, NewRecord, Offset, OffsetSpec, Partition, Reader, RecordBatch, SharedBroker,
    Timestamp, TopicPartition,
};
use tokio::sync::Mutex;

use super::coalesce::Gathering;
use crate::shard::Places;

/// How many offsets before a log's end its newest record is searched first. Transactions end with
/// markers, and aborted records take up offsets too.
const NEAR: u64 = 32;

/// The factor by which the search goes further back each time that it finds no record.
const FURTHER: u64 = 64;

/// How many times reading is tried when records are removed between the lookup of a log's start and
/// the read.
const TRIES: u32 = 3;

/// The reader of logs of places. One broker's reader reads the logs of many shards and is kept for
/// the next time.
pub(crate) struct PlacesLogs {
    broker: SharedBroker,
    reader: Mutex<Option<Box<dyn Reader>>>,
    questions: Gathering<TopicPartition, Option<KeptPlaces>>,
}

/// The content of a record in a log of places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptPlaces {
    pub(crate) places: Places,
    /// The bytes of the record.
    pub(crate) record: Vec<u8>,
}

/// A stretch of a log.
#[derive(Clone, Debug)]
struct Stretch {
    log: TopicPartition,
    from: Offset,
    to: Offset,
    /// Set if the log has nothing before it.
    is_all: bool,
}

impl PlacesLogs {
    pub(crate) fn new(broker: SharedBroker) -> Self {
        Self { broker, reader: Mutex::default(), questions: Gathering::default() }
    }

    /// Reads the newest record of a log. Returns `None` if the log does not exist or has no such
    /// record.
    pub(crate) async fn newest(&self, log: TopicPartition) -> Result<Option<KeptPlaces>, BrokerError> {
        self.questions.ask(log, async |logs| self.newest_of(logs).await).await
    }

    async fn newest_of(&self, logs: &[TopicPartition]) -> Result<Vec<Option<KeptPlaces>>, BrokerError> {
        let mut tries = 1;
        let mut kept = self.reader.lock().await;
        loop {
            // A reader whose work was broken off is not used again, because it would go on with
            // that work.
            let mut reader = match kept.take() {
                Some(reader) => reader,
                None => self.broker.reader(Isolation::ReadCommitted)?,
            };
            match self.read_with(&mut *reader, logs).await {
                Ok(found) => {
                    *kept = Some(reader);
                    return Ok(logs.iter().map(|log| found.get(log).cloned()).collect());
                }
                // Compaction or a trim removed records between the lookup and the read.
                Err(BrokerError::OffsetOutOfRange { .. }) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    async fn read_with(
        &self,
        reader: &mut dyn Reader,
        logs: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, KeptPlaces>, BrokerError> {
        let bounds = self.bounds(logs).await?;
        let mut found = BTreeMap::new();
        // Each log is listed once, because a reader can read a partition at only one position at a
        // time.
        let (mut left, mut depth) = (logs.iter().collect::<BTreeSet<_>>(), NEAR);
        while !left.is_empty() {
            let stretches: Vec<Stretch> =
                left.iter().filter_map(|log| Stretch::at_the_end(log, *bounds.get(*log)?, depth)).collect();
            left.clear();
            let kept = read(reader, &stretches).await?;
            for (stretch, kept) in stretches.iter().zip(kept) {
                match kept {
                    Some(kept) => drop(found.insert(stretch.log.clone(), kept)),
                    None if stretch.is_all => {}
                    None => left.extend(logs.iter().find(|log| **log == stretch.log)),
                }
            }
            depth = depth.saturating_mul(FURTHER);
        }
        Ok(found)
    }

    /// Returns where the logs begin and end. A log that does not exist has no bounds.
    async fn bounds(&self, of: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, (Offset, Offset)>, BrokerError> {
        let mut logs: BTreeMap<Arc<str>, BTreeSet<Partition>> = BTreeMap::new();
        for log in of {
            logs.entry(log.topic.clone()).or_default().insert(log.partition);
        }
        let mut bounds = BTreeMap::new();
        for (topic, partitions) in logs {
            let partitions: Vec<Partition> = partitions.into_iter().collect();
            let looked_up = async |spec| self.broker.offsets(&topic, &partitions, spec).await;
            let (earliest, ends) = match (looked_up(OffsetSpec::Earliest).await, looked_up(OffsetSpec::Latest).await) {
                (Ok(earliest), Ok(ends)) => (earliest, ends),
                (Err(BrokerError::UnknownTopic { .. } | BrokerError::UnknownPartition { .. }), _) => continue,
                (Err(error), _) | (_, Err(error)) => return Err(error),
            };
            for (partition, found) in partitions.iter().zip(earliest.into_iter().zip(ends)) {
                bounds.insert(TopicPartition { topic: topic.clone(), partition: *partition }, found);
            }
        }
        Ok(bounds)
    }
}

/// Writes places that are committed, outside of a worker's commits.
pub(crate) async fn write_places(
    broker: &dyn Broker,
    log: &TopicPartition,
    places: &Places,
) -> Result<(), BrokerError> {
    let mut producer = broker.producer()?;
    let to = producer.destination(log)?;
    let (record, timestamp) = (places.written(), Timestamp::default());
    producer.send(to, NewRecord { timestamp, key: Some(Places::KEY), value: Some(&record), headers: &[] })?;
    producer.flush().await.map(drop)
}

impl Stretch {
    /// Returns the last `depth` offsets of a log with these bounds, or all of the log if it has
    /// fewer. Returns `None` if the log is empty.
    fn at_the_end(log: &TopicPartition, (earliest, end): (Offset, Offset), depth: u64) -> Option<Self> {
        let from = Offset::new(end.get().saturating_sub(depth)).max(earliest);
        (from < end).then(|| Self { log: log.clone(), from, to: end, is_all: from <= earliest })
    }
}

/// Reads the last record in each of the stretches, which are of different logs.
async fn read(reader: &mut dyn Reader, stretches: &[Stretch]) -> Result<Vec<Option<KeptPlaces>>, BrokerError> {
    let mut found: Vec<Option<KeptPlaces>> = vec![None; stretches.len()];
    let mut reading = BTreeMap::new();
    for (index, stretch) in stretches.iter().enumerate() {
        reading.insert(reader.assign(&stretch.log, stretch.from)?, index);
    }
    while !reading.is_empty() {
        for fetched in reader.poll().await? {
            let Some(index) = reading.get(&fetched.source).copied() else { continue };
            let stretch = &stretches[index];
            if let Some(last) = last_record(&*fetched.batch, stretch) {
                found[index] = Some(last);
            }
            if fetched.batch.next_offset() >= stretch.to {
                reader.unassign(fetched.source);
                reading.remove(&fetched.source);
            }
        }
    }
    Ok(found)
}

fn last_record(batch: &dyn RecordBatch, stretch: &Stretch) -> Option<KeptPlaces> {
    (0..batch.len()).rev().find_map(|index| {
        let record = batch.get(index);
        let is_meant = record.offset < stretch.to && record.key == Some(Places::KEY);
        let value = record.value.filter(|_| is_meant)?;
        let places = Places::read(value);
        if places.is_none() {
            tracing::warn!(
                "the record at offset {} of {} has no positions of agents, and is skipped",
                record.offset,
                stretch.log
            );
        }
        Some(KeptPlaces { places: places?, record: value.to_vec() })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};

    use super::*;

    type TestResult = Result<(), BrokerError>;

    const LOG: &str = "app-group-positions";

    fn log(partition: u32) -> TopicPartition {
        TopicPartition::new(LOG, Partition::new(partition))
    }

    async fn broker() -> Result<SharedBroker, BrokerError> {
        let broker: SharedBroker = Arc::new(EmbeddedBroker::in_memory(EmbeddedConfig::default()));
        broker.create_topic(marlowe_broker::TopicConfig::new(LOG, 3).with_few_keys()).await?;
        Ok(broker)
    }

    fn places(at: u64) -> Places {
        let json = format!(r#"{{"inputs":{{"t":{{"agents":{{"a":{at}}}}}}}}}"#);
        Places::read(json.as_bytes()).unwrap_or_default()
    }

    async fn write(broker: &SharedBroker, key: &[u8], value: &[u8], times: u64) -> TestResult {
        let mut producer = broker.producer()?;
        let to = producer.destination(&log(0))?;
        for _ in 0..times {
            let (key, value, timestamp) = (Some(key), Some(value), Timestamp::default());
            producer.send(to, NewRecord { timestamp, key, value, headers: &[] })?;
            producer.flush().await?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn the_newest_record_is_found_at_any_distance_from_the_end() -> TestResult {
        for after in [0, 1, NEAR - 1, NEAR, NEAR * FURTHER + 1] {
            let broker = broker().await?;
            write_places(&*broker, &log(0), &places(1)).await?;
            write_places(&*broker, &log(0), &places(2)).await?;
            // These have another key.
            write(&broker, b"another", &places(3).written(), after / 2).await?;
            write(&broker, Places::KEY, b"nonsense", after - after / 2).await?;
            let found = PlacesLogs::new(broker).newest(log(0)).await?;
            assert_eq!(found.map(|found| found.places), Some(places(2)), "{after} records after it");
        }
        Ok(())
    }

    #[tokio::test]
    async fn each_of_many_logs_gets_its_own_answer() -> TestResult {
        let broker = broker().await?;
        for partition in 0..2 {
            write_places(&*broker, &log(partition), &places(u64::from(partition))).await?;
        }
        let logs = PlacesLogs::new(broker);
        let missing = TopicPartition::new("no-such-log", Partition::new(0));
        let asked = [log(0), log(1), log(2), missing, log(0)];
        let found = logs.newest_of(&asked).await?;
        let found: Vec<_> = found.into_iter().map(|found| found.map(|found| found.places)).collect();
        assert_eq!(found, [Some(places(0)), Some(places(1)), None, None, Some(places(0))]);
        Ok(())
    }
}
