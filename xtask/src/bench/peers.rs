use std::process::Command;

use clap::Args;

use crate::TaskResult;
use crate::cargo::{cargo, root, run, target};

/// Measures Kafka Streams, Goka, Faust, Quix Streams, Marlowe and a bare loop in turn.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Peers {
    /// What the program `peers` is given: `--rounds 3`, `--systems marlowe,bare`, `--jobs count`, `--scale 0.05`, or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

impl Peers {
    pub(crate) fn run(&self) -> TaskResult {
        // Each by itself, as its user would: what one needs of a crate is not built into the other.
        for package in ["marlowe-peer", "bare-peer", "peers"] {
            run(cargo().args(["build", "--quiet", "--profile", "bench", "--package", package]))?;
        }
        // The bench profile builds into the folder of the release profile.
        let program = target().join("release").join("peers");
        run(Command::new(program).arg("--workspace").arg(root()).arg("--target").arg(target()).args(&self.options))
    }
}
