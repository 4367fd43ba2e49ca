use clap::Args;

use crate::setting::Setting;
use crate::system::System;
use crate::work::{Guarantee, Job};

/// Measures stream-processing systems beside each other on one Kafka.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Which systems, with commas between (default: all).
    #[arg(long, value_delimiter = ',')]
    systems: Vec<System>,
    /// Which jobs, with commas between (default: all).
    #[arg(long, value_delimiter = ',')]
    jobs: Vec<Job>,
    /// Only what the report calls so, or a part of it: "count, 10k keys, memory".
    #[arg(long)]
    only: Option<String>,
    /// Which guarantees, with commas between (default: both).
    #[arg(long, value_delimiter = ',')]
    guarantees: Vec<Guarantee>,
    /// On how many cores each, with commas between.
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    pub(crate) cores: Vec<usize>,
    #[command(flatten)]
    pub(crate) setting: Setting,
}

impl Arguments {
    /// The systems, each once, in the order of the report.
    pub(crate) fn systems(&self) -> Vec<System> {
        System::ALL.into_iter().filter(|system| self.systems.is_empty() || self.systems.contains(system)).collect()
    }

    /// Whether this job is asked for.
    pub(crate) fn wants(&self, job: Job) -> bool {
        self.jobs.is_empty() || self.jobs.contains(&job)
    }

    /// Whether what the report calls by this title is asked for.
    pub(crate) fn wants_title(&self, title: &str) -> bool {
        self.only.as_ref().is_none_or(|only| title.contains(only.as_str()))
    }

    /// The guarantees, each once.
    pub(crate) fn guarantees(&self) -> Vec<Guarantee> {
        let all = [Guarantee::ExactlyOnce, Guarantee::AtLeastOnce];
        all.into_iter().filter(|one| self.guarantees.is_empty() || self.guarantees.contains(one)).collect()
    }
}
