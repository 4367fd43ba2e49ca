//! The command line of Marlowe's program. It is the one that the contract in
//! `bench/peers/README.md` prescribes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Marlowe's program for `cargo xtask bench peers` and `cargo xtask bench growth`.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// The job to do.
    pub(crate) job: Job,
    /// Kafka's bootstrap servers.
    #[arg(long)]
    pub(crate) brokers: String,
    /// The name of the app, which is also the name of its group.
    #[arg(long)]
    pub(crate) group: String,
    /// The processing guarantee.
    #[arg(long, default_value = "exactly-once")]
    pub(crate) guarantee: Guarantee,
    /// The place where tables keep their rows.
    #[arg(long, default_value = "memory")]
    pub(crate) store: Store,
    /// The folder for tables on disk.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The number of lanes.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// The time between two commits, in milliseconds.
    #[arg(long = "commit-ms", default_value = "100", value_parser = milliseconds)]
    pub(crate) commit_interval: Duration,
    /// The size of the cache of decoded rows, in megabytes.
    #[arg(long, default_value_t = 10)]
    cache_mb: usize,
    /// The session timeout of the group, in milliseconds.
    #[arg(long = "session-ms", default_value = "10000", value_parser = milliseconds)]
    pub(crate) session: Duration,
    /// The port of the web server on loopback (default: no web server).
    #[arg(long)]
    pub(crate) http: Option<u16>,
    /// The topic of events.
    #[arg(long, default_value = "events")]
    pub(crate) events: String,
    /// The other topics of events, separated by commas; empty for none.
    #[arg(long, default_value = "others")]
    others: String,
    /// The topic that the job `pass` writes to (default: the group's name with `-out`).
    #[arg(long)]
    out: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Job {
    /// Read, decode, encode and write each event.
    Pass,
    /// Count the events per page.
    Count,
    /// Count the events per user, after a `group_by`.
    Regroup,
    /// Count with several agents and a timer on one table.
    Shared,
    /// Count all events in one number, which every worker has.
    Total,
    /// Count the events per page, and serve the counts over HTTP.
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

/// The approximate size of a decoded row of a count, in bytes: its key, its value, and the map's
/// share.
const ROW_BYTES: usize = 100;

/// The number of partitions of the bench's topics. The cache is shared out among their slices.
const PARTITIONS: usize = 4;

impl Arguments {
    /// Returns the topic that `pass` writes to.
    pub(crate) fn out(&self) -> String {
        self.out.clone().unwrap_or_else(|| format!("{}-out", self.group))
    }

    /// Returns the other topics of events.
    pub(crate) fn others(&self) -> impl Iterator<Item = &str> {
        self.others.split(',').filter(|topic| !topic.is_empty())
    }

    /// Returns the folder for tables on disk.
    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| PathBuf::from(format!("{}-data", self.group)))
    }

    /// Returns the number of rows in the cache of each slice.
    pub(crate) fn cache_rows(&self) -> usize {
        self.cache_mb * 1_000_000 / ROW_BYTES / PARTITIONS
    }
}

fn milliseconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_millis)
}
