//! The command `cargo xtask bench peers`.

use clap::Args;

use super::harness::measure;
use crate::TaskResult;

/// Measures Kafka Streams, Goka, Faust, Quix Streams, Marlowe and a bare loop in turn.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Peers {
    /// Options of the measuring program: `--rounds 3`, `--systems marlowe,bare`, `--jobs count`,
    /// `--scale 0.05`, or `--help`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

impl Peers {
    pub(crate) fn run(&self) -> TaskResult {
        measure("peers", &["marlowe-peer", "bare-peer"], &self.options)
    }
}
