use std::time::Duration;

use marlowe::sim::Faults;
use serde::{Deserialize, Serialize};

use crate::draw::Drawn;

/// What of the matrix a seed tries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The seed.
    pub seed: u64,
    /// How many workers there are.
    pub workers: usize,
    /// Whether tables are kept in folders.
    pub on_disk: bool,
    /// Whether each event counts once, whatever happens, or at least once.
    pub exactly_once: bool,
    /// What goes wrong.
    pub faults: FaultKind,
    /// How many partitions there are.
    pub partitions: u32,
    /// How many lanes each worker has.
    pub lanes: usize,
    /// How many workers stand by for a shard.
    pub standbys: usize,
    /// How many rows of a slice are kept at hand.
    pub cache_rows: usize,
    /// The time between commits.
    pub commit_interval: Duration,
    /// How many keys the events have.
    pub keys: u64,
    /// How many events there are.
    pub events: u64,
    /// How the agent takes its events.
    pub reading: Reading,
    /// A second agent on the same topic writes to the same table.
    pub has_second_agent: bool,
    /// Events change rows of other keys, through the inbox.
    pub sends_to_others: bool,
    /// Events change a global table.
    pub changes_global: bool,
    /// A third agent reads the events by another key.
    pub regroups: bool,
    /// A partition timer shares the table.
    pub has_partition_timer: bool,
    /// Timers of the workers, of the leader and of a crontab send changes.
    pub has_timers: bool,
    /// Some events fail at first, and some always: those become dead letters.
    pub has_failures: bool,
    /// Views are read meanwhile, and rows and pages over the web.
    pub has_readers: bool,
    /// An agent answers: to timers and outsiders that ask, and to events that have the answers sent to a topic.
    pub has_calls: bool,
    /// Rows are changed from outside, on workers and over the web, and looked at after each change.
    pub has_writers: bool,
    /// Changelogs are compacted all the time and keep tombstones for a short time only, and a worker is away for longer. Writers
    /// remove rows that are older than that.
    #[serde(default)]
    pub forgets_removals: bool,
}

/// How an agent takes its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reading {
    /// One by one.
    Each,
    /// As a stream.
    Stream,
    /// Several at a time.
    Concurrent,
}

/// What goes wrong in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// Nothing.
    None,
    /// Workers crash.
    Crashes,
    /// Workers stand still.
    Pauses,
    /// Workers stop and start.
    Rebalances,
    /// The network and the broker.
    Network,
    /// All of this.
    All,
}

impl FaultKind {
    pub(crate) const ALL: [Self; 6] =
        [Self::None, Self::Crashes, Self::Pauses, Self::Rebalances, Self::Network, Self::All];

    pub(crate) fn faults(self) -> Faults {
        match self {
            Self::None => Faults::NONE,
            Self::Crashes => Faults::CRASHES,
            Self::Pauses => Faults::PAUSES,
            Self::Rebalances => Faults::REBALANCES,
            Self::Network => Faults::NETWORK,
            Self::All => Faults::ALL,
        }
    }
}

impl Shape {
    /// What follows from the seed.
    pub fn of(seed: u64) -> Self {
        Drawn::of(seed).shape()
    }
}
