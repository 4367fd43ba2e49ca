//! The stopwatch of the benches.

use cpu_time::ProcessTime;

/// A stopwatch for wall time and for processor time: of all threads, user and system.
pub(crate) struct Watch {
    wall: tokio::time::Instant,
    cpu: ProcessTime,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self { wall: tokio::time::Instant::now(), cpu: ProcessTime::now() }
    }

    /// Returns the wall time and the processor time since the start, in seconds.
    pub(crate) fn seconds(&self) -> (f64, f64) {
        (self.wall.elapsed().as_secs_f64(), self.cpu.elapsed().as_secs_f64())
    }
}
