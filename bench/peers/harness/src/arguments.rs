use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::system::System;
use crate::work::{Guarantee, Job};

/// Measures stream-processing systems beside each other on one Kafka.
#[derive(Parser)]
#[command(name = "cargo xtask bench peers")]
pub(crate) struct Arguments {
    /// How many rounds; the figures are medians.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: u32,
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
    /// The share of events and keys: 0.05 for a quick trial.
    #[arg(long, default_value_t = 1.0, value_parser = share)]
    pub(crate) scale: f64,
    /// A run that takes more seconds is given up, and the report says so.
    #[arg(long, default_value_t = 600)]
    patience: u64,
    /// Where the results go (default: `bench/results`; those of a trial below the target folder).
    #[arg(long)]
    results: Option<PathBuf>,
    /// The workspace's folder.
    #[arg(long, hide = true)]
    pub(crate) workspace: PathBuf,
    /// Where cargo builds.
    #[arg(long, hide = true)]
    target: PathBuf,
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

    /// When a run is given up.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }

    /// The folder for what is built and written on the way.
    pub(crate) fn workshop(&self) -> PathBuf {
        self.target.join("peers")
    }

    /// Where cargo puts its programs.
    pub(crate) fn programs(&self) -> PathBuf {
        // The bench profile builds into the folder of the release profile.
        self.target.join("release")
    }

    /// The folder of one system's program.
    pub(crate) fn folder(&self, system: System) -> PathBuf {
        self.workspace.join("bench").join("peers").join(system.name())
    }

    /// Where the results go. A trial does not replace what was measured.
    pub(crate) fn results(&self) -> PathBuf {
        match &self.results {
            Some(folder) => folder.clone(),
            None if self.scale < 1.0 => self.workshop().join("results"),
            None => self.workspace.join("bench").join("results"),
        }
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("a share is above 0 and at most 1".into()),
    }
}
