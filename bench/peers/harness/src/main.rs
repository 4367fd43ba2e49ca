//! Measures stream-processing systems on Kafka from outside: it compares them (`cargo xtask bench
//! peers`), and shows how Marlowe's cost grows (`cargo xtask bench growth`) and where it goes
//! (`cargo xtask bench profile`).
//!
//! `bench/peers/README.md` describes the jobs of each system's program.

// This program measures real processes, so it uses the real clock.
#![allow(clippy::disallowed_methods)]

mod answer;
mod arguments;
mod build;
mod changelog;
mod chart;
mod contest;
mod counts;
mod event;
mod failover;
mod feed;
mod figures;
mod gathering;
mod growth;
mod kafka;
mod latency;
mod machine;
mod outcome;
mod profile;
mod progress;
mod reads;
mod report;
mod restore;
mod results;
mod setting;
mod stretch;
mod system;
mod team;
mod throughput;
mod trial;
mod work;
mod worker;
mod zipf;

use std::process::ExitCode;

use clap::Parser;

/// The result of a step that may fail for any reason.
type PeersResult<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The measurements of stream-processing systems on Kafka.
#[derive(Parser)]
#[command(name = "peers", bin_name = "cargo xtask bench")]
enum Measurement {
    Peers(arguments::Arguments),
    Growth(growth::Arguments),
    Profile(profile::Arguments),
}

fn main() -> ExitCode {
    let measured = match Measurement::parse() {
        Measurement::Peers(arguments) => contest::run(&arguments),
        Measurement::Growth(arguments) => growth::run(&arguments),
        Measurement::Profile(arguments) => profile::run(&arguments),
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
