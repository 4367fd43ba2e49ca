//! A steady load for a long time, and the memory and disk space that it takes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use marlowe::embedded::{EmbeddedBroker, EmbeddedConfig};
use marlowe::{App, Config};
use marlowe_broker::{
    Clock, NewRecord, Partition, Partitioner, SharedBroker, SystemClock, TopicConfig, TopicPartition,
};
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::embedded::{Events, PARTITIONS, PageView, TOPIC};
use crate::{BenchResult, runtime};

/// Sends events through a `group_by` into a table at a steady rate. Prints the resident memory and
/// the disk space as a JSON line every `--every` seconds, and at the end how both changed.
#[derive(Args)]
pub(crate) struct Soak {
    /// The duration in minutes.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// The number of events per second.
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// The number of distinct keys in the table.
    #[arg(long, default_value_t = 1_000)]
    keys: u64,
    /// The seconds for which the input topic keeps its records.
    #[arg(long, default_value_t = 30)]
    retention: u64,
    /// Keep everything in a folder on disk instead of in memory.
    #[arg(long)]
    folder: bool,
    /// The seconds between two lines.
    #[arg(long, default_value_t = 15)]
    every: u64,
}

/// The memory and the disk space of the process at a moment.
#[derive(Clone, Copy, Serialize)]
struct Held {
    seconds: u64,
    sent: u64,
    resident_mb: f64,
    disk_mb: f64,
}

/// The time for which memory and disk space may grow at first.
const SETTLING: Duration = Duration::from_secs(120);

/// The number of parts in which the events of a second are sent.
const PARTS: u64 = 50;

impl Soak {
    pub(crate) fn run(self) -> BenchResult<()> {
        runtime()?.block_on(self.measure())
    }

    async fn measure(self) -> BenchResult<()> {
        let folder = tempfile::tempdir()?;
        let (broker, config): (SharedBroker, _) = match self.folder {
            true => {
                let broker = EmbeddedBroker::open(&folder.path().join("broker"), EmbeddedConfig::default())?;
                (Arc::new(broker), Config::default().data_dir(folder.path()))
            }
            false => (Arc::new(EmbeddedBroker::in_memory(EmbeddedConfig::default())), Config::default()),
        };
        let mut app = App::new("soak");
        app.partitions(PARTITIONS);
        let retention = Duration::from_secs(self.retention);
        let views = app.topic::<String, PageView>(TOPIC).partitions(PARTITIONS).retention(retention);
        let counts = app.table::<String, u64>("counts");
        let by_page = views.group_by(|view| view.page.clone());
        app.agent("count", by_page).with(counts).each(async |counts, view| {
            counts.update(view.page, |count| *count += 1);
            Ok(())
        });
        let mut running = app.start(config.without_web().lanes(1).broker(broker.clone())).await?;
        running.ready().await?;

        let (began, mut held) = (Instant::now(), Vec::<Held>::new());
        let feeding = tokio::spawn(feed(broker, self.rate, self.keys, self.minutes * 60 * self.rate));
        for seconds in (self.every..=self.minutes * 60).step_by(self.every as usize) {
            tokio::time::sleep_until(began + Duration::from_secs(seconds)).await;
            let now = Held {
                seconds,
                sent: seconds * self.rate,
                resident_mb: resident_bytes()? as f64 / 1e6,
                disk_mb: disk_bytes(folder.path())? as f64 / 1e6,
            };
            println!("{}", serde_json::to_string(&now)?);
            held.push(now);
        }
        let sent = feeding.await??;
        running.drain().await?;
        let total: u64 = running.open(counts.view()).iter().await?.into_iter().map(|(_, count)| count).sum();
        running.stop().await?;
        if total != sent {
            return Err(format!("{total} of {sent} events were counted").into());
        }
        println!("{}", summary(&held, sent));
        Ok(())
    }
}

/// Sends `count` events at `rate` events a second.
async fn feed(broker: SharedBroker, rate: u64, keys: u64, count: u64) -> Result<u64, marlowe_broker::BrokerError> {
    // The worker has created the topic, unless it is slower than this task.
    if broker.topic(TOPIC).await?.is_none() {
        broker.create_topic(TopicConfig::new(TOPIC, PARTITIONS)).await?;
    }
    let mut producer = broker.producer()?;
    let destinations: Vec<_> = Partition::all(PARTITIONS)
        .map(|partition| producer.destination(&TopicPartition::new(TOPIC, partition)))
        .collect::<Result<_, _>>()?;
    let (mut events, mut sent) = (Events::new(keys, count), 0);
    let mut ticks = interval(Duration::from_millis(1000 / PARTS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while sent < count {
        ticks.tick().await;
        for _ in 0..rate / PARTS {
            let Some((key, value)) = events.next() else { break };
            // The partition follows from the whole value instead of the key, so that the `group_by`
            // has something to do.
            let partition = Partitioner::Murmur2.partition(value, PARTITIONS);
            let timestamp = SystemClock.now();
            let record = NewRecord { timestamp, key: Some(key.as_bytes()), value: Some(value), headers: &[] };
            producer.send(destinations[partition.index()], record)?;
            sent += 1;
        }
        producer.flush().await?;
    }
    Ok(sent)
}

/// Compares memory and disk space at the end with those after two minutes.
fn summary(held: &[Held], sent: u64) -> serde_json::Value {
    let settled: Vec<&Held> = held.iter().filter(|held| Duration::from_secs(held.seconds) >= SETTLING).collect();
    let growth = |what: fn(&Held) -> f64| {
        let first = settled.first().map_or(0.0, |held| what(held));
        let most = settled.iter().map(|held| what(held)).fold(0.0, f64::max);
        let last = settled.last().map_or(0.0, |held| what(held));
        serde_json::json!({ "at_two_minutes": first, "most_after": most, "last": last, "last_to_first": last / first })
    };
    serde_json::json!({
        "sent": sent,
        "resident_mb": growth(|held| held.resident_mb),
        "disk_mb": growth(|held| held.disk_mb),
    })
}

/// Returns the resident memory of the process, in bytes.
fn resident_bytes() -> BenchResult<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm")?
        .split_ascii_whitespace()
        .nth(1)
        .ok_or("no resident memory in /proc/self/statm")?
        .parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}

/// Returns the bytes that the files of a folder take on the disk, without holes.
fn disk_bytes(folder: &Path) -> BenchResult<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // A segment may be removed in the meantime.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}
