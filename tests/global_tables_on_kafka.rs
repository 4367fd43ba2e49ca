//! What users reported of Faust's global tables, on Kafka with three workers, each a process as far as the broker can tell.
//!
//! The reports: robinhood/faust 475, 541, 580 and 716, faust-streaming/faust 212 and 283.
#![cfg(feature = "kafka")]

use std::sync::Arc;
use std::time::Duration;

use kafka_cluster::{Size, shared};
use marlowe::{
    App, Broker, Config, Entropy, GlobalTable, KafkaBroker, KafkaConfig, Partition, Running, Timestamp, Topic,
};
use marlowe_broker::{Cleanup, NewRecord, Partitioner, SystemEntropy, TopicConfig, TopicPartition};

type TestResult = Result<(), Box<dyn std::error::Error>>;

/// How long anything may take.
const LONGEST: Duration = Duration::from_secs(90);

const PARTITIONS: u32 = 3;

/// A cluster, and a program of a name that no other test has.
struct Stage {
    broker: Arc<dyn Broker>,
    app: String,
}

/// A program that puts what comes into a global table, and what its handlers sent.
type Program = (App, Topic<String, String>, GlobalTable<String, String>);

impl Stage {
    async fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let brokers = shared(Size::One).map_err(ToString::to_string)?;
        let broker = KafkaBroker::connect(KafkaConfig::new(brokers)).await?;
        Ok(Self { broker, app: format!("report-{:08x}", SystemEntropy.next() as u32) })
    }

    fn program(&self) -> Program {
        let mut app = App::new(&self.app);
        let events = app.topic::<String, String>(&format!("{}-events", self.app)).partitions(PARTITIONS);
        let table = app.global_table::<String, String>("rows").partitions(PARTITIONS);
        app.agent("write", events).with(table).each_event(async |rows, event| {
            rows.replace(event.key, event.value);
            Ok(())
        });
        (app, events, table)
    }

    async fn start(
        &self,
    ) -> Result<(Running, Topic<String, String>, GlobalTable<String, String>), Box<dyn std::error::Error>> {
        let (app, events, table) = self.program();
        let mut config = Config::default().broker(self.broker.clone()).without_web().lanes(1);
        config.session_timeout = Duration::from_secs(2);
        let mut running = within(app.start(config)).await?;
        within(running.ready()).await?;
        Ok((running, events, table))
    }

    /// Puts a record into a partition, as any producer can.
    async fn produce(&self, topic: &str, partition: u32, key: &str, value: &str) -> TestResult {
        let mut producer = self.broker.producer()?;
        let to = producer.destination(&TopicPartition::new(topic, Partition::new(partition)))?;
        let timestamp = Timestamp::from_millis(1_700_000_000_000);
        let record = NewRecord { timestamp, key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &[] };
        producer.send(to, record)?;
        producer.flush().await?;
        Ok(())
    }
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LONGEST, what).await {
        Ok(done) => done,
        Err(_) => panic!("it took longer than {LONGEST:?}"),
    }
}

