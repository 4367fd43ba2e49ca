use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::LocalSet;

use super::simulation::Simulation;
use crate::app::App;
use crate::config::Config;

/// A cluster to be simulated: how many workers of which program, and under which seed.
pub struct Cluster {
    pub(crate) seed: u64,
    pub(crate) app: Rc<dyn Fn() -> App>,
    pub(crate) workers: usize,
    pub(crate) is_on_disk: bool,
    reports: bool,
    pub(crate) configure: Rc<dyn Fn(Config) -> Config>,
}

/// How many lines of a run that failed are shown.
const LAST_LINES: usize = 4000;

impl Cluster {
    /// A cluster of one worker. `app` declares the program; it is asked at each start of a worker.
    pub fn new(seed: u64, app: impl Fn() -> App + 'static) -> Self {
        Self {
            seed,
            app: Rc::new(app),
            workers: 1,
            is_on_disk: false,
            reports: true,
            configure: Rc::new(|config| config),
        }
    }

    /// Has so many workers, each a process of its own.
    pub fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// Keeps each worker's tables in a folder, so that they outlive a crash (default: in memory).
    pub fn on_disk(self) -> Self {
        Self { is_on_disk: true, ..self }
    }

    /// Says nothing on standard error when the test panics: for those who run a seed again that failed, to look for a smaller
    /// test.
    pub fn without_report(self) -> Self {
        Self { reports: false, ..self }
    }

    /// Changes the settings of the workers. A simulation's own are: one lane, commits every 100 ms, sessions of 3 s.
    pub fn configure(self, configure: impl Fn(Config) -> Config + 'static) -> Self {
        Self { configure: Rc::new(configure), ..self }
    }

    /// Starts the workers and runs a test with them. Time passes only where all wait for it.
    ///
    /// # Panics
    /// When the test does, or a worker does not start: with the seed, and the last of what happened on standard error.
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

/// The settings of a simulation's workers.
pub(crate) fn settings() -> Config {
    let mut config = Config::default().without_web().lanes(1);
    config.session_timeout = Duration::from_secs(3);
    config
}
