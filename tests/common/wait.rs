//! Waits with a time limit.

use std::time::Duration;

/// The most time that anything may take. Nothing needs a tenth of it. It keeps tests from hanging.
pub(crate) const LONGEST: Duration = Duration::from_secs(120);

/// Waits for `what`, and panics if it takes too long.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LONGEST, what).await {
        Ok(done) => done,
        Err(_) => panic!("it took longer than {LONGEST:?}"),
    }
}

/// Waits until `holds` returns true, and panics if that takes too long. `what` says in the panic
/// what must hold.
pub(crate) async fn eventually(what: &str, holds: impl AsyncFnMut() -> bool) {
    assert!(holds_within(LONGEST, holds).await, "not within {LONGEST:?}: {what}");
}

/// Waits until `holds` returns true, for at most `limit`. Returns whether it did.
pub(crate) async fn holds_within(limit: Duration, mut holds: impl AsyncFnMut() -> bool) -> bool {
    let waited = tokio::time::timeout(limit, async {
        while !holds().await {
            pause(5).await;
        }
    });
    waited.await.is_ok()
}

/// Waits for `millis` milliseconds.
pub(crate) async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
