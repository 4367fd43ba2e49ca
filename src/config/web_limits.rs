//! The limits of a worker's web server: the number of connections, and the time that a client may
//! take.

use std::time::Duration;

/// The most connections of a worker if the program sets no limit and the process may open enough
/// files.
const CONNECTIONS: usize = 1024;

/// The limits of a worker's web server. They keep slow, absent or numerous clients from blocking
/// it.
/// ```
/// use std::time::Duration;
///
/// use marlowe::Config;
///
/// let mut config = Config::default().web_connections(200);
/// config.web_limits.idle = Duration::from_secs(20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebLimits {
    /// The number of connections that a worker has open at a time (default: 1,024). It is never
    /// more than half of the files that the process may open (`ulimit -n`), divided among the
    /// workers of the process. Beyond it, a connection may ask for `/healthz` and `/readyz` only;
    /// other requests are answered 503.
    pub connections: Option<usize>,
    /// The time for the head of a request to arrive, from its first byte to the end of its headers
    /// (default: 10 s). After it the connection is closed.
    pub headers: Duration,
    /// The time for which a request's body may make no progress while it is read (default: 30 s).
    /// After it the request is answered 408 and the connection is closed.
    pub body: Duration,
    /// The time for which a client may take nothing of its answer (default: 30 s). After it the
    /// connection is closed.
    pub write: Duration,
    /// The time for which a connection may have no request in flight (default: 60 s). After it the
    /// connection is closed.
    pub idle: Duration,
}

impl Default for WebLimits {
    fn default() -> Self {
        Self {
            connections: None,
            headers: Duration::from_secs(10),
            body: Duration::from_secs(30),
            write: Duration::from_secs(30),
            idle: Duration::from_secs(60),
        }
    }
}

impl WebLimits {
    /// Returns how many connections each of the process's `workers` workers may have open.
    pub(crate) fn connections_of_each(&self, workers: usize) -> usize {
        let asked = self.connections.unwrap_or(CONNECTIONS);
        let Some(files) = files() else { return asked };
        let most = (files / 2 / workers.max(1)).max(1);
        if self.connections.is_some() && most < asked {
            tracing::warn!(
                "the web server takes {most} connections instead of {asked}: the process may open {files} files (`ulimit -n`), of \
                 which half are for connections"
            );
        }
        asked.min(most)
    }
}

/// Returns how many files the process may open, if that is limited.
#[cfg(unix)]
fn files() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.and_then(|limit| usize::try_from(limit).ok())
}

#[cfg(not(unix))]
fn files() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_never_more_than_half_of_the_files() {
        let files = files().unwrap_or(usize::MAX);
        let limits = |connections| WebLimits { connections, ..WebLimits::default() };
        assert_eq!(limits(None).connections_of_each(1), CONNECTIONS.min(files / 2));
        assert_eq!(limits(Some(3)).connections_of_each(1), 3);
        assert_eq!(limits(Some(usize::MAX)).connections_of_each(2), (files / 4).max(1));
    }
}
