//! The shape of a run: its cluster, its program and its faults.

use std::time::Duration;

use marlowe::sim::Faults;
use serde::{Deserialize, Serialize};

/// The part of the matrix that a seed tries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The seed.
    pub seed: u64,
    /// The number of workers.
    pub workers: usize,
    /// Tables are kept in folders.
    pub on_disk: bool,
    /// Each event counts exactly once, whatever happens. Otherwise it counts at least once.
    pub exactly_once: bool,
    /// The kind of faults.
    pub faults: FaultKind,
    /// The number of partitions.
    pub partitions: u32,
    /// The number of lanes of each worker.
    pub lanes: usize,
    /// The number of standbys of a shard.
    pub standbys: usize,
    /// The number of rows that the cache of a slice holds.
    pub cache_rows: usize,
    /// The longest time between commits.
    pub commit_interval: Duration,
    /// If true, this is also the shortest time. Otherwise commits follow the load.
    pub has_fixed_interval: bool,
    /// The number of keys of the events.
    pub keys: u64,
    /// The number of events.
    pub events: u64,
    /// The way in which the first agent takes its events.
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
    /// Some events fail at first, and some always. Those that always fail become dead letters.
    pub has_failures: bool,
    /// Views are read during the run, and rows and pages are read over the web.
    pub has_readers: bool,
    /// An agent answers timers and outside callers. It also answers events that have the answers
    /// sent to a topic.
    pub has_calls: bool,
    /// Rows are changed from outside, on workers and over the web, and are read after each change.
    pub has_writers: bool,
    /// Changelogs are compacted all the time and keep tombstones only for a short time, and a
    /// worker is away for longer than that. Writers also remove rows that they wrote earlier.
    #[serde(default)]
    pub forgets_removals: bool,
    /// The outputs are in the transaction with either guarantee.
    #[serde(default)]
    pub has_transactional_outputs: bool,
}

/// The way in which an agent takes its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reading {
    /// One by one.
    Each,
    /// As a stream.
    Stream,
    /// Several at a time.
    Concurrent,
}

/// The kind of faults in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// There are no faults.
    None,
    /// Workers crash.
    Crashes,
    /// Workers are paused.
    Pauses,
    /// Workers stop and start.
    Rebalances,
    /// The network and the broker fail.
    Network,
    /// All of these happen.
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
