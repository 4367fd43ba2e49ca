//! The command line of `cargo xtask bench peers`.

use clap::Args;

use crate::setting::Setting;
use crate::system::System;
use crate::work::{Guarantee, Job};

/// Compares stream-processing systems on the same Kafka.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The systems to measure, separated by commas (default: all).
    #[arg(long, value_delimiter = ',')]
    systems: Vec<System>,
    /// The jobs to measure, separated by commas (default: all).
    #[arg(long, value_delimiter = ',')]
    jobs: Vec<Job>,
    /// Only the measurements whose title in the report contains this text, such as "count, 10k
    /// keys, memory".
    #[arg(long)]
    only: Option<String>,
    /// The guarantees to measure, separated by commas (default: both).
    #[arg(long, value_delimiter = ',')]
    guarantees: Vec<Guarantee>,
    /// The numbers of cores to measure with, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    pub(crate) cores: Vec<usize>,
    #[command(flatten)]
    pub(crate) setting: Setting,
}

impl Arguments {
    /// Returns the chosen systems, each once, in the order of the report.
    pub(crate) fn systems(&self) -> Vec<System> {
        System::ALL.into_iter().filter(|system| self.systems.is_empty() || self.systems.contains(system)).collect()
    }

    /// Returns whether `job` is chosen.
    pub(crate) fn wants(&self, job: Job) -> bool {
        self.jobs.is_empty() || self.jobs.contains(&job)
    }

    /// Returns whether the measurement with this title in the report is chosen.
    pub(crate) fn wants_title(&self, title: &str) -> bool {
        self.only.as_ref().is_none_or(|only| title.contains(only.as_str()))
    }

    /// Returns the chosen guarantees, each once.
    pub(crate) fn guarantees(&self) -> Vec<Guarantee> {
        let all = [Guarantee::ExactlyOnce, Guarantee::AtLeastOnce];
        all.into_iter().filter(|one| self.guarantees.is_empty() || self.guarantees.contains(one)).collect()
    }
}
