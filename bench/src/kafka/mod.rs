//! What Marlowe costs on Kafka, beside librdkafka and a `HashMap`.

mod bare;
mod beside;
mod latency;
mod restore;
mod visit;
mod worker;

use clap::{Args, Subcommand, ValueEnum};
use marlowe::{KafkaBroker, KafkaConfig};
use serde::Serialize;

use crate::watch::Watch;
use crate::{BenchResult, runtime};

/// One thing to do on a cluster, in this process.
#[derive(Subcommand)]
pub(crate) enum Kafka {
    /// Put visits into a topic.
    Load(Topic),
    /// Count them per page, and tell what that cost.
    Count {
        #[command(flatten)]
        topic: Topic,
        /// How.
        #[arg(long)]
        case: Case,
    },
    /// Write the changelog of a table.
    LoadChangelog {
        /// The brokers.
        #[arg(long)]
        brokers: String,
        /// How many keys.
        #[arg(long)]
        keys: u64,
    },
    /// Read that changelog, and tell how long that took.
    ReadChangelog {
        /// The brokers.
        #[arg(long)]
        brokers: String,
    },
    /// Start a worker with that table, and tell when it was ready.
    Restore {
        /// The brokers.
        #[arg(long)]
        brokers: String,
        /// The folder for the tables.
        #[arg(long)]
        data_dir: Option<std::path::PathBuf>,
    },
    /// Start a worker with that table, and tell how long events of another agent take meanwhile, and afterwards.
    RestoreBeside {
        /// The brokers.
        #[arg(long)]
        brokers: String,
    },
    /// Tell how long it takes from an event to its output, at a steady load.
    Latency {
        /// The brokers.
        #[arg(long)]
        brokers: String,
        /// Events a second.
        #[arg(long)]
        rate: u64,
        /// For how many seconds.
        #[arg(long, default_value_t = 15)]
        seconds: u64,
    },
}

#[derive(Args)]
pub(crate) struct Topic {
    /// The brokers.
    #[arg(long)]
    brokers: String,
    /// The topic.
    #[arg(long)]
    topic: String,
    /// How many distinct keys.
    #[arg(long, default_value_t = 10_000)]
    keys: u64,
    /// How many events.
    #[arg(long, default_value_t = 2_000_000)]
    events: u64,
}

/// What counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Case {
    /// librdkafka's batch queue, decode, add to a `HashMap`.
    Bare,
    /// An agent, at least once.
    AtLeastOnce,
    /// An agent, exactly once, a commit every 100 ms.
    ExactlyOnce,
}

/// What was seen, between the first twentieth of the events and the last.
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
            Kafka::Latency { brokers, rate, seconds } => runtime()?.block_on(latency::measure(&brokers, rate, seconds)),
        }
    }
}

/// A stretch of the events, from the first twentieth to the last: to start and to stop is not what is measured.
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

    /// Takes note that `counted` events are done.
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
