use cpu_time::ProcessTime;

/// Measures the time on the wall and the processor's, of all threads, user and system.
pub(crate) struct Watch {
    wall: tokio::time::Instant,
    cpu: ProcessTime,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self { wall: tokio::time::Instant::now(), cpu: ProcessTime::now() }
    }

    /// Seconds since the start: on the wall, and of the processor.
    pub(crate) fn seconds(&self) -> (f64, f64) {
        (self.wall.elapsed().as_secs_f64(), self.cpu.elapsed().as_secs_f64())
    }
}
