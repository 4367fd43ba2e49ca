//! The workers of a test. Each runs as if it were in a process of its own.

use futures_util::future::try_join_all;
use marlowe::{App, Running};
use tempfile::TempDir;

use crate::common::wait::within;
use crate::common::worker;
use crate::place::{Place, TestResult};

/// The way in which a worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The worker stops, as one that is told to.
    Stops,
    /// The worker crashes, as one that is killed.
    Crashes,
}

/// Workers, each of which may be running or not.
pub(crate) struct Crew<'a, F> {
    place: &'a Place,
    program: F,
    workers: Vec<Option<Running>>,
    /// The folder in which each worker keeps its tables between its runs.
    folders: Vec<TempDir>,
}

impl<'a, F: Fn() -> App> Crew<'a, F> {
    /// Returns `count` workers, none of which is running.
    pub(crate) fn new(place: &'a Place, count: usize, program: F) -> TestResult<Self> {
        let folders = (0..count).map(|_| tempfile::tempdir()).collect::<Result<_, _>>()?;
        Ok(Self { place, program, workers: (0..count).map(|_| None).collect(), folders })
    }

    /// Starts a worker, unless it is running, and waits until it is a member of the group.
    pub(crate) async fn start(&mut self, worker: usize) -> TestResult {
        if self.workers[worker].is_none() {
            let config = self.place.config().data_dir(self.folders[worker].path());
            self.workers[worker] = Some(worker::start((self.program)(), config).await?);
        }
        Ok(())
    }

    /// Ends a worker, if it is running.
    pub(crate) async fn end(&mut self, worker: usize, end: End) -> TestResult {
        let Some(running) = self.workers[worker].take() else { return Ok(()) };
        match end {
            End::Stops => worker::stop(running).await?,
            End::Crashes => worker::crash(running).await,
        }
        Ok(())
    }

    /// Makes a worker that is not running forget its tables.
    pub(crate) fn forget(&mut self, worker: usize) -> TestResult {
        self.folders[worker] = tempfile::tempdir()?;
        Ok(())
    }

    /// Lets the running workers process all input to its end, and then stops them.
    pub(crate) async fn drain(&mut self) -> TestResult {
        within(try_join_all(self.workers.iter_mut().flatten().map(Running::drain))).await?;
        for worker in 0..self.workers.len() {
            self.end(worker, End::Stops).await?;
        }
        Ok(())
    }
}
