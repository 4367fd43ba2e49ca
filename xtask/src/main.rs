//! The project's own commands.

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
    /// Damage data folders, and tell what a program makes of each.
    Damage(damage::Damage),
    /// Run the fuzzers of all readers of bytes from outside.
    Fuzz(fuzz::Fuzz),
    /// Run simulated clusters under seeds, and check every way to share a table in them.
    Sim(sim::Sim),
    /// Break each rule on purpose, and see that the simulation finds it.
    Mutants(mutants::Mutants),
    /// Check the structure of the source: no circles, and imports only downwards.
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
