//! The scene of a test: an empty broker, and access to what its topics hold. The module `stage`
//! says which broker it is.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use marlowe::broker::{Broker, Partition, Timestamp};
use marlowe::clock::Entropy;
use marlowe::{App, Config, RunError, Running};
use marlowe_broker::{Header, NewRecord, Producer, TopicPartition};

pub(crate) use crate::common::TestResult;
pub(crate) use crate::common::records::Record;
use crate::common::records::records;
pub(crate) use crate::common::wait::{LONGEST, eventually, pause, within};
pub(crate) use crate::common::worker::{drain, start, stop};
use crate::stage::SESSION;

/// Functions that give an app each guarantee: exactly once, then at least once.
pub(crate) const GUARANTEES: [fn(&mut App); 2] = [|_| {}, |app| _ = app.at_least_once()];

/// An empty broker, with a producer.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) broker: Arc<dyn Broker>,
    producer: Arc<tokio::sync::Mutex<Box<dyn Producer>>>,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let broker = crate::stage::broker().await;
        let producer = Arc::new(tokio::sync::Mutex::new(broker.producer().unwrap()));
        Self { broker, producer }
    }

    /// Returns settings that commit often, and with which no worker is expelled.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default().broker(self.broker.clone()).without_web().lanes(2);
        config.commit_interval = Duration::from_millis(20);
        config.session_timeout = crate::stage::CALM;
        config
    }

    /// Returns settings for a test that crashes workers, which are expelled soon.
    pub(crate) fn config_for_crashes(&self) -> Config {
        self.config().session_timeout(SESSION)
    }

    /// Returns settings for crashes, with a worker's state between restarts in `folder`.
    pub(crate) fn config_in(&self, folder: &Path) -> Config {
        crate::stage::in_folder(self.config_for_crashes(), folder)
    }

    /// Starts the program and waits until its shards are open.
    pub(crate) async fn start(&self, app: App) -> Result<Running, RunError> {
        start(app, self.config()).await
    }

    /// Writes a record to a topic, as any producer could.
    pub(crate) async fn produce(&self, topic: &str, partition: u32, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.produce_with(topic, partition, key, value, &[]).await;
    }

    pub(crate) async fn produce_with(
        &self,
        topic: &str,
        partition: u32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) {
        let mut producer = self.producer.lock().await;
        let to = producer.destination(&TopicPartition::new(topic, Partition::new(partition))).unwrap();
        let headers: Vec<Header<'_>> = headers.iter().map(|(name, value)| Header::new(name, value)).collect();
        let record = NewRecord { timestamp: Timestamp::from_millis(1000), key, value, headers: &headers };
        producer.send(to, record).unwrap();
        producer.flush().await.unwrap();
    }

    /// Writes numbers to partition 0 of a topic at once. `key` returns the key of each.
    pub(crate) async fn produce_numbers(
        &self,
        topic: &str,
        numbers: impl IntoIterator<Item = u64>,
        key: impl Fn(u64) -> String,
    ) {
        let mut producer = self.producer.lock().await;
        let to = producer.destination(&TopicPartition::new(topic, Partition::new(0))).unwrap();
        for number in numbers {
            let (key, value) = (key(number), number.to_string());
            let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
            producer.send(to, NewRecord { timestamp: Timestamp::from_millis(1000), key, value, headers: &[] }).unwrap();
        }
        producer.flush().await.unwrap();
    }

    /// Returns all committed records of a topic, partition by partition.
    pub(crate) async fn records(&self, topic: &str) -> Vec<Record> {
        records(&*self.broker, topic).await.unwrap().concat()
    }

    /// Returns the values in a topic, in order within each partition.
    pub(crate) async fn values(&self, topic: &str) -> Vec<String> {
        self.records(topic).await.into_iter().filter_map(|record| record.value).collect()
    }
}

/// Waits for a random time, in which a worker that starts after a crash may or may not get to work.
pub(crate) async fn pause_by_chance(chance: &dyn Entropy) {
    pause(chance.next() % crate::stage::MOMENT.as_millis() as u64).await;
}

/// Returns the first key of the form `name-0`, `name-1`, … that `fits` accepts.
pub(crate) fn key_where(name: &str, fits: impl Fn(&[u8]) -> bool) -> String {
    (0..100_000).map(|number| format!("{name}-{number}")).find(|key| fits(key.as_bytes())).unwrap()
}
