use std::rc::Rc;
use std::time::Duration;

use crate::app::App;
use crate::config::Config;

/// A cluster to be simulated: how many workers of which program, and under which seed.
pub struct Cluster {
    pub(crate) seed: u64,
    pub(crate) app: Rc<dyn Fn() -> App>,
    pub(crate) workers: usize,
    pub(crate) is_on_disk: bool,
    pub(crate) reports: bool,
    pub(crate) configure: Rc<dyn Fn(Config) -> Config>,
}

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
}

/// The settings of a simulation's workers.
pub(crate) fn settings() -> Config {
    let mut config = Config::default().without_web().lanes(1);
    config.session_timeout = Duration::from_secs(3);
    config
}
