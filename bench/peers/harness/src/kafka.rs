//! The Kafka that all systems work on, and the harness's clients of it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use kafka_cluster::{Cluster, ClusterConfig, Version};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::PeersResult;
use crate::machine::Machine;

/// The number of partitions of topics, except where that number is measured.
pub(crate) const PARTITIONS: i32 = 4;

/// The longest time to wait for an answer from Kafka.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The Kafka that all systems work on.
pub(crate) struct Kafka {
    cluster: Cluster,
    admin: AdminClient<DefaultClientContext>,
    all: BaseConsumer,
    committed: BaseConsumer,
}

/// The cleanup policy of a topic.
#[derive(Clone, Copy)]
pub(crate) enum Cleanup {
    /// All records are kept.
    Delete,
    /// The last record of each key is kept.
    Compact,
}

/// The way in which a producer puts records into batches.
#[derive(Clone, Copy)]
pub(crate) enum Batches {
    /// Records are sent soon, with whatever else is waiting.
    Early,
    /// Batches have the same number of records, regardless of the number of partitions. This is
    /// about the number that fills 16 kB, the batch size of Kafka's own producer.
    Even,
}

/// The records that a reader sees.
#[derive(Clone, Copy)]
pub(crate) enum Isolation {
    Committed,
    Uncommitted,
}

impl Kafka {
    /// Starts one broker on the loopback interface.
    pub(crate) fn start() -> PeersResult<Self> {
        let cluster = Cluster::start(ClusterConfig::one().long_running())
            .map_err(|error| format!("Kafka does not start: {error}"))?;
        let brokers = cluster.bootstrap();
        Ok(Self {
            admin: ClientConfig::new().set("bootstrap.servers", &brokers).create()?,
            all: consumer(&brokers, "peers", Isolation::Uncommitted).create()?,
            committed: consumer(&brokers, "peers", Isolation::Committed).create()?,
            cluster,
        })
    }

    /// Returns the version that is started.
    pub(crate) fn version() -> String {
        // An invalid choice has already made `start` fail.
        Version::chosen().unwrap_or_default().to_string()
    }

    /// Returns the bootstrap address.
    pub(crate) fn brokers(&self) -> String {
        self.cluster.bootstrap()
    }

    /// Restricts the broker and the harness to `cores`.
    pub(crate) fn share_cores(&self, cores: &str) -> PeersResult<()> {
        Machine::keep(std::process::id() as i32, cores)?;
        let broker = self.cluster.brokers().first().and_then(|broker| broker.process_id());
        broker.map_or(Ok(()), |broker| Machine::keep(broker, cores))
    }

