//! Where a rule is played out: an embedded broker in memory, what lies in its topics, and waits that end.

use std::sync::Arc;
use std::time::Duration;

use marlowe::{App, Broker, Config, EmbeddedBroker, EmbeddedConfig, Partition, RunError, Running, Timestamp};
use marlowe_broker::{Header, Isolation, NewRecord, OffsetSpec, TopicPartition};

pub(crate) type TestResult = Result<(), Box<dyn std::error::Error>>;

/// How long anything may take. Nothing needs a tenth of it; it is there so that nothing hangs.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// How long a member may be silent in tests that crash one.
pub(crate) const SESSION: Duration = Duration::from_millis(400);

/// A broker and nothing on it.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) broker: Arc<EmbeddedBroker>,
}

/// A record as it lies in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) partition: u32,
    pub(crate) offset: u64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self { broker: Arc::new(EmbeddedBroker::in_memory(EmbeddedConfig::default())) }
    }

    /// Settings that commit often and let a dead worker be noticed soon.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default().broker(self.broker.clone()).without_web().lanes(2);
        config.commit_interval = Duration::from_millis(20);
        config.session_timeout = SESSION;
        config
    }

    /// Starts the program and waits until its shards are open.
    pub(crate) async fn start(&self, app: App) -> Result<Running, RunError> {
        start(app, self.config()).await
    }

    /// Puts a record into a topic as any producer could.
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
        let mut producer = self.broker.producer().unwrap();
        let to = producer.destination(&TopicPartition::new(topic, Partition::new(partition))).unwrap();
        let headers: Vec<Header<'_>> = headers.iter().map(|(name, value)| Header { name, value }).collect();
        let record = NewRecord { timestamp: Timestamp::from_millis(1000), key, value, headers: &headers };
        producer.send(to, record).unwrap();
        producer.flush().await.unwrap();
    }

    /// All that is committed in a topic, partition by partition.
    pub(crate) async fn records(&self, topic: &str) -> Vec<Seen> {
        within(async {
            let partitions = self.broker.topic(topic).await.unwrap().map_or(0, |topic| topic.partitions);
            let mut seen = Vec::new();
            for partition in Partition::all(partitions) {
                let ends = self.broker.offsets(topic, &[partition], OffsetSpec::Latest).await.unwrap();
                let starts = self.broker.offsets(topic, &[partition], OffsetSpec::Earliest).await.unwrap();
                let mut at = starts[0];
                let mut reader = self.broker.reader(Isolation::ReadCommitted).unwrap();
                reader.assign(&TopicPartition::new(topic, partition), at).unwrap();
                while at < ends[0] {
                    for fetched in reader.poll().await.unwrap() {
                        at = fetched.batch.next_offset();
                        seen.extend((0..fetched.batch.len()).map(|index| {
                            let record = fetched.batch.get(index);
                            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                            Seen {
                                partition: partition.get(),
                                offset: record.offset.get(),
                                timestamp: record.timestamp.millis(),
                                key: record.key.map(text),
                                value: record.value.map(text),
                                headers: fetched
                                    .batch
                                    .headers(index)
                                    .iter()
                                    .map(|header| (header.name.to_owned(), text(header.value)))
                                    .collect(),
                            }
                        }));
                    }
                }
            }
            seen
        })
        .await
    }

    /// The values in a topic, in order within their partitions.
    pub(crate) async fn values(&self, topic: &str) -> Vec<String> {
        self.records(topic).await.into_iter().filter_map(|record| record.value).collect()
    }
}

/// Starts the program and waits until its shards are open.
pub(crate) async fn start(app: App, config: Config) -> Result<Running, RunError> {
    within(async {
        let mut running = app.start(config).await?;
        running.ready().await?;
        Ok(running)
    })
    .await
}

/// Processes all input to its end.
pub(crate) async fn drain(running: &mut Running) -> Result<(), RunError> {
    within(running.drain()).await
}

/// Stops, as a program does that is told to.
pub(crate) async fn stop(running: Running) -> Result<(), RunError> {
    within(running.stop()).await
}

/// Waits for something that must come.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LONGEST, what).await {
        Ok(done) => done,
        Err(_) => panic!("it took longer than {LONGEST:?}"),
    }
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(LONGEST, async {
        while !holds().await {
            pause(5).await;
        }
    });
    assert!(waited.await.is_ok(), "not within {LONGEST:?}: {what}");
}

pub(crate) async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// The first key of the form `name-0`, `name-1`, … that `fits`.
pub(crate) fn key_where(name: &str, fits: impl Fn(&[u8]) -> bool) -> String {
    (0..100_000).map(|number| format!("{name}-{number}")).find(|key| fits(key.as_bytes())).unwrap()
}
