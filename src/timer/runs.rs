//! The runs of a worker's timers that are in progress. The watchdog reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// The runs of a worker's timers that are under way, for the watchdog, which is on another thread.
#[derive(Default)]
pub(crate) struct TimerRuns(Mutex<State>);

#[derive(Default)]
struct State {
    begun: u64,
    in_flight: BTreeMap<Arc<str>, u64>,
}

/// A run that is under way as long as this is there.
pub(super) struct TimerRun<'a> {
    runs: &'a TimerRuns,
    name: &'a Arc<str>,
}

impl TimerRuns {
    /// Notes a run of the timer `name`, whose runs do not overlap.
    pub(super) fn begin<'a>(&'a self, name: &'a Arc<str>) -> TimerRun<'a> {
        let mut state = self.0.lock();
        state.begun += 1;
        let run = state.begun;
        state.in_flight.insert(name.clone(), run);
        TimerRun { runs: self, name }
    }

    /// The timers with a run under way, and which run it is.
    pub(crate) fn in_flight(&self) -> Vec<(Arc<str>, u64)> {
        self.0.lock().in_flight.iter().map(|(name, run)| (name.clone(), *run)).collect()
    }
}

impl Drop for TimerRun<'_> {
    fn drop(&mut self) {
        self.runs.0.lock().in_flight.remove(self.name);
    }
}
