use marlowe_broker::{Clock, Timestamp};
use tokio::time::Instant;

/// The time of day in a simulation: it begins at a fixed moment, and goes as tokio's does.
pub(crate) struct SimulatedClock {
    begun: Instant,
}

/// 2026-01-01 00:00:00 UTC.
const BEGIN: i64 = 1_767_225_600_000;

impl SimulatedClock {
    /// To be made in the run.
    pub(crate) fn begin() -> Self {
        Self { begun: Instant::now() }
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(BEGIN + self.begun.elapsed().as_millis() as i64)
    }
}
