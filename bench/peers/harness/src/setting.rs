//! The options that all measurements have.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::PeersResult;
use crate::system::System;

/// The options that all measurements have.
#[derive(Args)]
pub(crate) struct Setting {
    /// The number of rounds; the figures are medians.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: u32,
    /// The share of the full load, such as 0.05 for a quick trial.
    #[arg(long, default_value_t = 1.0, value_parser = share)]
    pub(crate) scale: f64,
    /// The seconds after which a run is given up, as the report then says.
    #[arg(long, default_value_t = 600)]
    patience: u64,
    /// The folder for the results (default: `bench/results`; in the target folder if `--scale` is
    /// below 1).
    #[arg(long)]
    results: Option<PathBuf>,
    /// The folder of the workspace.
    #[arg(long, hide = true)]
    pub(crate) workspace: PathBuf,
    /// The folder into which cargo builds.
    #[arg(long, hide = true)]
    target: PathBuf,
}

impl Setting {
    /// Returns the time after which a run is given up.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }

    /// Returns the folder for programs and files that a measurement needs.
    pub(crate) fn workshop(&self) -> PathBuf {
        self.target.join("peers")
    }

    /// Returns the folder of the programs that cargo built.
    pub(crate) fn programs(&self) -> PathBuf {
        // The bench profile builds into the folder of the release profile.
        self.target.join("release")
    }

    /// Returns the folder of a system's program.
    pub(crate) fn folder(&self, system: System) -> PathBuf {
        self.workspace.join("bench").join("peers").join(system.name())
    }

    /// Returns the folder for the results. Trials have another one, so that they do not replace
    /// measured results.
    pub(crate) fn results(&self) -> PathBuf {
        match &self.results {
            Some(folder) => folder.clone(),
            None if self.scale < 1.0 => self.workshop().join("results"),
            None => self.workspace.join("bench").join("results"),
        }
    }

    /// Writes the files of a report, given as pairs of name and content.
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
