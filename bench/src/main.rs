//! Measures the cost of Marlowe, and compares it with bare loops that do the same. `cargo xtask
//! bench` runs it.

mod answers;
mod embedded;
mod kafka;
mod soak;
mod watch;
mod web;

use clap::Parser;

/// The result of a step that may fail for any reason.
pub(crate) type BenchResult<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
#[command(about = "What Marlowe costs, beside bare loops that do the same")]
enum Bench {
    /// Measure on the embedded broker.
    Embedded(embedded::Embedded),
    /// Measure on Kafka.
    #[command(subcommand)]
    Kafka(kafka::Kafka),
    /// Measure how long callers wait with little to do, and what a worker costs with nothing to do.
    Answers(answers::Answers),
    /// Run a steady load for a long time, and measure memory and disk.
    Soak(soak::Soak),
    /// Measure the web server while clients hold connections.
    Web(web::Web),
}

fn main() -> BenchResult<()> {
    match Bench::parse() {
        Bench::Embedded(embedded) => embedded.run(),
        Bench::Kafka(kafka) => kafka.run(),
        Bench::Answers(answers) => answers.run(),
        Bench::Soak(soak) => soak.run(),
        Bench::Web(web) => web.run(),
    }
}

fn runtime() -> BenchResult<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
