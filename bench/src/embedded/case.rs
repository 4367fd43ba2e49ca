//! The cases of the embedded bench, and how each is measured.

use std::collections::HashMap;
use std::sync::Arc;

use marlowe::embedded::{EmbeddedBroker, EmbeddedConfig};
use marlowe::{App, Config};
use marlowe_broker::SharedBroker;
use serde::{Deserialize, Serialize};

use super::events::{Events, PageView, TOPIC, load};
use crate::watch::Watch;
use crate::{BenchResult, runtime};

/// A case that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Case {
    /// A bare loop that decodes the same bytes and adds to a `HashMap`.
    Bare,
    /// An agent that counts the same events: broker and tables in memory, exactly once, a commit
    /// every 100 ms.
    Memory,
    /// The agent of `memory`, with broker and tables in a folder on disk.
    Disk,
}

/// The result of one measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// The case that was measured.
    pub(crate) case: Case,
    /// The number of distinct keys.
    pub(crate) keys: u64,
    /// The number of events.
    pub(crate) events: u64,
    /// The elapsed time by the wall clock, in seconds.
    pub(crate) wall_seconds: f64,
    /// The processor time in seconds: of all threads, user and system.
    pub(crate) cpu_seconds: f64,
    /// Events per second of processor time.
    pub(crate) events_per_core_second: f64,
}

impl Case {
    /// Does only the preparation before the measurement, so that its cost can be subtracted.
    pub(crate) fn prepare(self, keys: u64, events: u64) -> BenchResult<()> {
        match self {
            Case::Bare => {
                prepare_bare(keys, events);
                Ok(())
            }
            Case::Memory | Case::Disk => runtime()?.block_on(async {
                let broker: SharedBroker = Arc::new(EmbeddedBroker::in_memory(EmbeddedConfig::default()));
                load(&broker, keys, events).await
            }),
        }
    }

    /// Runs the case once.
    pub(crate) fn run(self, keys: u64, events: u64) -> BenchResult<Measured> {
        let (wall_seconds, cpu_seconds) = match self {
            Case::Bare => bare(keys, events)?,
            Case::Memory | Case::Disk => runtime()?.block_on(self.agent(keys, events))?,
        };
        let events_per_core_second = events as f64 / cpu_seconds;
        Ok(Measured { case: self, keys, events, wall_seconds, cpu_seconds, events_per_core_second })
    }

    async fn agent(self, keys: u64, events: u64) -> BenchResult<(f64, f64)> {
        let folder = tempfile::tempdir()?;
        let config = Config::default().without_web().lanes(1);
        let config = match self {
            Case::Disk => {
                let broker: SharedBroker =
                    Arc::new(EmbeddedBroker::open(&folder.path().join("broker"), EmbeddedConfig::default())?);
                load(&broker, keys, events).await?;
                drop(broker);
                config.data_dir(folder.path())
            }
            Case::Memory | Case::Bare => {
                let broker: SharedBroker = Arc::new(EmbeddedBroker::in_memory(EmbeddedConfig::default()));
                load(&broker, keys, events).await?;
                config.broker(broker)
            }
        };
        let mut app = App::new("bench");
        let views = app.topic::<String, PageView>(TOPIC);
        let counts = app.table::<String, u64>("counts").cache_rows(1_000_000);
        app.agent("count", views).with(counts).each(async |counts, view| {
            counts.update(view.page, |count| *count += 1);
            Ok(())
        });
        let watch = Watch::start();
        let mut running = app.start(config).await?;
        running.ready().await?;
        running.drain().await?;
        let seen = watch.seconds();
        let total: u64 = running.open(counts.view()).iter().await?.into_iter().map(|(_, count)| count).sum();
        running.stop().await?;
        check(total, events)?;
        Ok(seen)
    }
}

/// Returns the bytes of all events in a row, and the end of each.
fn prepare_bare(keys: u64, events: u64) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = Vec::new();
    let mut ends = Vec::new();
    let mut source = Events::new(keys, events);
    while let Some((_, value)) = source.next() {
        bytes.extend_from_slice(value);
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn bare(keys: u64, events: u64) -> BenchResult<(f64, f64)> {
    let (bytes, ends) = prepare_bare(keys, events);
    let watch = Watch::start();
    let mut counts: HashMap<String, u64> = HashMap::new();
    let mut start = 0;
    for end in ends {
        let view: PageView = serde_json::from_slice(&bytes[start..end])?;
        start = end;
        *counts.entry(view.page).or_default() += 1;
    }
    let seen = watch.seconds();
    check(counts.values().sum(), events)?;
    Ok(seen)
}

/// Checks that all events were counted, because a wrong count measures nothing.
fn check(counted: u64, events: u64) -> BenchResult<()> {
    if counted == events { Ok(()) } else { Err(format!("{counted} of {events} events were counted").into()) }
}
