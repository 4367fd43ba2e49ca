//! The run of a test in a simulated cluster, on one thread with simulated time.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::task::LocalSet;

use super::cluster::Cluster;
use super::simulation::Simulation;

/// The most lines of the trace that are printed for a failed run.
const LAST_LINES: usize = 4000;

impl Cluster {
    /// Starts the workers and runs a test with them. Time passes only while every task waits for
    /// it.
    ///
    /// # Panics
    /// If the test panics, or a worker does not start. The seed and the last lines of the trace are
    /// printed on standard error.
    pub fn run<T>(self, test: impl AsyncFnOnce(&Simulation) -> T) -> T {
        let (seed, reports) = (self.seed, self.reports);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.unwrap_or_else(|error| panic!("a runtime cannot be made: {error}"));
        let local = LocalSet::new();
        local.block_on(&runtime, async {
            let sim = Simulation::begin(self).await;
            let tested = AssertUnwindSafe(async {
                sim.start_all().await;
                test(&sim).await
            });
            match tested.catch_unwind().await {
                Ok(tested) => {
                    sim.end().await;
                    tested
                }
                Err(panic) => {
                    if reports {
                        let lines = sim.trace().lines();
                        let from = lines.len().saturating_sub(LAST_LINES);
                        let count = lines.len();
                        eprintln!("{}\nseed {seed} failed (the last of {count} lines)", lines[from..].join("\n"));
                    }
                    std::panic::resume_unwind(panic)
                }
            }
        })
    }
}
