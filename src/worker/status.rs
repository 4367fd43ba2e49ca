//! The status of a worker: what it is doing, and which shards it has.

use crate::shard::ShardId;

/// The status of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkerStatus {
    pub(crate) state: WorkerState,
    /// Set once the group has told the worker what it owns, or has told it nothing for a while.
    pub(crate) joined: bool,
    /// The worker's open shards, in order.
    pub(crate) shards: Vec<ShardId>,
    /// How many of the worker's shards are not open yet.
    pub(crate) restoring: usize,
    /// All of the worker's shards, open or not, each with the group's generation at which it was
    /// assigned.
    pub(crate) taken: Vec<(ShardId, u64)>,
    pub(crate) leads: bool,
    /// The group's generation at which the worker last became the leader.
    pub(crate) leads_since: u64,
}

/// The phase in which a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WorkerState {
    /// The worker follows its global tables and joins the group.
    Starting,
    /// Some of the worker's shards are not open yet.
    Restoring,
    /// All of the worker's shards are open.
    Ready,
    /// The worker commits and leaves the group.
    Stopping,
}

impl Default for WorkerStatus {
    fn default() -> Self {
        Self {
            state: WorkerState::Starting,
            joined: false,
            shards: Vec::new(),
            restoring: 0,
            taken: Vec::new(),
            leads: false,
            leads_since: 0,
        }
    }
}
