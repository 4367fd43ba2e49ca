//! [`Cluster`]: the declaration of a simulated cluster.

use std::rc::Rc;
use std::time::Duration;

use crate::app::App;
use crate::config::Config;

/// The declaration of a simulated cluster: the program, the number of workers, and the seed.
pub struct Cluster {
    pub(crate) seed: u64,
    pub(crate) app: Rc<dyn Fn() -> App>,
    pub(crate) workers: usize,
    pub(crate) is_on_disk: bool,
    pub(crate) reports: bool,
    pub(crate) configure: Rc<dyn Fn(Config) -> Config>,
}

impl Cluster {
    /// Declares a cluster of one worker. `app` returns the program, and is called at each start of
    /// a worker.
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

    /// Sets the number of workers (default: 1). Each is a process of its own.
    pub fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// Keeps each worker's tables in a folder, so that they survive a crash (default: in memory).
    pub fn on_disk(self) -> Self {
        Self { is_on_disk: true, ..self }
    }

    /// Prints nothing on standard error when the test panics. For callers that run failed seeds
    /// again to find a smaller test.
    pub fn without_report(self) -> Self {
        Self { reports: false, ..self }
    }

    /// Changes the settings of the workers. The defaults of a simulation are one lane, commits
    /// every 100 ms, and sessions of 3 s.
    pub fn configure(self, configure: impl Fn(Config) -> Config + 'static) -> Self {
        Self { configure: Rc::new(configure), ..self }
    }
}

/// Returns the default settings of a simulation's workers.
pub(crate) fn settings() -> Config {
    let mut config = Config::default().without_web().lanes(1);
    config.session_timeout = Duration::from_secs(3);
    config
}
