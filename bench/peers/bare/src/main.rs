//! A bare loop on librdkafka's batch queue with a `HashMap` and periodic commits, which is the
//! limit in `cargo xtask bench peers`.
//!
//! It has no consumer group and therefore no failover: the partitions are shared out among the
//! threads at the start. It also has no store on disk, no repartition topic and no web server. The
//! jobs that it does are done correctly: rows and positions are committed together.

// This program runs in real time.
#![allow(clippy::disallowed_methods)]

mod arguments;
mod batch;
mod changelog;
mod client;
mod committer;
mod event;
mod lane;
mod source;
mod table;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arguments::Arguments;
use clap::Parser;
use lane::Lane;

type PeerResult<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The exit code of a program that cannot do the job.
const NOT_POSSIBLE: u8 = 3;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(reason) = arguments.not_possible() {
        eprintln!("{reason}");
        return ExitCode::from(NOT_POSSIBLE);
    }
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> PeerResult<()> {
    let terminated = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, terminated.clone())?;
    let arguments = Arc::new(arguments);
    let partitions = client::partitions(&arguments)?;
    changelog::create(&arguments, partitions)?;
    let lanes: Vec<_> = (0..arguments.threads)
        .map(|number| {
            let (arguments, terminated) = (arguments.clone(), terminated.clone());
            let own = (0..partitions).filter(|partition| *partition as usize % arguments.threads == number).collect();
            std::thread::spawn(move || Lane::open(arguments, number, own)?.run(&terminated))
        })
        .collect();
    for lane in lanes {
        lane.join().map_err(|_| "a thread panicked")??;
    }
    Ok(())
}
