//! The command `cargo xtask chaos`.

use std::process::Command;

use clap::Args;

use crate::TaskResult;
use crate::cargo::{cargo, run, target};

/// Kills workers and brokers of a real Kafka cluster while a program counts, and checks whether
/// every count is exact.
#[derive(Args)]
pub(crate) struct Chaos {
    /// Options of the program `chaos`: `--minutes N`, `--seed S`, `--scenario mixed|flights`,
    /// `--rate N`, `--at-least-once`, or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

impl Chaos {
    pub(crate) fn run(&self) -> TaskResult {
        run(cargo().args(["build", "--quiet", "--release", "--package", "marlowe", "--example", "flights"]))?;
        run(cargo().args(["build", "--quiet", "--release", "--package", "marlowe-chaos", "--bins"]))?;
        run(Command::new(target().join("release").join("chaos")).args(&self.options))
    }
}
