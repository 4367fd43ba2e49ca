use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use parking_lot::Mutex;
use tokio::time::Instant;

/// What happened in a run, a line each: the time since the start in seconds, who, and what.
///
/// The same seed gives the same lines.
#[derive(Clone)]
pub struct Trace(Arc<Mutex<Lines>>);

struct Lines {
    begun: Instant,
    all: Vec<String>,
}

impl Trace {
    /// To be made in the run.
    pub(crate) fn begin() -> Self {
        Self(Arc::new(Mutex::new(Lines { begun: Instant::now(), all: Vec::new() })))
    }

    /// Notes something.
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

    /// All lines.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().all.clone()
    }

    /// A number that tells one run from another.
    pub fn digest(&self) -> u64 {
        FixedState::with_seed(0).hash_one(&self.0.lock().all)
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({} lines)", self.0.lock().all.len())
    }
}
