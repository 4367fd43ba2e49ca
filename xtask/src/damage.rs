//! The command `cargo xtask damage`.

use std::process::Command;

use clap::Args;

use crate::TaskResult;
use crate::cargo::{cargo, run, target};

/// Damages data folders at random, and checks how a program reacts to each.
#[derive(Args)]
pub(crate) struct Damage {
    /// Options: `--mutations N`, `--seed S`, `--verbose`, or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

impl Damage {
    pub(crate) fn run(&self) -> TaskResult {
        run(cargo().args(["build", "--quiet", "--profile", "sim", "--package", "marlowe-damage"]))?;
        run(Command::new(target().join("sim").join("marlowe-damage")).args(&self.options))
    }
}

/// Damages the first `count` folders, among all tests. The program is that of the tests' build. It
/// is slower, but another build would take longer than these folders.
pub(crate) fn mutations(count: u64) -> TaskResult {
    run(cargo().args(["build", "--quiet", "--workspace", "--bin", "marlowe-damage"]))?;
    run(Command::new(target().join("debug").join("marlowe-damage")).args(["--mutations", &count.to_string()]))
}
