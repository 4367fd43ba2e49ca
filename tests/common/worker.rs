//! Workers that run in the process of their test.

use marlowe::{App, Config, RunError, Running};

use super::wait::within;

/// Starts the program, and waits until the shards that it has got are open.
pub(crate) async fn start(app: App, config: Config) -> Result<Running, RunError> {
    within(async {
        let mut running = app.start(config).await?;
        running.ready().await?;
        Ok(running)
    })
    .await
}

/// Processes all input to its end.
pub(crate) async fn drain(running: &mut Running) -> Result<(), RunError> {
    within(running.drain()).await
}

/// Stops the program, as if it had been told to stop.
pub(crate) async fn stop(running: Running) -> Result<(), RunError> {
    within(running.stop()).await
}

/// Ends the program, as if its process had crashed.
pub(crate) async fn crash(running: Running) {
    // The drop waits for the worker's threads, so it blocks.
    tokio::task::spawn_blocking(move || drop(running)).await.unwrap();
}
