//! What Marlowe costs, beside bare loops that do the same. Run by `cargo xtask bench`.

mod embedded;
mod kafka;
mod soak;
mod watch;
mod web;

use clap::Parser;

/// Anything may go wrong.
pub(crate) type BenchResult<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
#[command(about = "What Marlowe costs, beside bare loops that do the same")]
enum Bench {
    /// On the embedded broker.
    Embedded(embedded::Embedded),
    /// On Kafka.
    #[command(subcommand)]
    Kafka(kafka::Kafka),
    /// A steady load for a long time: memory and disk.
    Soak(soak::Soak),
    /// The web server while clients hold connections.
    Web(web::Web),
}

fn main() -> BenchResult<()> {
    match Bench::parse() {
        Bench::Embedded(embedded) => embedded.run(),
        Bench::Kafka(kafka) => kafka.run(),
        Bench::Soak(soak) => soak.run(),
        Bench::Web(web) => web.run(),
    }
}

fn runtime() -> BenchResult<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
