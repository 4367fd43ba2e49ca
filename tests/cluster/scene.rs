//! The scene of several processes: the broker that they share, and access to the records in its
//! topics.

use std::sync::Arc;
use std::time::Duration;

use marlowe::Config;
use marlowe::broker::{Broker, Offset, Partition, Timestamp};
use marlowe::topic::Sent;
use marlowe_broker::{NewRecord, TopicPartition};

pub(crate) use crate::common::TestResult;
use crate::common::address::any_port;
use crate::common::records::records;
pub(crate) use crate::common::wait::{eventually, pause, within};
pub(crate) use crate::common::worker::{drain, start, stop};

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
        let mut config = Config::default().broker(self.broker.clone()).web(any_port()).lanes(1);
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
        let records = records(&*self.broker, topic).await.unwrap().concat();
        records.into_iter().map(|record| (record.key.unwrap_or_default(), record.value)).collect()
    }
}
