//! The register of a worker's timer runs that are in progress. The watchdog reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// The runs of a worker's timers that are in progress, for the watchdog, which is on another
/// thread.
#[derive(Default)]
pub(crate) struct TimerRuns(Mutex<TimerRunsState>);

#[derive(Default)]
struct TimerRunsState {
    begun: u64,
    in_flight: BTreeMap<Arc<str>, u64>,
}

/// A run that is in progress as long as this value exists.
pub(super) struct TimerRun<'a> {
    runs: &'a TimerRuns,
    name: &'a Arc<str>,
}

impl TimerRuns {
    /// Notes a run of the timer `name`. The runs of one timer do not overlap.
    pub(super) fn begin<'a>(&'a self, name: &'a Arc<str>) -> TimerRun<'a> {
        let mut state = self.0.lock();
        state.begun += 1;
        let run = state.begun;
        state.in_flight.insert(name.clone(), run);
        TimerRun { runs: self, name }
    }

    /// Returns the timers with a run in progress, and the number of each run.
    pub(crate) fn in_flight(&self) -> Vec<(Arc<str>, u64)> {
        self.0.lock().in_flight.iter().map(|(name, run)| (name.clone(), *run)).collect()
    }
}

impl Drop for TimerRun<'_> {
    fn drop(&mut self) {
        self.runs.0.lock().in_flight.remove(self.name);
    }
}
