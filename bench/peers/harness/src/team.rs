use crate::PeersResult;
use crate::outcome::Setback;
use crate::worker::{Usage, Worker};

/// The processes of a system that work together, and the most memory that they had.
pub(crate) struct Team {
    workers: Vec<Worker>,
    most: Usage,
}

impl Team {
    pub(crate) fn of(workers: Vec<Worker>) -> Self {
        Self { workers, most: Usage::default() }
    }

    /// What all have used.
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

    /// The most memory that they had, in megabytes: of their own, and with mapped files.
    pub(crate) fn peak_mb(&self) -> (f64, f64) {
        (self.most.own_bytes as f64 / 1e6, self.most.resident_bytes as f64 / 1e6)
    }

    /// Whether one of them wrote a line that begins so to standard output.
    pub(crate) fn wrote(&self, beginning: &str) -> PeersResult<bool> {
        for worker in &self.workers {
            if worker.output()?.lines().any(|line| line.starts_with(beginning)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Kills the first one, as a crash would.
    pub(crate) fn kill_first(&mut self) {
        if !self.workers.is_empty() {
            self.workers.remove(0).kill();
        }
    }

    /// Has all end in good order.
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
