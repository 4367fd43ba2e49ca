//! Threads for calls that block.

use marlowe_broker::BrokerError;
use tokio::sync::oneshot;

/// Runs `work`, which may block, in a thread of its own, and waits for it without blocking. The
/// work goes on if the caller stops waiting.
///
/// # Errors
/// [`BrokerError::Unknown`] when no thread can be started, or when it ends without a result.
pub(crate) async fn in_background<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BrokerError> {
    let (done, wait) = oneshot::channel();
    let started = std::thread::Builder::new().name(format!("kafka-{doing}")).spawn(move || {
        // The receiver is gone if the caller has stopped waiting.
        let _ = done.send(work());
    });
    if let Err(error) = started {
        return Err(BrokerError::Unknown { operation: doing, reason: format!("no thread could be started: {error}") });
    }
    wait.await.map_err(|_| BrokerError::Unknown { operation: doing, reason: "its thread ended early".into() })
}
