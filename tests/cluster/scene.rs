//! The scene of several processes: the broker that they share, and access to the records in its
//! topics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use marlowe::broker::{Broker, Offset, Partition, Timestamp};
use marlowe::topic::Sent;
use marlowe::{Config, Running};
use marlowe_broker::{Isolation, NewRecord, OffsetSpec, TopicPartition};

use crate::client::Client;
pub(crate) use crate::stage::LONGEST;
pub(crate) use crate::waits::{drain, eventually, pause, start, stop, within};

pub(crate) type TestResult = Result<(), Box<dyn std::error::Error>>;

/// A cluster in which a test starts processes, on the broker that the stage chooses.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) broker: Arc<dyn Broker>,
}

impl Cluster {
    pub(crate) async fn new() -> Self {
        Self { broker: crate::stage::broker().await }
    }

    /// Returns the settings of a process that has its own web port and commits often.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default().broker(self.broker.clone()).web(free()).lanes(1);
        config.commit_interval = Duration::from_millis(20);
        config.session_timeout = crate::stage::SESSION;
        config
    }

    /// Returns the settings of a process that is not expelled, however busy the machine is.
    pub(crate) fn calm(&self) -> Config {
        let mut config = self.config();
        config.session_timeout = crate::stage::CALM;
        config
    }

    /// Puts a record of text into a topic, as any producer could.
    pub(crate) async fn produce(&self, topic: &str, partition: Partition, key: &str, value: &str) -> Sent {
        self.produce_many(topic, partition, [(key.to_owned(), value.to_owned())].into_iter()).await
    }

    /// Puts many records of text into a topic, and returns the place of the last one.
    pub(crate) async fn produce_many(
        &self,
        topic: &str,
        partition: Partition,
        records: impl Iterator<Item = (String, String)>,
    ) -> Sent {
        let mut producer = self.broker.producer().unwrap();
        let to = producer.destination(&TopicPartition::new(topic, partition)).unwrap();
        let mut end = None;
        let mut records = records.peekable();
        while records.peek().is_some() {
            for (key, value) in records.by_ref().take(10_000) {
                let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
                let timestamp = Timestamp::from_millis(1000);
                producer.send(to, NewRecord { timestamp, key, value, headers: &[] }).unwrap();
            }
            end = producer.flush().await.unwrap().end(to);
        }
        Sent { topic: topic.into(), partition, offset: Offset::new(end.unwrap().get() - 1) }
    }

    /// Returns the keys and values in a topic of one partition, in order.
    pub(crate) async fn records(&self, topic: &str) -> Vec<(String, Option<String>)> {
        let partition = [Partition::new(0)];
        let mut at = self.broker.offsets(topic, &partition, OffsetSpec::Earliest).await.unwrap()[0];
        let end = self.broker.offsets(topic, &partition, OffsetSpec::Latest).await.unwrap()[0];
        let mut reader = self.broker.reader(Isolation::ReadCommitted).unwrap();
        reader.assign(&TopicPartition::new(topic, partition[0]), at).unwrap();
        let mut records = Vec::new();
        while at < end {
            for fetched in within(reader.poll()).await.unwrap() {
                at = fetched.batch.next_offset();
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                for index in 0..fetched.batch.len() {
                    let record = fetched.batch.get(index);
                    records.push((record.key.map(text).unwrap_or_default(), record.value.map(text)));
                }
            }
        }
        records
    }
}

/// Returns an address of the loopback interface with any free port.
pub(crate) fn free() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Returns a client of the process's first worker.
pub(crate) fn client(running: &Running) -> Client {
    Client::new(running.web_addresses()[0])
}
