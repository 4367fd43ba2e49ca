use std::time::Duration;

use clap::{Parser, ValueEnum};

/// The limit for `cargo xtask bench peers`.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// What to do.
    pub(crate) job: Job,
    /// Kafka's bootstrap servers.
    #[arg(long)]
    pub(crate) brokers: String,
    /// The group whose positions are committed.
    #[arg(long)]
    pub(crate) group: String,
    /// What is promised of each event.
    #[arg(long, default_value = "exactly-once")]
    pub(crate) guarantee: Guarantee,
    /// Where the rows of tables are.
    #[arg(long, default_value = "memory")]
    store: Store,
    /// Not used: nothing is written to disk.
    #[arg(long)]
    dir: Option<std::path::PathBuf>,
    /// How many threads.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// The time between two commits, in milliseconds.
    #[arg(long = "commit-ms", default_value = "100", value_parser = milliseconds)]
    pub(crate) commit_interval: Duration,
    /// Not used: all rows are in memory.
    #[arg(long)]
    cache_mb: Option<usize>,
    /// Not used: there is no group to be taken for dead by.
    #[arg(long)]
    session_ms: Option<u64>,
    /// Not used: `serve` is not possible.
    #[arg(long)]
    http: Option<u16>,
    /// The topic of events.
    #[arg(long, default_value = "events")]
    pub(crate) events: String,
    /// The other topic of events.
    #[arg(long, default_value = "others")]
    others: String,
    /// The topic that `pass` writes (default: the group's name with `-out`).
    #[arg(long)]
    out: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Job {
    /// Read, decode, encode, write.
    Pass,
    /// Count per page.
    Count,
    /// Not possible.
    Regroup,
    /// Count per page over two topics, and add up every second.
    Shared,
    /// One count of all, in one thread.
    Total,
    /// Not possible.
    Serve,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Guarantee {
    AtLeastOnce,
    ExactlyOnce,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    Memory,
    Disk,
}

impl Arguments {
    /// Why it cannot be done, if so.
    pub(crate) fn not_possible(&self) -> Option<&'static str> {
        match self.job {
            Job::Regroup => Some("a bare loop has no repartition topic"),
            Job::Serve => Some("a bare loop has no web server"),
            Job::Total if self.threads > 1 => {
                Some("bare loops in two threads have nobody who adds up what they counted")
            }
            _ if self.store == Store::Disk => Some("a bare loop's rows are in a HashMap: there is no store on disk"),
            _ => None,
        }
    }

    /// The topics that are read.
    pub(crate) fn inputs(&self) -> Vec<&str> {
        match self.job {
            Job::Shared => vec![&self.events, &self.others],
            _ => vec![&self.events],
        }
    }

    /// The topic that is written: of rows, or of events.
    pub(crate) fn output(&self) -> String {
        match self.job {
            Job::Pass => self.out.clone().unwrap_or_else(|| format!("{}-out", self.group)),
            Job::Total => format!("{}-total-changelog", self.group),
            _ => format!("{}-counts-changelog", self.group),
        }
    }
}

fn milliseconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_millis)
}
