use marlowe_broker::BrokerError;
use tokio::sync::oneshot;

/// Runs what blocks in a thread of its own, and waits for it without blocking. It goes on when the wait is given up.
pub(crate) async fn in_background<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BrokerError> {
    let (done, wait) = oneshot::channel();
    let started = std::thread::Builder::new().name(format!("kafka-{doing}")).spawn(move || {
        // Who asked may have given up waiting.
        let _ = done.send(work());
    });
    if let Err(error) = started {
        return Err(BrokerError::Unknown { operation: doing, reason: format!("no thread could be started: {error}") });
    }
    wait.await.map_err(|_| BrokerError::Unknown { operation: doing, reason: "its thread ended early".into() })
}