    /// Creates a topic, and waits until it can be used.
    pub(crate) fn create(&self, topic: &str, partitions: i32, cleanup: Cleanup) -> PeersResult<()> {
        let policy = match cleanup {
            Cleanup::Delete => "delete",
            Cleanup::Compact => "compact",
        };
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1)).set("cleanup.policy", policy);
        match block_on(self.admin.create_topics([&new], &AdminOptions::new()))?.into_iter().next() {
            Some(Err((_, error))) if error != RDKafkaErrorCode::TopicAlreadyExists => {
                Err(format!("cannot create the topic `{topic}`: {error}").into())
            }
            // The topic can be used when each partition has a leader.
            _ => self.ends(topic).map(drop),
        }
    }

    /// Returns the topics whose names contain `group`.
    pub(crate) fn topics_of(&self, group: &str) -> PeersResult<Vec<String>> {
        let metadata = self.all.fetch_metadata(None, PATIENCE)?;
        let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
        Ok(names.filter(|name| name.contains(group)).collect())
    }

    /// Returns whether a group has `members` members, and all partitions are assigned.
    pub(crate) fn has_members(&self, group: &str, members: usize) -> PeersResult<bool> {
        let groups = self.all.fetch_group_list(Some(group), PATIENCE)?;
        Ok(groups.groups().iter().any(|group| group.state() == "Stable" && group.members().len() == members))
    }

    /// Returns the number of partitions of a topic. Waits for a topic that was just created.
    pub(crate) fn partitions(&self, topic: &str) -> PeersResult<i32> {
        patiently(|| {
            let metadata = self.all.fetch_metadata(Some(topic), PATIENCE)?;
            let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len() as i32);
            let missing = KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition);
            if partitions > 0 { Ok(partitions) } else { Err(missing) }
        })
    }

    /// Deletes all topics of a group, so that the disk does not fill up.
    pub(crate) fn delete_topics_of(&self, group: &str) -> PeersResult<()> {
        let topics = self.topics_of(group)?;
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        if !topics.is_empty() {
            block_on(self.admin.delete_topics(&topics, &AdminOptions::new()))?;
        }
        Ok(())
    }

    /// Returns the end of each partition of a topic, open transactions included.
    pub(crate) fn ends(&self, topic: &str) -> PeersResult<Vec<i64>> {
        (0..self.partitions(topic)?).map(|partition| end(&self.all, topic, partition)).collect()
    }

    /// Reads the committed records of a topic to its end. Waits first until no transaction is open.
    ///
    /// In each partition it starts at `starts(end)`, where `end` is the partition's end.
    pub(crate) fn read(
        &self,
        topic: &str,
        starts: impl Fn(i64) -> i64,
        mut each: impl FnMut(i32, i64, &[u8], &[u8]),
    ) -> PeersResult<()> {
        self.wait_for_transactions(topic)?;
        let reader: BaseConsumer = consumer(&self.brokers(), "peers", Isolation::Committed).create()?;
        let mut partitions = TopicPartitionList::new();
        let mut left = BTreeSet::new();
        for (partition, end) in (0..).zip(self.ends(topic)?) {
            if end > 0 {
                partitions.add_partition_offset(topic, partition, Offset::Offset(starts(end)))?;
                left.insert(partition);
            }
        }
        reader.assign(&partitions)?;
        while !left.is_empty() {
            match reader.poll(PATIENCE) {
                Some(Ok(message)) => each(
                    message.partition(),
                    message.offset(),
                    message.key().unwrap_or_default(),
                    message.payload().unwrap_or_default(),
                ),
                Some(Err(KafkaError::PartitionEOF(partition))) => drop(left.remove(&partition)),
                Some(Err(error)) => return Err(format!("reading `{topic}`: {error}").into()),
                None => return Err(format!("reading `{topic}`: nothing came for {PATIENCE:?}").into()),
            }
        }
        Ok(())
    }

    /// Waits until no transaction is open in a topic. A killed process may have left one open, and
    /// the broker ends it after its timeout.
    fn wait_for_transactions(&self, topic: &str) -> PeersResult<()> {
        let begun = Instant::now();
        for partition in 0..self.partitions(topic)? {
            loop {
                let all = end(&self.all, topic, partition)?;
                let committed = end(&self.committed, topic, partition)?;
                if committed >= all {
                    break;
                }
                if begun.elapsed() > 3 * PATIENCE {
                    return Err(format!("a transaction in `{topic}`[{partition}] stays open").into());
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Ok(())
    }
}

/// Returns the end of a partition, as `consumer` sees it.
fn end(consumer: &BaseConsumer, topic: &str, partition: i32) -> PeersResult<i64> {
    patiently(|| Ok(consumer.fetch_watermarks(topic, partition, PATIENCE)?.1))
}

/// Repeats a request as long as a topic that was just created has no leaders.
fn patiently<T>(ask: impl Fn() -> KafkaResult<T>) -> PeersResult<T> {
    use RDKafkaErrorCode::{LeaderNotAvailable, NotLeaderForPartition, UnknownTopic, UnknownTopicOrPartition};
    let begun = Instant::now();
    loop {
        let answer = ask();
        let code = answer.as_ref().err().and_then(KafkaError::rdkafka_error_code);
        let passes = [LeaderNotAvailable, NotLeaderForPartition, UnknownTopic, UnknownTopicOrPartition];
        if !code.is_some_and(|code| passes.contains(&code)) || begun.elapsed() > PATIENCE {
            return Ok(answer?);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Returns the settings of a consumer that names a group but never joins it.
pub(crate) fn consumer(brokers: &str, group: &str, isolation: Isolation) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set(
            "isolation.level",
            match isolation {
                Isolation::Committed => "read_committed",
                Isolation::Uncommitted => "read_uncommitted",
            },
        )
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true")
        .set("fetch.queue.backoff.ms", "2");
    config
}

/// Returns a producer of the harness, which uses Kafka's own partitioner.
pub(crate) fn producer(brokers: &str, batches: Batches) -> PeersResult<BaseProducer> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("partitioner", "murmur2_random")
        .set("enable.idempotence", "true")
        .set("queue.buffering.max.messages", "500000");
    match batches {
        Batches::Early => config.set("linger.ms", "1"),
        Batches::Even => config.set("linger.ms", "1000").set("batch.num.messages", "100"),
    };
    Ok(config.create()?)
}

/// Sends a record. Waits if the queue is full.
pub(crate) fn send(producer: &BaseProducer, record: BaseRecord<'_, [u8], [u8]>) -> PeersResult<()> {
    let mut record = record;
    while let Err((error, again)) = producer.send(record) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
            return Err(error.into());
        }
        producer.poll(Duration::from_millis(5));
        record = again;
    }
    Ok(())
}

/// Waits until all sent records are delivered.
pub(crate) fn flush(producer: &BaseProducer) -> PeersResult<()> {
    Ok(producer.flush(PATIENCE)?)
}
