//! Marlowe's program for `cargo xtask bench peers` and `cargo xtask bench growth`. It does the jobs
//! of the contract in `bench/peers/README.md`.

mod arguments;
mod event;
mod jobs;

use arguments::{Arguments, Store};
use clap::Parser;
use marlowe::kafka::KafkaConfig;
use marlowe::{App, Config};
use tokio::signal::unix::{SignalKind, signal};

type PeerResult<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> PeerResult<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let mut app = App::new(&arguments.group);
    jobs::declare(&mut app, &arguments);
    let mut running = app.start(config(&arguments)).await?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        failed = running.failed() => Err(failed.into()),
        _ = terminated.recv() => Ok(running.stop().await?),
    }
}

/// Returns the worker's configuration. Everything that the contract does not name is Marlowe's
/// default.
fn config(arguments: &Arguments) -> Config {
    let heartbeats = (arguments.session.as_millis() / 3).to_string();
    let kafka = KafkaConfig::new(&arguments.brokers).set("heartbeat.interval.ms", heartbeats);
    let config = Config::default()
        .kafka(kafka)
        .lanes(arguments.threads)
        .commit_interval(arguments.commit_interval)
        .session_timeout(arguments.session);
    let config = match arguments.http {
        Some(port) => config.web(([127, 0, 0, 1], port).into()),
        None => config.without_web(),
    };
    match arguments.store {
        Store::Memory => config,
        Store::Disk => config.data_dir(arguments.folder()),
    }
}
