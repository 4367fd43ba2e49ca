//! The command `cargo xtask sim`.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use crate::TaskResult;
use crate::cargo::{cargo, run, target};

/// Runs simulated clusters under seeds: generated programs, faults, and a check of all results.
#[derive(Args)]
pub(crate) struct Sim {
    /// Options: `--seeds N`, `--from S`, `--shape JSON`, `--keep-going`, `--trace`, or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

impl Sim {
    pub(crate) fn run(&self) -> TaskResult {
        run(Command::new(build()?).args(&self.options))
    }
}

/// Runs the first `count` seeds.
pub(crate) fn seeds(count: u64) -> TaskResult {
    run(Command::new(build()?).args(["--seeds", &count.to_string()]))
}

fn build() -> TaskResult<PathBuf> {
    run(cargo().args(["build", "--quiet", "--profile", "sim", "--package", "marlowe-matrix"]))?;
    Ok(target().join("sim").join("marlowe-matrix"))
}
