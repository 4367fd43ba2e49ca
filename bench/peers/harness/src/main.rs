//! Measures stream-processing systems beside each other on one Kafka, from outside. Run by `cargo xtask bench peers`; what
//! each system's program does is in `bench/peers/README.md`.

// This program measures real processes, which live in real time.
#![allow(clippy::disallowed_methods)]

mod answer;
mod arguments;
mod build;
mod changelog;
mod chart;
mod contest;
mod event;
mod failover;
mod feed;
mod figures;
mod kafka;
mod latency;
mod machine;
mod outcome;
mod progress;
mod reads;
mod report;
mod restore;
mod results;
mod stretch;
mod system;
mod team;
mod throughput;
mod trial;
mod work;
mod worker;

use std::process::ExitCode;

use clap::Parser;

/// Anything may go wrong.
type PeersResult<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match contest::run(&arguments::Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
