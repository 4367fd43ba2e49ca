//! The command line of the bare loop. It is the one that the contract in `bench/peers/README.md`
//! prescribes.

use std::time::Duration;

use clap::{Parser, ValueEnum};

/// A bare loop on librdkafka, whose speed is the limit in `cargo xtask bench peers`.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// The job to do.
    pub(crate) job: Job,
    /// Kafka's bootstrap servers.
    #[arg(long)]
    pub(crate) brokers: String,
    /// The consumer group whose offsets are committed.
    #[arg(long)]
    pub(crate) group: String,
    /// The processing guarantee.
    #[arg(long, default_value = "exactly-once")]
    pub(crate) guarantee: Guarantee,
    /// The place where tables keep their rows.
    #[arg(long, default_value = "memory")]
    store: Store,
    /// Ignored: nothing is written to disk.
    #[arg(long)]
    dir: Option<std::path::PathBuf>,
    /// The number of threads.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// The time between two commits, in milliseconds.
    #[arg(long = "commit-ms", default_value = "100", value_parser = milliseconds)]
    pub(crate) commit_interval: Duration,
    /// Ignored: all rows are in memory.
    #[arg(long)]
    cache_mb: Option<usize>,
    /// Ignored: the program is not a member of a group, so it cannot be expelled from one.
    #[arg(long)]
    session_ms: Option<u64>,
    /// Ignored: the job `serve` is not possible.
    #[arg(long)]
    http: Option<u16>,
    /// The topic of events.
    #[arg(long, default_value = "events")]
    pub(crate) events: String,
    /// The second topic of events, for the job `shared`.
    #[arg(long, default_value = "others")]
    others: String,
    /// The topic that the job `pass` writes to (default: the group's name with `-out`).
    #[arg(long)]
    out: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Job {
    /// Read, decode, encode and write each event.
    Pass,
    /// Count the events per page.
    Count,
    /// Not possible.
    Regroup,
    /// Count the events of two topics per page, and add up the counts every second.
    Shared,
    /// Count all events in one number, with one thread.
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
    /// Returns the reason why the job cannot be done, if there is one.
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

    /// Returns the topics that are read.
    pub(crate) fn inputs(&self) -> Vec<&str> {
        match self.job {
            Job::Shared => vec![&self.events, &self.others],
            _ => vec![&self.events],
        }
    }

    /// Returns the topic that is written: the changelog, or the topic of events for `pass`.
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
