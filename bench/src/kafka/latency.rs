//! The latency from an event to its committed output, at a steady load.

use std::sync::Arc;
use std::time::Duration;

use marlowe::kafka::{KafkaBroker, KafkaConfig};
use marlowe::{App, Config};
use marlowe_broker::{
    Entropy, Isolation, NewRecord, Offset, Partition, Partitioner, SharedBroker, SystemEntropy, Timestamp, TopicConfig,
    TopicPartition,
};
use tokio::time::Instant;

use super::visit::{PARTITIONS, Visit, Visits};
use crate::BenchResult;
use crate::watch::Watch;

/// The number of events of which one is followed to its output.
const FOLLOWED: u64 = 100;

/// The time between two sends.
const SEND_EVERY: Duration = Duration::from_millis(5);

/// Sends `rate` events a second through an agent that counts them. Follows some of
/// them to a reader of committed output, and prints how long they took.
pub(crate) async fn measure(brokers: &str, rate: u64, seconds: u64, at_least_once: bool) -> BenchResult<()> {
    let name = format!("latency-{:08x}", SystemEntropy.next() as u32);
    let (input, output) = (format!("{name}-in"), format!("{name}-out"));
    let broker = KafkaBroker::connect(KafkaConfig::new(brokers)).await?;
    broker.create_topic(TopicConfig::new(input.as_str(), PARTITIONS)).await?;
    broker.create_topic(TopicConfig::new(output.as_str(), PARTITIONS)).await?;

    let mut app = App::new(&name);
    if at_least_once {
        app.at_least_once();
    }
    let visits = app.topic::<String, Visit>(&input);
    let followed = app.topic::<String, u64>(&output);
    let counts = app.table::<String, u64>("counts");
    app.agent("count", visits).with((counts, followed)).each(async |(counts, followed), visit: Visit| {
        counts.update(&visit.page, |count| *count += 1);
        if visit.at > 0 {
            followed.send(&visit.page, &visit.at);
        }
        Ok(())
    });
    let kafka = KafkaConfig::new(brokers).read_environment()?;
    let config = Config::default().kafka(kafka).without_web().lanes(1);
    let mut running = app.start(config).await?;
    running.ready().await?;

    let (begun, watch) = (Instant::now(), Watch::start());
    let sender = std::thread::spawn({
        let broker = broker.clone();
        move || crate::runtime()?.block_on(send(broker, input, rate, seconds, begun))
    });
    let mut latencies = follow(&broker, &output, rate * seconds / FOLLOWED, begun).await?;
    let (took, cpu) = watch.seconds();
    sender.join().map_err(|_| "the sender panicked")??;
    running.stop().await?;
    // The first outputs do not count, because the caches were still cold.
    latencies.drain(..latencies.len() / 5);
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize] as f64 / 1000.0;
    let line = serde_json::json!({
        "case": "latency",
        "rate": rate,
        "at_least_once": at_least_once,
        "cpu_seconds_per_million": cpu * 1e6 / (rate * seconds) as f64,
        "events_per_second": ((rate * seconds) as f64 / took).round(),
        "followed": latencies.len(),
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
        "max_ms": at(1.0),
    });
    println!("{line}");
    Ok(())
}

async fn send(broker: SharedBroker, topic: String, rate: u64, seconds: u64, begun: Instant) -> BenchResult<()> {
    let mut producer = broker.producer()?;
    let topic: Arc<str> = topic.into();
    let destinations: Vec<_> = Partition::all(PARTITIONS)
        .map(|partition| producer.destination(&TopicPartition { topic: topic.clone(), partition }))
        .collect::<Result<_, _>>()?;
    let mut visits = Visits::new(10_000);
    let (mut sent, total) = (0, rate * seconds);
    let mut tick = tokio::time::interval(SEND_EVERY);
    while sent < total {
        tick.tick().await;
        let due = ((begun.elapsed().as_secs_f64() * rate as f64) as u64).min(total);
        while sent < due {
            sent += 1;
            let at = if sent % FOLLOWED == 0 { begun.elapsed().as_micros() as u64 } else { 0 };
            let (key, value) = visits.next(at);
            let partition = Partitioner::Murmur2.partition(key.as_bytes(), PARTITIONS);
            let timestamp = Timestamp::from_millis(1_700_000_000_000);
            let record = NewRecord { timestamp, key: Some(key.as_bytes()), value: Some(value), headers: &[] };
            producer.send(destinations[partition.index()], record)?;
        }
        producer.flush().await?;
    }
    Ok(())
}

/// Reads `count` outputs as they are committed. Returns the microseconds that each took.
async fn follow(broker: &SharedBroker, topic: &str, count: u64, begun: Instant) -> BenchResult<Vec<u64>> {
    let mut reader = broker.reader(Isolation::ReadCommitted)?;
    for partition in Partition::all(PARTITIONS) {
        reader.assign(&TopicPartition::new(topic, partition), Offset::ZERO)?;
    }
    let mut latencies = Vec::new();
    while (latencies.len() as u64) < count {
        let fetched = tokio::time::timeout(Duration::from_secs(60), reader.poll()).await??;
        let now = begun.elapsed().as_micros() as u64;
        for batch in fetched.iter().map(|fetched| &fetched.batch) {
            for index in 0..batch.len() {
                let sent: u64 = serde_json::from_slice(batch.get(index).value.unwrap_or_default())?;
                latencies.push(now.saturating_sub(sent));
            }
        }
    }
    Ok(latencies)
}
