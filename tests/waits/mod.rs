//! Waits with a time limit, which is the `LONGEST` of the scene.

use std::time::Duration;

use marlowe::{App, Config, RunError, Running};

use crate::scene::LONGEST;

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

/// Waits for `what`, and panics if it takes too long.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LONGEST, what).await {
        Ok(done) => done,
        Err(_) => panic!("it took longer than {LONGEST:?}"),
    }
}

/// Waits until `holds` returns true, and panics if that takes too long. `what` says in the panic
/// what must hold.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(LONGEST, async {
        while !holds().await {
            pause(5).await;
        }
    });
    assert!(waited.await.is_ok(), "not within {LONGEST:?}: {what}");
}

pub(crate) async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
