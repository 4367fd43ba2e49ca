use clap::ValueEnum;
use serde::Serialize;

use crate::arguments::Arguments;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Job {
    /// Read, decode, encode, write.
    Pass,
    /// Count per key.
    Count,
    /// Count per user, after a repartition.
    Regroup,
    /// Two agents and a timer on one table.
    Shared,
    /// One count of all partitions.
    Total,
    /// Start without a table that has a changelog.
    Restore,
    /// Kill one of two workers.
    Failover,
    /// Point reads over HTTP while counting.
    Serve,
    /// From the input to the committed output, at half of the maximum load.
    Latency,
}

/// What is promised of each event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Guarantee {
    /// Each event is processed once, and shows once.
    ExactlyOnce,
    /// No event is lost.
    AtLeastOnce,
}

/// Where a table's rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Store {
    /// In memory.
    Memory,
    /// In the system's store on disk.
    Disk,
}

/// One job under one set of terms: a row of each system in the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Work {
    pub(crate) guarantee: Guarantee,
    pub(crate) cores: usize,
    pub(crate) job: Job,
    pub(crate) keys: u64,
    pub(crate) store: Store,
}

/// Keys of which every commit has each.
pub(crate) const FEW_KEYS: u64 = 10_000;
const MANY_KEYS: u64 = 1_000_000;
const RESTORED_KEYS: u64 = 5_000_000;

impl Job {
    /// The job as the programs know it.
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

    /// Whether it is measured once with each store.
    pub(crate) fn is_about_stores(self) -> bool {
        matches!(self, Job::Count | Job::Restore)
    }

    /// Whether events go through a second topic on their way.
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
    /// All that the arguments ask for, in the order in which it is done: `pass` before the latency at half of its load.
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
        // How a system grows shows in a few.
        let on_more = [(Pass, FEW_KEYS, Memory), (Count, FEW_KEYS, Memory), (Count, MANY_KEYS, Disk)];
        let mut all = Vec::new();
        for guarantee in arguments.guarantees() {
            for &cores in &arguments.cores {
                let jobs: &[_] = if cores == 1 { &on_one } else { &on_more };
                for &(job, keys, store) in jobs.iter().filter(|(job, ..)| arguments.wants(*job)) {
                    // Few keys stay few: else a trial would be about something else.
                    let keys = if keys == FEW_KEYS { keys } else { (keys as f64 * arguments.setting.scale) as u64 };
                    all.push(Work { guarantee, cores, job, keys, store });
                }
            }
        }
        all.retain(|work| arguments.wants_title(&work.title()));
        all
    }

    /// What it is called in a report, without guarantee and cores.
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

/// A number as people say it: 10k, 5M.
pub(crate) fn in_short(number: u64) -> String {
    match number {
        number if number >= 1_000_000 && number % 1_000_000 == 0 => format!("{}M", number / 1_000_000),
        number if number >= 1000 && number % 1000 == 0 => format!("{}k", number / 1000),
        number => number.to_string(),
    }
}
