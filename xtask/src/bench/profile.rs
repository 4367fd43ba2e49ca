//! The command `cargo xtask bench profile`.

use clap::Args;

use super::harness::measure;
use crate::TaskResult;

/// Counts the instructions of an event by function.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Profile {
    /// Options of the measuring program: `--scale 0.5`, `--results FOLDER`, or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

impl Profile {
    pub(crate) fn run(&self) -> TaskResult {
        measure("profile", &["marlowe-peer", "bare-peer"], &self.options)
    }
}
