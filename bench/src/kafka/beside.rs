//! The latency of one agent while another agent's table is restored in the same worker.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use marlowe::Config;
use marlowe::kafka::{KafkaBroker, KafkaConfig};
use marlowe_broker::{
    Fetched, Isolation, NewRecord, Offset, Partition, Partitioner, SharedBroker, Timestamp, TopicConfig, TopicPartition,
};
use tokio::time::Instant;

use super::restore;
use super::visit::PARTITIONS;
use crate::BenchResult;

const PINGS: &str = "restore-pings";
const PONGS: &str = "restore-pongs";

/// The time between two pings, which gives 500 pings a second.
const EVERY: Duration = Duration::from_millis(2);

/// The time for which pings are followed after the restore.
const AFTER: Duration = Duration::from_secs(15);

/// A ping: the time when it was sent, and the time until its pong could be read, in microseconds.
struct Ping {
    partition: usize,
    sent: u64,
    took: u64,
}

/// Sends pings through an agent of a worker that restores a table at the same time. Prints how long
/// the pings took during the restore and after it.
pub(crate) async fn measure(brokers: &str) -> BenchResult<()> {
    let broker = KafkaBroker::connect(KafkaConfig::new(brokers)).await?;
    for topic in [PINGS, PONGS] {
        broker.create_topic(TopicConfig::new(topic, PARTITIONS)).await?;
    }
    let (mut app, _) = restore::program();
    let (pings, pongs) = (app.topic::<String, u64>(PINGS), app.topic::<String, u64>(PONGS));
    app.agent("echo", pings).each(async |(), at| Ok(at)).sink(pongs);
    let config = Config::default().kafka(KafkaConfig::new(brokers)).without_web().lanes(1);
    let mut running = app.start(config).await?;

    let (begun, done) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let pinging = std::thread::spawn({
        let (broker, done) = (broker.clone(), done.clone());
        move || crate::runtime()?.block_on(ping(broker, begun, done))
    });
    let following = std::thread::spawn({
        let done = done.clone();
        move || crate::runtime()?.block_on(follow(broker, begun, done))
    });
    tokio::time::timeout(Duration::from_secs(600), running.ready()).await??;
    let ready = begun.elapsed().as_micros() as u64;
    tokio::time::sleep(AFTER).await;
    done.store(true, Ordering::Relaxed);
    pinging.join().map_err(|_| "the sender panicked")??;
    let pings = following.join().map_err(|_| "the reader panicked")??;
    let restored = running.restored();
    running.stop().await?;

    // A partition works from its first pong on. Pings that were sent before that had to wait for
    // it, so they do not count.
    let mut opened = [None; PARTITIONS as usize];
    for ping in &pings {
        opened[ping.partition].get_or_insert(ping.sent + ping.took);
    }
    let is_at_work = |ping: &&Ping| opened[ping.partition].is_some_and(|opened| ping.sent > opened);
    let (during, after): (Vec<_>, Vec<_>) = pings.iter().filter(is_at_work).partition(|ping| ping.sent < ready);
    for (case, pings) in [("while a table is restored", during), ("afterwards", after)] {
        let mut took: Vec<u64> = pings.iter().map(|ping| ping.took).collect();
        took.sort_unstable();
        let at = |share: f64| {
            let index = (took.len().saturating_sub(1) as f64 * share) as usize;
            took.get(index).map(|took| *took as f64 / 1000.0)
        };
        let line = serde_json::json!({
            "case": case,
            "restored": restored,
            "restore_seconds": ready as f64 / 1e6,
            "opened_seconds": opened.map(|opened| opened.map(|opened| opened as f64 / 1e6)),
            "pings": took.len(),
            "p50_ms": at(0.5),
            "p99_ms": at(0.99),
            "max_ms": at(1.0),
        });
        println!("{line}");
    }
    Ok(())
}

async fn ping(broker: SharedBroker, begun: Instant, done: Arc<AtomicBool>) -> BenchResult<()> {
    let mut producer = broker.producer()?;
    let destinations: Vec<_> = Partition::all(PARTITIONS)
        .map(|partition| producer.destination(&TopicPartition::new(PINGS, partition)))
        .collect::<Result<_, _>>()?;
    let mut tick = tokio::time::interval(EVERY);
    let mut number = 0u64;
    while !done.load(Ordering::Relaxed) {
        tick.tick().await;
        number += 1;
        let (key, value) = (format!("page-{number:010}"), begun.elapsed().as_micros().to_string());
        let partition = Partitioner::Murmur2.partition(key.as_bytes(), PARTITIONS);
        let timestamp = Timestamp::from_millis(1_700_000_000_000);
        let record = NewRecord { timestamp, key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &[] };
        producer.send(destinations[partition.index()], record)?;
        producer.flush().await?;
    }
    Ok(())
}

/// Reads pongs as they are committed, and returns their pings.
async fn follow(broker: SharedBroker, begun: Instant, done: Arc<AtomicBool>) -> BenchResult<Vec<Ping>> {
    let mut reader = broker.reader(Isolation::ReadCommitted)?;
    let mut partitions = HashMap::new();
    for partition in Partition::all(PARTITIONS) {
        let source = reader.assign(&TopicPartition::new(PONGS, partition), Offset::ZERO)?;
        partitions.insert(source, partition.index());
    }
    let mut pings = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let Ok(fetched) = tokio::time::timeout(Duration::from_millis(200), reader.poll()).await else { continue };
        let now = begun.elapsed().as_micros() as u64;
        for Fetched { source, batch } in fetched? {
            let partition = partitions[&source];
            for index in 0..batch.len() {
                let sent: u64 = serde_json::from_slice(batch.get(index).value.unwrap_or_default())?;
                pings.push(Ping { partition, sent, took: now.saturating_sub(sent) });
            }
        }
    }
    Ok(pings)
}