/// Waits until the worker's copy has exactly these rows.
async fn has(running: &Running, table: GlobalTable<String, String>, expected: &[(String, String)]) {
    let copy = running.open(table);
    within(async {
        while copy.iter().unwrap() != expected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

fn rows(count: usize) -> Vec<(String, String)> {
    (0..count).map(|number| (format!("key-{number:03}"), format!("value {number}"))).collect()
}

/// "Global Tables not working as expected with more than 2 workers": what agents write, in any partition, is on all.
#[tokio::test(flavor = "multi_thread")]
async fn rh_475_every_worker_has_what_the_agents_of_each_wrote() -> TestResult {
    let stage = Stage::new().await?;
    let workers = [stage.start().await?, stage.start().await?, stage.start().await?];
    let expected = rows(60);
    let events = workers[0].0.open(workers[0].1);
    for (key, value) in &expected {
        events.send(key, value).await?;
    }
    for (running, _, table) in &workers {
        has(running, *table, &expected).await;
    }
    for (running, _, _) in workers {
        within(running.stop()).await?;
    }
    Ok(())
}

/// "GlobalTable doesn't receive messages": what another program produces to the table reaches all workers, whichever owns the
/// partition. It goes to the table's inbox; the changelog is the owners' alone.
#[tokio::test(flavor = "multi_thread")]
async fn rh_541_what_others_produce_to_the_table_reaches_all_workers() -> TestResult {
    let stage = Stage::new().await?;
    let workers = [stage.start().await?, stage.start().await?, stage.start().await?];
    let expected = rows(12);
    let inbox = format!("{}-rows-inbox", stage.app);
    for (key, value) in &expected {
        let home = Partitioner::Murmur2.partition(key.as_bytes(), PARTITIONS);
        stage.produce(&inbox, home.get(), key, &format!("\"{value}\"")).await?;
    }
    for (running, _, table) in &workers {
        has(running, *table, &expected).await;
    }
    for (running, _, _) in workers {
        within(running.stop()).await?;
    }
    Ok(())
}

/// Workers that come late, and one that is killed and comes back: each has all rows before it serves.
#[tokio::test(flavor = "multi_thread")]
async fn rh_580_a_worker_that_joins_late_or_returns_serves_with_all_rows() -> TestResult {
    let stage = Stage::new().await?;
    let (first, events, _) = stage.start().await?;
    let expected = rows(40);
    for (key, value) in &expected {
        first.open(events).send(key, value).await?;
    }
    let mut first = first;
    within(first.drain()).await?;
    let late = [stage.start().await?, stage.start().await?];
    for (running, _, table) in &late {
        assert_eq!(running.open(*table).iter()?, expected, "it is ready, and so it has all");
    }
    drop(first);
    let (returned, _, table) = stage.start().await?;
    assert_eq!(returned.open(table).iter()?, expected);
    for (running, _, _) in late {
        within(running.stop()).await?;
    }
    within(returned.stop()).await?;
    Ok(())
}

/// "GlobalTable not working with multiple workers": a table of one partition with many rows already in its changelog is whole
/// on each of three workers.
#[tokio::test(flavor = "multi_thread")]
async fn rh_716_a_large_table_of_one_partition_is_whole_on_each_worker() -> TestResult {
    const ROWS: u64 = 100_000;
    let stage = Stage::new().await?;
    let changelog = format!("{}-lookup-changelog", stage.app);
    stage.broker.create_topic(TopicConfig::new(changelog.as_str(), 1).cleanup(Cleanup::Compact)).await?;
    let mut producer = stage.broker.producer()?;
    let to = producer.destination(&TopicPartition::new(changelog.as_str(), Partition::new(0)))?;
    for number in 0..ROWS {
        let (key, value) = (format!("upc-{number}"), number.to_string());
        let timestamp = Timestamp::from_millis(1_700_000_000_000);
        let record = NewRecord { timestamp, key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &[] };
        producer.send(to, record)?;
    }
    within(producer.flush()).await?;
    let start = async || -> Result<_, Box<dyn std::error::Error>> {
        let mut app = App::new(&stage.app);
        let lookup = app.global_table::<String, u64>("lookup").partitions(1);
        let config = Config::default().broker(stage.broker.clone()).without_web().lanes(1);
        let mut running = within(app.start(config)).await?;
        within(running.ready()).await?;
        Ok((running, lookup))
    };
    let workers = [start().await?, start().await?, start().await?];
    for (running, lookup) in &workers {
        let copy = running.open(*lookup);
        assert_eq!(copy.len()?, ROWS);
        assert_eq!(copy.get("upc-99999"), Some(99_999));
    }
    for (running, _) in workers {
        within(running.stop()).await?;
    }
    Ok(())
}

/// Fixed there by making all partitions active: after a restart of all workers each has the partitions that it wrote itself.
#[tokio::test(flavor = "multi_thread")]
async fn fs_212_after_a_restart_each_worker_has_what_it_wrote_itself() -> TestResult {
    let stage = Stage::new().await?;
    let expected = rows(30);
    let workers = [stage.start().await?, stage.start().await?, stage.start().await?];
    for (number, (key, value)) in expected.iter().enumerate() {
        let (running, events, _) = &workers[number % 3];
        running.open(*events).send(key, value).await?;
    }
    for (running, _, table) in &workers {
        has(running, *table, &expected).await;
    }
    for (running, _, _) in workers {
        within(running.stop()).await?;
    }
    let again = [stage.start().await?, stage.start().await?, stage.start().await?];
    for (running, _, table) in &again {
        assert_eq!(running.open(*table).iter()?, expected);
    }
    for (running, _, _) in again {
        within(running.stop()).await?;
    }
    Ok(())
}

/// "GlobalTable not working when using multiple instances": a message in one partition changes the copies of all, also of those
/// that own other partitions or none; and who sends a change can wait until another's copy has it.
#[tokio::test(flavor = "multi_thread")]
async fn fs_283_a_message_in_one_partition_changes_the_copies_of_all() -> TestResult {
    let stage = Stage::new().await?;
    let workers = [stage.start().await?, stage.start().await?, stage.start().await?];
    let topic = format!("{}-events", stage.app);
    for partition in 0..PARTITIONS {
        stage.produce(&topic, partition, "greeting", &format!("\"hello from {partition}\"")).await?;
        let expected = [("greeting".to_owned(), format!("hello from {partition}"))];
        for (running, _, table) in &workers {
            has(running, *table, &expected).await;
        }
    }
    for (writer, _, table) in &workers {
        let sent = writer.open(*table).replace("greeting", "hello to all".to_owned()).await?;
        for (reader, _, table) in &workers {
            let copy = reader.open(*table);
            within(copy.wait_for(&sent)).await;
            assert_eq!(copy.get("greeting").as_deref(), Some("hello to all"));
        }
    }
    for (running, _, _) in workers {
        within(running.stop()).await?;
    }
    Ok(())
}
