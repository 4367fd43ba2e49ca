//! The project's own commands.

mod bench;
mod cargo;
mod chaos;
mod kafka;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What went wrong, for people.
type TaskResult<T = ()> = Result<T, String>;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run all tests.
    Test(test::Test),
    /// A Kafka on this machine, to try programs on.
    #[command(subcommand)]
    Kafka(kafka::Kafka),
    /// Measure what it costs.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Kill workers and brokers while a program counts on Kafka, and tell whether every count is exact.
    Chaos(chaos::Chaos),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Test(test) => test.run(),
        Task::Kafka(kafka) => kafka.run(),
        Task::Bench(bench) => bench.run(),
        Task::Chaos(chaos) => chaos.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}
