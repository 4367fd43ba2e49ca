//! The threads of a worker, while they are started.

use std::sync::Arc;

use crate::error::RunError;
use crate::host::Join;
use crate::lane::{Watchdog, thread_name};
use crate::threads::{Thread, Threads};

/// How many shards a worker restores at a time, of those with much to read and again of the others.
/// Each has a reader and a chunk of records of its own.
pub(super) const RESTORES_AT_A_TIME: usize = 4;

/// The threads that were started for a worker. The watchdog watches all of them.
pub(super) struct WorkerThreads {
    worker: Arc<str>,
    starts: Threads,
    watchdog: Arc<Watchdog>,
    pub(super) threads: Vec<Thread>,
    pub(super) joins: Vec<Join>,
}

impl WorkerThreads {
    pub(super) fn new(worker: Arc<str>, starts: Threads, watchdog: Arc<Watchdog>) -> Self {
        Self { worker, starts, watchdog, threads: Vec::new(), joins: Vec::new() }
    }

    /// Starts a thread for `what`: `{worker}-{what}`.
    pub(super) fn start(&mut self, what: &str) -> Result<Thread, RunError> {
        let (thread, join) = self.starts.start(&format!("{}-{what}", self.worker))?;
        self.watchdog.watch(what, thread.beat());
        self.threads.push(thread.clone());
        self.joins.push(join);
        Ok(thread)
    }

    /// Starts the threads on which shards are restored: at most one for each core.
    pub(super) fn start_restoring(&mut self, cores: usize) -> Result<Vec<Thread>, RunError> {
        (0..cores.min(RESTORES_AT_A_TIME)).map(|number| self.start(&format!("restore-{number}"))).collect()
    }

    /// Starts the threads of the lanes.
    pub(super) fn start_lanes(&mut self, lanes: usize) -> Result<Vec<Thread>, RunError> {
        (0..lanes).map(|number| self.start(&thread_name(number))).collect()
    }
}
