//! The project's own commands, run as `cargo xtask`.

mod bench;
mod cargo;
mod chaos;
mod damage;
mod fuzz;
mod kafka;
mod mutants;
mod sim;
mod structure;
mod style;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The result of a command. The error is a text for people.
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
    /// Start, show and stop a Kafka on this machine, to try programs on.
    #[command(subcommand)]
    Kafka(kafka::Kafka),
    /// Measure the performance of Marlowe.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Kill workers and brokers while a program counts on Kafka, and check whether every count is
    /// exact.
    Chaos(chaos::Chaos),
    /// Damage data folders, and check how a program reacts to each.
    Damage(damage::Damage),
    /// Run the fuzzers of all code that reads bytes from outside.
    Fuzz(fuzz::Fuzz),
    /// Run simulated clusters under seeds, and check every way to share a table in them.
    Sim(sim::Sim),
    /// Break each rule on purpose, and check that the simulation finds it.
    Mutants(mutants::Mutants),
    /// Check the structure of the source: no circular imports, and imports only downwards.
    Structure(structure::Structure),
    /// Check the language of comments and documents.
    Style(style::Style),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Test(test) => test.run(),
        Task::Kafka(kafka) => kafka.run(),
        Task::Bench(bench) => bench.run(),
        Task::Chaos(chaos) => chaos.run(),
        Task::Damage(damage) => damage.run(),
        Task::Fuzz(fuzz) => fuzz.run(),
        Task::Sim(sim) => sim.run(),
        Task::Mutants(mutants) => mutants.run(),
        Task::Structure(structure) => structure.run(),
        Task::Style(style) => style.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}
