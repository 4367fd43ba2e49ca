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
        damage(&self.options)
    }
}

/// Damages the first `count` folders.
pub(crate) fn mutations(count: u64) -> TaskResult {
    damage(&["--mutations".to_owned(), count.to_string()])
}

fn damage(options: &[String]) -> TaskResult {
    run(cargo().args(["build", "--quiet", "--profile", "sim", "--package", "marlowe-damage"]))?;
    run(Command::new(target().join("sim").join("marlowe-damage")).args(options))
}
