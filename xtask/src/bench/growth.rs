//! The command `cargo xtask bench growth`.

use clap::Args;

use super::harness::measure;
use crate::TaskResult;

/// Measures how the cost of an event in Marlowe grows.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Growth {
    /// Options of the measuring program: `--rounds 3`, `--curves partitions,keys,agents,workers`,
    /// `--scale 0.05`, or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

impl Growth {
    pub(crate) fn run(&self) -> TaskResult {
        measure("growth", &["marlowe-peer", "bare-peer"], &self.options)
    }
}
