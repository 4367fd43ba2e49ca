//! [`Trace`]: the log of what happened in a simulation.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use parking_lot::Mutex;
use tokio::time::Instant;

/// The log of a run. Each line has the time since the start in seconds, the subject (a worker, the
/// network or the broker), and what happened.
///
/// Two runs with the same seed have the same lines.
#[derive(Clone)]
pub struct Trace(Arc<Mutex<Lines>>);

struct Lines {
    begun: Instant,
    all: Vec<String>,
}

impl Trace {
    /// Begins a trace. Must be called in the run, because the time counts from here.
    pub(crate) fn begin() -> Self {
        Self(Arc::new(Mutex::new(Lines { begun: Instant::now(), all: Vec::new() })))
    }

    /// Adds a line.
    pub(crate) fn note(&self, who: &str, what: impl fmt::Display) {
        let mut lines = self.0.lock();
        let at = lines.begun.elapsed();
        let line = format!("{:>12.6} {who:<8} {what}", at.as_secs_f64());
        tracing::debug!(target: "marlowe::sim", "{line}");
        lines.all.push(line);
    }

    pub(crate) fn elapsed(&self) -> std::time::Duration {
        self.0.lock().begun.elapsed()
    }

    /// Returns all lines.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().all.clone()
    }

    /// Returns a hash of all lines, by which two runs can be compared.
    pub fn digest(&self) -> u64 {
        FixedState::with_seed(0).hash_one(&self.0.lock().all)
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({} lines)", self.0.lock().all.len())
    }
}
