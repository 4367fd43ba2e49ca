use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Marlowe's program for `cargo xtask bench peers` and `cargo xtask bench growth`.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// What to do.
    pub(crate) job: Job,
    /// Kafka's bootstrap servers.
    #[arg(long)]
    pub(crate) brokers: String,
    /// The app's name, which is its group's.
    #[arg(long)]
    pub(crate) group: String,
    /// What is promised of each event.
    #[arg(long, default_value = "exactly-once")]
    pub(crate) guarantee: Guarantee,
    /// Where the rows of tables are.
    #[arg(long, default_value = "memory")]
    pub(crate) store: Store,
    /// The folder for tables on disk.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// How many lanes.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// The time between two commits, in milliseconds.
    #[arg(long = "commit-ms", default_value = "100", value_parser = milliseconds)]
    pub(crate) commit_interval: Duration,
    /// The cache of decoded rows, in megabytes.
    #[arg(long, default_value_t = 10)]
    cache_mb: usize,
    /// The group's session, in milliseconds.
    #[arg(long = "session-ms", default_value = "10000", value_parser = milliseconds)]
    pub(crate) session: Duration,
    /// The port on loopback of the web server.
    #[arg(long)]
    pub(crate) http: Option<u16>,
    /// The topic of events.
    #[arg(long, default_value = "events")]
    pub(crate) events: String,
    /// The other topics of events, with commas between; none if it is empty.
    #[arg(long, default_value = "others")]
    others: String,
    /// The topic that `pass` writes (default: the group's name with `-out`).
    #[arg(long)]
    out: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Job {
    /// Read, decode, encode, write.
    Pass,
    /// Count per page.
    Count,
    /// Count per user, after a `group_by`.
    Regroup,
    /// Two agents and a timer on one table.
    Shared,
    /// One count of all, which every worker has.
    Total,
    /// Count per page, and tell the counts over HTTP.
    Serve,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Guarantee {
    AtLeastOnce,
    ExactlyOnce,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Store {
    Memory,
    Disk,
}

/// About what a decoded row of a count takes: its key, its value, and the map's share.
const ROW_BYTES: usize = 100;

/// How many partitions the bench's topics have: the cache is shared out among the slices.
const PARTITIONS: usize = 4;

impl Arguments {
    /// The topic that `pass` writes.
    pub(crate) fn out(&self) -> String {
        self.out.clone().unwrap_or_else(|| format!("{}-out", self.group))
    }

    /// The other topics of events.
    pub(crate) fn others(&self) -> impl Iterator<Item = &str> {
        self.others.split(',').filter(|topic| !topic.is_empty())
    }

    /// The folder for tables on disk.
    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| PathBuf::from(format!("{}-data", self.group)))
    }

    /// How many rows the cache of each slice has.
    pub(crate) fn cache_rows(&self) -> usize {
        self.cache_mb * 1_000_000 / ROW_BYTES / PARTITIONS
    }
}

fn milliseconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_millis)
}
