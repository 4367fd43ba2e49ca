//! The cost of Marlowe on Kafka, compared with librdkafka and a `HashMap`.
//!
//! `cargo xtask bench` starts Kafka and runs these commands one after another, each in a process of
//! its own. `bare` and `worker` count, `restore` and `beside` restore a table, and `latency`
//! follows events.

mod bare;
mod beside;
mod latency;
mod restore;
mod visit;
mod worker;

use clap::{Args, Subcommand, ValueEnum};
use marlowe::kafka::{KafkaBroker, KafkaConfig};
use serde::Serialize;

use crate::watch::Watch;
use crate::{BenchResult, runtime};

/// A step of the bench on a running Kafka, in this process.
#[derive(Subcommand)]
pub(crate) enum Kafka {
    /// Send visits to a topic.
    Load(Topic),
    /// Count the visits of a topic per page, and print the cost.
    Count {
        #[command(flatten)]
        topic: Topic,
        /// The way to count.
        #[arg(long)]
        case: Case,
    },
    /// Write the changelog of a table.
    LoadChangelog {
        /// The bootstrap servers of Kafka.
        #[arg(long)]
        brokers: String,
        /// The number of keys.
        #[arg(long)]
        keys: u64,
    },
    /// Read the changelog that `load-changelog` wrote, and print how long that took.
    ReadChangelog {
        /// The bootstrap servers of Kafka.
        #[arg(long)]
        brokers: String,
    },
    /// Start a worker with the table of that changelog, and print how long it took to be ready.
    Restore {
        /// The bootstrap servers of Kafka.
        #[arg(long)]
        brokers: String,
        /// The folder for the tables (default: tables are in memory).
        #[arg(long)]
        data_dir: Option<std::path::PathBuf>,
    },
    /// Start a worker with the table of that changelog, and print the latency of another agent
    /// during the restore and after it.
    RestoreBeside {
        /// The bootstrap servers of Kafka.
        #[arg(long)]
        brokers: String,
    },
    /// Measure the time from an event to its output, at a steady load.
    Latency {
        /// The bootstrap servers of Kafka.
        #[arg(long)]
        brokers: String,
        /// The number of events per second.
        #[arg(long)]
        rate: u64,
        /// The duration in seconds.
        #[arg(long, default_value_t = 15)]
        seconds: u64,
        /// Send outputs at least once instead of exactly once.
        #[arg(long)]
        at_least_once: bool,
    },
}

#[derive(Args)]
pub(crate) struct Topic {
    /// The bootstrap servers of Kafka.
    #[arg(long)]
    brokers: String,
    /// The topic.
    #[arg(long)]
    topic: String,
    /// The number of distinct keys.
    #[arg(long, default_value_t = 10_000)]
    keys: u64,
    /// The number of events.
    #[arg(long, default_value_t = 2_000_000)]
    events: u64,
}

/// A way to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Case {
    /// A loop that reads librdkafka's batch queue, decodes events, and adds to a `HashMap`.
    Bare,
    /// An agent, at least once.
    AtLeastOnce,
    /// An agent, exactly once, a commit every 100 ms.
    ExactlyOnce,
}

/// The result of a count, from the first twentieth of the events to the last.
#[derive(Serialize)]
struct Measured {
    case: Case,
    keys: u64,
    events: u64,
    wall_seconds: f64,
    cpu_seconds: f64,
    events_per_second: f64,
    events_per_core_second: f64,
}

impl Kafka {
    pub(crate) fn run(self) -> BenchResult<()> {
        match self {
            Kafka::Load(Topic { brokers, topic, keys, events }) => runtime()?.block_on(async {
                let broker = KafkaBroker::connect(KafkaConfig::new(brokers)).await?;
                visit::load(&broker, &topic, keys, events).await
            }),
            Kafka::Count { topic: Topic { brokers, topic, keys, events }, case } => {
                let mut stretch = Stretch::of(events);
                match case {
                    Case::Bare => bare::count(&brokers, &topic, events, &mut stretch)?,
                    Case::AtLeastOnce | Case::ExactlyOnce => {
                        stretch = runtime()?.block_on(worker::count(case, &brokers, &topic, events, stretch))?;
                    }
                }
                let (events, (wall_seconds, cpu_seconds)) = (stretch.events(), stretch.seconds()?);
                let measured = Measured {
                    case,
                    keys,
                    events,
                    wall_seconds,
                    cpu_seconds,
                    events_per_second: events as f64 / wall_seconds,
                    events_per_core_second: events as f64 / cpu_seconds,
                };
                println!("{}", serde_json::to_string(&measured)?);
                Ok(())
            }
            Kafka::LoadChangelog { brokers, keys } => runtime()?.block_on(restore::load(&brokers, keys)),
            Kafka::ReadChangelog { brokers } => runtime()?.block_on(restore::read(&brokers)),
            Kafka::Restore { brokers, data_dir } => runtime()?.block_on(restore::restore(&brokers, data_dir)),
            Kafka::RestoreBeside { brokers } => runtime()?.block_on(beside::measure(&brokers)),
            Kafka::Latency { brokers, rate, seconds, at_least_once } => {
                runtime()?.block_on(latency::measure(&brokers, rate, seconds, at_least_once))
            }
        }
    }
}

/// The part of the events that is measured, from the first twentieth to the last. Starting and
/// stopping are left out.
pub(crate) struct Stretch {
    first: u64,
    last: u64,
    begun: Option<Watch>,
    ended: Option<(f64, f64)>,
}

impl Stretch {
    fn of(events: u64) -> Self {
        Self { first: events / 20, last: events - events / 20, begun: None, ended: None }
    }

    fn events(&self) -> u64 {
        self.last - self.first
    }

    /// Notes that `counted` events are done.
    pub(crate) fn counted(&mut self, counted: u64) {
        if counted == self.first {
            self.begun = Some(Watch::start());
        } else if counted == self.last {
            self.ended = self.begun.as_ref().map(Watch::seconds);
        }
    }

    fn seconds(&self) -> BenchResult<(f64, f64)> {
        self.ended.ok_or_else(|| "the stretch to be measured was not reached".into())
    }
}
