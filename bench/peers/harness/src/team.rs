//! The processes of a system that work together.

use crate::PeersResult;
use crate::outcome::Setback;
use crate::worker::{Usage, Worker};

/// The processes of a system that work together, and their peak memory.
pub(crate) struct Team {
    workers: Vec<Worker>,
    most: Usage,
}

impl Team {
    pub(crate) fn of(workers: Vec<Worker>) -> Self {
        Self { workers, most: Usage::default() }
    }

    /// Returns what all processes have used.
    ///
    /// # Errors
    /// When one has ended.
    pub(crate) fn usage(&mut self) -> Result<Usage, Setback> {
        let mut all = Usage::default();
        for worker in &mut self.workers {
            let usage = worker.usage()?;
            all.cpu_seconds += usage.cpu_seconds;
            all.own_bytes += usage.own_bytes;
            all.resident_bytes += usage.resident_bytes;
        }
        self.most.own_bytes = all.own_bytes.max(self.most.own_bytes);
        self.most.resident_bytes = all.resident_bytes.max(self.most.resident_bytes);
        Ok(all)
    }

    /// Returns the peak memory in megabytes: the processes' own, and the resident one with mapped
    /// files.
    pub(crate) fn peak_mb(&self) -> (f64, f64) {
        (self.most.own_bytes as f64 / 1e6, self.most.resident_bytes as f64 / 1e6)
    }

    /// Returns whether one of them wrote a line that begins with `beginning` to standard output.
    pub(crate) fn wrote(&self, beginning: &str) -> PeersResult<bool> {
        for worker in &self.workers {
            if worker.output()?.lines().any(|line| line.starts_with(beginning)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Kills the first process, as a crash would.
    pub(crate) fn kill_first(&mut self) {
        if !self.workers.is_empty() {
            self.workers.remove(0).kill();
        }
    }

    /// Asks all processes to end, and waits until they have.
    pub(crate) fn stop(mut self) -> Result<(), Setback> {
        for worker in &mut self.workers {
            worker.ask_to_end();
        }
        for worker in &mut self.workers {
            worker.wait()?;
        }
        Ok(())
    }
}
