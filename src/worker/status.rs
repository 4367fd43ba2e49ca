use crate::shard::ShardId;

/// How a worker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkerStatus {
    pub(crate) state: WorkerState,
    /// Whether the group has told it what it owns.
    pub(crate) joined: bool,
    /// Its open shards, in order.
    pub(crate) shards: Vec<ShardId>,
    /// How many of its shards are not open yet.
    pub(crate) restoring: usize,
    /// All of its shards, open or not, with the group's generation at which it took each.
    pub(crate) taken: Vec<(ShardId, u64)>,
    pub(crate) leads: bool,
    /// The group's generation at which it became the leader last.
    pub(crate) leads_since: u64,
}

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WorkerState {
    /// It follows its global tables and joins the group.
    Starting,
    /// Some of its shards are not open yet.
    Restoring,
    /// All of its shards are open.
    Ready,
    /// It commits and leaves.
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
