//! The state from which a worker's built-in routes answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use serde::Serialize;
use tokio::time::timeout;

use super::problem::Problem;
use super::security::Edge;
use crate::lane::Watchdog;
use crate::metrics::Metrics;
use crate::outbound::{Outgoing, SendError, Sent};
use crate::restore::RestoreProgress;
use crate::scope::WorkerScope;
use crate::standby::Standbys;
use crate::table::AnyTable;
use crate::threads::Failures;
use crate::watch;
use crate::worker::{Shared, Worker, WorkerState, WorkerStatus};

/// The time that the broker may take to confirm a record of a request.
const SENT_WITHIN: Duration = Duration::from_secs(30);

/// The state from which a worker's built-in routes answer.
pub(crate) struct Site {
    pub(crate) shared: Shared,
    pub(crate) scope: Arc<WorkerScope>,
    pub(crate) status: watch::Receiver<WorkerStatus>,
    pub(crate) failures: Failures,
    pub(crate) watchdog: Arc<Watchdog>,
    pub(crate) progress: Arc<RestoreProgress>,
    pub(crate) metrics: Metrics,
    /// The checks before every route.
    pub(crate) edge: Arc<Edge>,
    /// The worker's standbys, if it keeps any.
    pub(crate) standbys: Option<Standbys>,
}

/// The condition of a worker, as the health routes show it.
#[derive(Debug, Serialize)]
pub(crate) struct Condition {
    pub(crate) app: Arc<str>,
    pub(crate) worker: Arc<str>,
    pub(crate) state: &'static str,
    /// The number of the worker's open shards.
    pub(crate) shards: usize,
    /// The number of shards that are not open yet.
    pub(crate) restoring: usize,
    /// The number of changelog records that are left to read for those.
    pub(crate) remaining: u64,
    pub(crate) leader: bool,
    /// Something that has been in flight for too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stuck: Option<String>,
}

impl Site {
    pub(crate) fn new(shared: &Shared, worker: &Worker, edge: Edge) -> Self {
        Self {
            shared: shared.clone(),
            scope: worker.scope.clone(),
            status: worker.status.clone(),
            watchdog: worker.watchdog.clone(),
            failures: worker.starts.failures.clone(),
            progress: worker.progress.clone(),
            metrics: worker.metrics.clone(),
            edge: Arc::new(edge),
            standbys: worker.standbys.clone(),
        }
    }

    /// Returns whether the worker's control thread still runs. It ends when the worker stops or
    /// fails.
    pub(crate) fn is_alive(&self) -> bool {
        let mut status = self.status.clone();
        status.mark_unchanged();
        status.has_changed().is_ok()
    }

    pub(crate) fn condition(&self) -> Condition {
        let alive = self.is_alive();
        let status = self.status.borrow();
        // The control thread learns of failures elsewhere a moment later. While it waits for a
        // broker that is away, it does not learn of them at all.
        let state = if self.failures.have_come() { WorkerState::Stopping } else { status.state };
        Condition {
            app: self.scope.app.clone(),
            worker: self.scope.worker.clone(),
            state: if alive { state_name(state) } else { "stopped" },
            shards: status.shards.len(),
            restoring: status.restoring,
            remaining: self.progress.remaining.load(Ordering::Relaxed),
            leader: alive && status.leads,
            stuck: self.watchdog.stuck(),
        }
    }

    /// Returns the table called `name`.
    pub(crate) fn table(&self, name: &str) -> Result<&'static dyn AnyTable, Problem> {
        self.shared.program.table(name).ok_or_else(|| {
            let known: Vec<String> =
                self.shared.program.tables.iter().map(|table| format!("`{}`", table.name())).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Problem::not_found(format!("app `{}` has no table `{name}`; its tables: {known}", self.scope.app))
        })
    }

    /// Sends a record to the broker, and waits until the broker has it.
    pub(crate) async fn send(&self, record: Outgoing, what: &str) -> Result<Sent, Problem> {
        let Ok(sent) = timeout(SENT_WITHIN, self.scope.producer.send(record)).await else {
            let error = format!("{what} was not confirmed by the broker within {SENT_WITHIN:?}: it may still be sent");
            return Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, error));
        };
        sent.map_err(|error| match error {
            SendError::Stopped { .. } => Problem::not_now(format!("{error}; try again, or ask another worker")),
            _ => Problem::internal(format!("{what} was not sent"), error),
        })
    }

    /// Returns the number of partitions of a table.
    pub(crate) fn partitions(&self, table: &dyn AnyTable) -> u32 {
        self.shared.routes.slices.partitions(table.name())
    }
}

pub(crate) const STATES: [WorkerState; 4] =
    [WorkerState::Starting, WorkerState::Restoring, WorkerState::Ready, WorkerState::Stopping];

pub(crate) fn state_name(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Starting => "starting",
        WorkerState::Restoring => "restoring",
        WorkerState::Ready => "ready",
        WorkerState::Stopping => "stopping",
    }
}
