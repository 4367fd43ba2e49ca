//! The restore of a table from its changelog, compared with a bare consumer of the changelog.

use std::path::PathBuf;
use std::time::Duration;

use marlowe::kafka::{KafkaBroker, KafkaConfig};
use marlowe::{App, Config, Table};
use marlowe_broker::{Cleanup, NewRecord, OffsetSpec, Partition, Partitioner, Timestamp, TopicConfig, TopicPartition};
use serde::Serialize;

use super::bare;
use super::visit::PARTITIONS;
use crate::BenchResult;
use crate::watch::Watch;

const APP: &str = "restore";
const CHANGELOG: &str = "restore-counts-changelog";

#[derive(Serialize)]
struct Measured {
    case: &'static str,
    records: u64,
    wall_seconds: f64,
    cpu_seconds: f64,
    records_per_second: f64,
}

impl Measured {
    fn tell(case: &'static str, records: u64, (wall_seconds, cpu_seconds): (f64, f64)) -> BenchResult<()> {
        let records_per_second = records as f64 / wall_seconds;
        let measured = Measured { case, records, wall_seconds, cpu_seconds, records_per_second };
        println!("{}", serde_json::to_string(&measured)?);
        Ok(())
    }
}

/// Writes the changelog of a table with `keys` keys, each once, in no particular order.
pub(crate) async fn load(brokers: &str, keys: u64) -> BenchResult<()> {
    let broker = KafkaBroker::connect(KafkaConfig::new(brokers)).await?;
    broker.create_topic(TopicConfig::new(CHANGELOG, PARTITIONS).cleanup(Cleanup::Compact)).await?;
    let mut producer = broker.producer()?;
    let destinations: Vec<_> = Partition::all(PARTITIONS)
        .map(|partition| producer.destination(&TopicPartition::new(CHANGELOG, partition)))
        .collect::<Result<_, _>>()?;
    // A step that has no divisor in common with the number of keys reaches each key once.
    let step = 7_368_787;
    for number in 0..keys {
        let key = format!("page-{:010}", number * step % keys);
        let value = (number % 1000).to_string();
        let partition = Partitioner::Murmur2.partition(key.as_bytes(), PARTITIONS);
        let timestamp = Timestamp::from_millis(1_700_000_000_000);
        let record = NewRecord { timestamp, key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &[] };
        producer.send(destinations[partition.index()], record)?;
        if number % 200_000 == 0 {
            producer.flush().await?;
        }
    }
    producer.flush().await?;
    Ok(())
}

/// Reads the changelog as a bare consumer does, and looks at each record.
pub(crate) async fn read(brokers: &str) -> BenchResult<()> {
    let broker = KafkaBroker::connect(KafkaConfig::new(brokers)).await?;
    let all: Vec<Partition> = Partition::all(PARTITIONS).collect();
    let starts = broker.offsets(CHANGELOG, &all, OffsetSpec::Earliest).await?;
    let ends = broker.offsets(CHANGELOG, &all, OffsetSpec::Latest).await?;
    let records = starts.iter().zip(&ends).map(|(start, end)| start.distance_to(*end)).sum();
    let watch = Watch::start();
    let mut bytes = 0;
    bare::read(brokers, CHANGELOG, records, |key, value| bytes += (key.len() + value.len()) as u64)?;
    if bytes == 0 {
        return Err("nothing was read".into());
    }
    Measured::tell("bare", records, watch.seconds())
}

/// Returns the program whose table has that changelog.
pub(crate) fn program() -> (App, Table<String, u64>) {
    let mut app = App::new(APP);
    let visits = app.topic::<String, u64>("restore-visits").partitions(PARTITIONS);
    let counts = app.table::<String, u64>("counts");
    app.agent("count", visits).with(counts).each_event(async |counts, event| {
        counts.update(event.key, |count| *count += 1);
        Ok(())
    });
    (app, counts)
}

/// Starts a worker of the program, and waits until it is ready.
pub(crate) async fn restore(brokers: &str, folder: Option<PathBuf>) -> BenchResult<()> {
    let (app, counts) = program();
    let config = Config::default().kafka(KafkaConfig::new(brokers)).without_web().lanes(1);
    let case = match &folder {
        None => "memory",
        Some(folder) if folder.exists() => "folder again",
        Some(_) => "folder",
    };
    let config = match folder {
        Some(folder) => config.data_dir(folder),
        None => config,
    };
    let watch = Watch::start();
    let mut running = app.start(config).await?;
    tokio::time::timeout(Duration::from_secs(600), running.ready()).await??;
    let seconds = watch.seconds();
    let rows = running.open(counts.view()).len().await?;
    let restored = running.restored();
    running.stop().await?;
    if rows < restored {
        return Err(format!("{rows} rows are there, and {restored} were restored").into());
    }
    Measured::tell(case, restored.max(1), seconds)?;
    println!("{}", serde_json::json!({ "case": case, "rows": rows, "restored": restored }));
    Ok(())
}
