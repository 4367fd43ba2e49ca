//! Measures stream-processing systems on Kafka, from outside: beside each other (`cargo xtask bench peers`), how Marlowe's
//! cost grows (`cargo xtask bench growth`), and where it goes (`cargo xtask bench profile`). What each system's program does is in `bench/peers/README.md`.

// This program measures real processes, which live in real time.
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

/// Anything may go wrong.
type PeersResult<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What to measure.
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
