//! The clocks of a simulation: the right one, and one per worker that may be wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use marlowe_broker::{Clock, Timestamp};
use tokio::time::Instant;

/// The time of day in a simulation. It begins at a fixed moment, and goes as tokio's clock does.
pub(crate) struct SimulatedClock {
    begun: Instant,
}

/// 2026-01-01 00:00:00 UTC.
const BEGIN: i64 = 1_767_225_600_000;

impl SimulatedClock {
    /// Begins the clock. Must be called in the run, because the time counts from here.
    pub(crate) fn begin() -> Self {
        Self { begun: Instant::now() }
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(BEGIN + self.begun.elapsed().as_millis() as i64)
    }
}

/// A worker's clock, which may be ahead of the simulation's clock or behind it.
pub(crate) struct WorkerClock {
    right: Arc<dyn Clock>,
    ahead_millis: AtomicI64,
}

impl WorkerClock {
    pub(crate) fn new(right: Arc<dyn Clock>) -> Self {
        Self { right, ahead_millis: AtomicI64::new(0) }
    }

    pub(crate) fn set(&self, ahead_millis: i64) {
        self.ahead_millis.store(ahead_millis, Ordering::Relaxed);
    }
}

impl Clock for WorkerClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.right.now().millis() + self.ahead_millis.load(Ordering::Relaxed))
    }
}
