//! The workers of a test, each as in a process of its own.

use futures_util::future::try_join_all;
use marlowe::{App, Running};
use tempfile::TempDir;

use crate::place::{Place, TestResult, within};

/// How a worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As one that is told to stop.
    Stops,
    /// As one that is killed.
    Crashes,
}

/// Workers that run, or do not.
pub(crate) struct Crew<'a, F> {
    place: &'a Place,
    program: F,
    workers: Vec<Option<Running>>,
    /// Where each keeps its tables between its runs.
    folders: Vec<TempDir>,
}

impl<'a, F: Fn() -> App> Crew<'a, F> {
    /// So many workers, none of which runs.
    pub(crate) fn new(place: &'a Place, count: usize, program: F) -> TestResult<Self> {
        let folders = (0..count).map(|_| tempfile::tempdir()).collect::<Result<_, _>>()?;
        Ok(Self { place, program, workers: (0..count).map(|_| None).collect(), folders })
    }

    /// Starts a worker, unless it runs, and waits until it is a member of the group.
    pub(crate) async fn start(&mut self, worker: usize) -> TestResult {
        if self.workers[worker].is_none() {
            let config = self.place.config().data_dir(self.folders[worker].path());
            let mut running = within((self.program)().start(config)).await?;
            within(running.ready()).await?;
            self.workers[worker] = Some(running);
        }
        Ok(())
    }

    /// Ends a worker, if it runs.
    pub(crate) async fn end(&mut self, worker: usize, end: End) -> TestResult {
        let Some(running) = self.workers[worker].take() else { return Ok(()) };
        match end {
            End::Stops => within(running.stop()).await?,
            // It waits for the threads.
            End::Crashes => tokio::task::spawn_blocking(move || drop(running)).await?,
        }
        Ok(())
    }

    /// Makes a worker forget its tables. It does not run.
    pub(crate) fn forget(&mut self, worker: usize) -> TestResult {
        self.folders[worker] = tempfile::tempdir()?;
        Ok(())
    }

    /// Lets those that run process all input to its end, and stops them.
    pub(crate) async fn drain(&mut self) -> TestResult {
        within(try_join_all(self.workers.iter_mut().flatten().map(Running::drain))).await?;
        for worker in 0..self.workers.len() {
            self.end(worker, End::Stops).await?;
        }
        Ok(())
    }
}
