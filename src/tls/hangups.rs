//! SIGHUP, the signal by which operators ask a process to read its files again.

/// A stream of SIGHUPs. Once one was made, SIGHUP does not end the process any more.
pub(crate) struct Hangups(#[cfg(unix)] tokio::signal::unix::Signal);

impl Hangups {
    /// Starts to listen. Returns `None` if the system has no such signal, or refuses to listen to
    /// it.
    #[cfg(unix)]
    pub(crate) fn listen() -> Option<Self> {
        let listening = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup());
        listening
            .inspect_err(|error| {
                tracing::warn!("cannot listen for SIGHUP: {error}; the certificates are read only at the start")
            })
            .ok()
            .map(Self)
    }

    #[cfg(not(unix))]
    pub(crate) fn listen() -> Option<Self> {
        None
    }

    /// Waits for the next SIGHUP. Returns whether one came.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) -> bool {
        self.0.recv().await.is_some()
    }

    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> bool {
        false
    }
}
