use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::PeersResult;
use crate::system::System;

/// What every measurement is told.
#[derive(Args)]
pub(crate) struct Setting {
    /// How many rounds; the figures are medians.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: u32,
    /// The share of the load: 0.05 for a quick trial.
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

impl Setting {
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

    /// Writes the files of a report: their names, and what is in them.
    pub(crate) fn write(&self, files: &[(&str, String)]) -> PeersResult<()> {
        let folder = self.results();
        std::fs::create_dir_all(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        Ok(())
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("a share is above 0 and at most 1".into()),
    }
}
