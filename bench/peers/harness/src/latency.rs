//! The latency job: the time from an event to its committed output, at a steady load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hdrhistogram::Histogram;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use serde::Deserialize;

use crate::PeersResult;
use crate::feed::{Feed, Steady, now, touch};
use crate::figures::Figures;
use crate::kafka::{Cleanup, Isolation, PARTITIONS, consumer};
use crate::outcome::Outcome;
use crate::progress::{self, Progress};
use crate::reads::histogram;
use crate::trial::{LOOK, Trial};

/// The time for which events are sent before the measurement begins.
const WARM_UP: Duration = Duration::from_secs(4);
/// The time for which events are sent and measured.
const MEASURED: Duration = Duration::from_secs(12);

/// The seed of the events.
const SEED: u64 = 11;

/// The most events per second that the harness can send and follow on the same machine.
pub(crate) const MOST_PER_SECOND: u64 = 100_000;

/// Sends `rate` events a second through `pass`. Measures the time from sending an event to reading
/// its committed output.
pub(crate) fn run(trial: &Trial<'_>, rate: u64) -> Outcome {
    let (kafka, keys) = (trial.kafka, trial.work.keys);
    let inputs = [format!("{}-in", trial.group)];
    kafka.create(&inputs[0], PARTITIONS, Cleanup::Delete)?;
    let first = touch(kafka, &inputs[0], keys)?;
    let progress = Progress::of(kafka, &trial.group, &inputs)?;
    let mut team = trial.start(&inputs, None)?;
    trial.wait_for(&mut team, &progress, &progress::ends(kafka, &inputs)?, "before it had begun")?;

    let follower = Follower::start(&kafka.brokers(), trial.out())?;
    let steady = Steady::start(kafka, &inputs[0], keys, SEED, rate)?;
    let begun = std::time::Instant::now();
    let mut failed = Ok(());
    while failed.is_ok() && begun.elapsed() < WARM_UP + MEASURED {
        failed = team.usage().map(drop);
        std::thread::sleep(LOOK);
    }
    let (sent, took) = (steady.stop()?, begun.elapsed());
    failed?;
    let caught_up =
        trial.wait_for(&mut team, &progress, &progress::ends(kafka, &inputs)?, "before all had come out")?;
    let behind = (caught_up - begun).saturating_sub(took);
    std::thread::sleep(Duration::from_secs(1));
    let times = follower.stop()?;
    team.stop()?;
    let over = trial.check(&[Feed::new(keys, SEED, sent)], &first)?;
    let milliseconds = |quantile| Some(times.value_at_quantile(quantile) as f64 / 1000.0);
    let late = behind > Duration::from_secs(2);
    Ok(Figures {
        p50_ms: milliseconds(0.5),
        p99_ms: milliseconds(0.99),
        sent_per_second: Some(sent as f64 / took.as_secs_f64()),
        over,
        note: late
            .then(|| format!("it was {:.1} s behind at the end: it does not carry this load", behind.as_secs_f64())),
        ..Figures::default()
    })
}

/// A thread that reads committed output as it comes.
struct Follower {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<PeersResult<Histogram<u64>>>,
}

#[derive(Deserialize)]
struct Sent {
    at: u64,
}

impl Follower {
    fn start(brokers: &str, topic: String) -> PeersResult<Self> {
        let reader: BaseConsumer = consumer(brokers, "peers", Isolation::Committed).create()?;
        let mut partitions = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            partitions.add_partition_offset(&topic, partition, Offset::Beginning)?;
        }
        reader.assign(&partitions)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let counts_from = now() + WARM_UP.as_micros() as u64;
        let thread = std::thread::spawn(move || {
            let mut times = histogram()?;
            while !stopped.load(Ordering::Relaxed) {
                if let Some(Ok(message)) = reader.poll(LOOK) {
                    let sent: Sent = serde_json::from_slice(message.payload().unwrap_or_default())?;
                    if sent.at >= counts_from {
                        times.record(now().saturating_sub(sent.at).clamp(1, 600_000_000))?;
                    }
                }
            }
            Ok(times)
        });
        Ok(Self { stop, thread })
    }

    fn stop(self) -> PeersResult<Histogram<u64>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the follower panicked")?
    }
}
