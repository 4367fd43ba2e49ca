use clap::Args;

use super::harness::measure;
use crate::TaskResult;

/// Measures how what an event costs Marlowe grows.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Growth {
    /// What the program `peers` is given: `--rounds 3`, `--curves partitions,keys,agents,workers`, `--scale 0.05`, or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

impl Growth {
    pub(crate) fn run(&self) -> TaskResult {
        measure("growth", &["marlowe-peer", "bare-peer"], &self.options)
    }
}
