//! The jobs that are measured, and the terms under which each is done.

use clap::ValueEnum;
use serde::Serialize;

use crate::arguments::Arguments;

/// A job that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Job {
    /// Read, decode, encode and write each event.
    Pass,
    /// Count the events per key.
    Count,
    /// Count the events per user, after a repartition.
    Regroup,
    /// Two agents and a timer on one table.
    Shared,
    /// Count the events of all partitions in one number.
    Total,
    /// Start without the table, and restore it from its changelog.
    Restore,
    /// Kill one of two workers.
    Failover,
    /// Read single rows over HTTP while counting.
    Serve,
    /// Measure the time from the input to the committed output, at half of the maximum load.
    Latency,
}

/// The guarantee for each event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Guarantee {
    /// Each event is processed once, and its effect shows once.
    ExactlyOnce,
    /// No event is lost.
    AtLeastOnce,
}

/// The place where a table's rows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Store {
    /// In memory.
    Memory,
    /// In the system's store on disk.
    Disk,
}

/// One job under one set of terms: a table in the report, with a row for each system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Work {
    pub(crate) guarantee: Guarantee,
    pub(crate) cores: usize,
    pub(crate) job: Job,
    pub(crate) keys: u64,
    pub(crate) store: Store,
}

/// A number of keys that is small enough for every commit to contain each of them.
pub(crate) const FEW_KEYS: u64 = 10_000;
const MANY_KEYS: u64 = 1_000_000;
const RESTORED_KEYS: u64 = 5_000_000;

impl Job {
    /// Returns the name of the job in the command line of the programs.
    pub(crate) fn of_program(self) -> &'static str {
        match self {
            Job::Pass | Job::Latency => "pass",
            Job::Count | Job::Restore | Job::Failover => "count",
            Job::Regroup => "regroup",
            Job::Shared => "shared",
            Job::Total => "total",
            Job::Serve => "serve",
        }
    }

    /// Returns whether the job is measured once with each store.
    pub(crate) fn is_about_stores(self) -> bool {
        matches!(self, Job::Count | Job::Restore)
    }

    /// Returns whether events go through a second topic.
    pub(crate) fn has_second_stage(self) -> bool {
        matches!(self, Job::Regroup | Job::Total)
    }
}

impl Guarantee {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Guarantee::ExactlyOnce => "exactly-once",
            Guarantee::AtLeastOnce => "at-least-once",
        }
    }
}

impl Store {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Store::Memory => "memory",
            Store::Disk => "disk",
        }
    }
}

impl Work {
    /// Returns the works that the arguments ask for, in the order in which they are done. `pass`
    /// comes before the latency at half of its load.
    pub(crate) fn all(arguments: &Arguments) -> Vec<Work> {
        use Job::{Count, Failover, Latency, Pass, Regroup, Restore, Serve, Shared, Total};
        use Store::{Disk, Memory};
        let on_one = [
            (Pass, FEW_KEYS, Memory),
            (Count, FEW_KEYS, Memory),
            (Count, FEW_KEYS, Disk),
            (Count, MANY_KEYS, Memory),
            (Count, MANY_KEYS, Disk),
            (Regroup, FEW_KEYS, Memory),
            (Shared, FEW_KEYS, Memory),
            (Total, FEW_KEYS, Memory),
            (Restore, RESTORED_KEYS, Memory),
            (Restore, RESTORED_KEYS, Disk),
            (Failover, FEW_KEYS, Memory),
            (Serve, FEW_KEYS, Memory),
            (Latency, FEW_KEYS, Memory),
        ];
        // A few works are enough to show how a system scales.
        let on_more = [(Pass, FEW_KEYS, Memory), (Count, FEW_KEYS, Memory), (Count, MANY_KEYS, Disk)];
        let mut all = Vec::new();
        for guarantee in arguments.guarantees() {
            for &cores in &arguments.cores {
                let jobs: &[_] = if cores == 1 { &on_one } else { &on_more };
                for &(job, keys, store) in jobs.iter().filter(|(job, ..)| arguments.wants(*job)) {
                    // A small number of keys is not scaled, because a trial would then measure
                    // something else.
                    let keys = if keys == FEW_KEYS { keys } else { (keys as f64 * arguments.setting.scale) as u64 };
                    all.push(Work { guarantee, cores, job, keys, store });
                }
            }
        }
        all.retain(|work| arguments.wants_title(&work.title()));
        all
    }

    /// Returns the title in a report, without guarantee and cores.
    pub(crate) fn title(&self) -> String {
        let (keys, store) = (in_short(self.keys), self.store.name());
        match self.job {
            Job::Pass => "pass through".into(),
            Job::Count => format!("count, {keys} keys, {store}"),
            Job::Regroup => "count after regrouping".into(),
            Job::Shared => "two agents and a timer on one table".into(),
            Job::Total => "one count of all partitions".into(),
            Job::Restore => format!("restore {keys} keys, {store}"),
            Job::Failover => "one of two workers is killed".into(),
            Job::Serve => "reads over HTTP while counting".into(),
            Job::Latency => "latency at half load".into(),
        }
    }
}

/// Formats a number as people say it: 10k, 5M.
pub(crate) fn in_short(number: u64) -> String {
    match number {
        number if number >= 1_000_000 && number % 1_000_000 == 0 => format!("{}M", number / 1_000_000),
        number if number >= 1000 && number % 1000 == 0 => format!("{}k", number / 1000),
        number => number.to_string(),
    }
}
