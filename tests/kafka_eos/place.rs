//! The place where a test runs: a cluster that it shares with other tests, and on which all its
//! names are its own.

use std::time::Duration;

use kafka_cluster::{Size, shared};
use marlowe::Config;
use marlowe::kafka::{KafkaBroker, KafkaConfig};
use marlowe_broker::{Entropy, OffsetSpec, Partition, SharedBroker, SystemEntropy, TopicConfig};

pub(crate) use crate::common::TestResult;
use crate::common::wait::{pause, within};

/// The longest time for which a worker may be silent before it is expelled.
const SESSION: Duration = Duration::from_millis(2500);

/// The number of partitions of each topic.
pub(crate) const PARTITIONS: u32 = 4;

/// The part of the cluster that one test uses.
pub(crate) struct Place {
    pub(crate) broker: SharedBroker,
    /// The name of the app, with which all names begin.
    pub(crate) app: String,
    kafka: KafkaConfig,
}

impl Place {
    pub(crate) async fn new(name: &str) -> TestResult<Self> {
        let brokers = shared(Size::One)?;
        // A transaction that a crashed worker left open holds up readers, so it must time out soon.
        let kafka = KafkaConfig::new(brokers).set("transaction.timeout.ms", "4000");
        let broker = KafkaBroker::connect(kafka.clone()).await?;
        Ok(Self { broker, app: format!("{name}-{:016x}", SystemEntropy.next()), kafka })
    }

    /// Returns the full name of a topic.
    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.app)
    }

    /// Creates a topic, so that it can be written to before the program runs.
    pub(crate) async fn create(&self, name: &str) -> TestResult {
        Ok(self.broker.create_topic(TopicConfig::new(self.topic(name), PARTITIONS)).await?)
    }

    /// Returns the settings of a worker.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default().kafka(self.kafka.clone()).without_web().lanes(2);
        // The checks read the repartition topics afterwards, so these must not be trimmed.
        config.trim_interval = Some(Duration::from_secs(24 * 60 * 60));
        config.commit_interval(Duration::from_millis(30)).session_timeout(SESSION)
    }

    /// Returns the sum of a topic's end offsets, which grows while the topic is written to.
    async fn extent(&self, topic: &str) -> TestResult<u64> {
        let all: Vec<Partition> = Partition::all(PARTITIONS).collect();
        let ends = self.broker.offsets(&self.topic(topic), &all, OffsetSpec::Latest).await?;
        Ok(ends.into_iter().map(|end| end.get()).sum())
    }

    /// Waits until a topic has about `records` records.
    pub(crate) async fn reaches(&self, topic: &str, records: u64) -> TestResult {
        within(async {
            while self.extent(topic).await? < records {
                pause(20).await;
            }
            Ok(())
        })
        .await
    }

    /// Waits until a topic has about `more` more records.
    pub(crate) async fn grows(&self, topic: &str, more: u64) -> TestResult {
        self.reaches(topic, self.extent(topic).await? + more).await
    }
}
