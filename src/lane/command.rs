//! The commands that a worker gives to a lane, and the events that a lane reports to its worker.

use tokio::sync::oneshot;

use crate::error::RunError;
use crate::shard::{ShardId, ShardPlan};
use crate::turn::Caution;

/// A command from a worker to one of its lanes.
pub(crate) enum LaneCommand {
    /// Opens a shard. Answered when it is open.
    Open(Box<ShardPlan>, oneshot::Sender<()>),
    /// Closes shards: finishes the events in hand, commits, and lets the shards go. Answered when
    /// that is done.
    Close(Vec<ShardId>, oneshot::Sender<()>),
    /// Drops shards that already belong to another worker. Answered when none of their uncommitted
    /// work can be committed any more.
    Drop(Vec<ShardId>, oneshot::Sender<()>),
    /// Fires every partition timer of every shard once more, and commits. Answered after the
    /// commit.
    Fire(oneshot::Sender<()>),
}

/// An event that a lane reports to its worker.
pub(crate) enum LaneEvent {
    /// The lane cannot go on.
    Failed(RunError),
    /// A commit failed, for the given reason, and these shards were dropped. The worker opens those
    /// again that it still owns.
    Dropped(Vec<Dropped>, String),
}

/// A shard that a lane dropped together with its uncommitted work.
#[derive(Clone, Debug)]
pub(crate) struct Dropped {
    pub(crate) id: ShardId,
    /// The number of the opening that was dropped. The shard may have left and come back since.
    pub(crate) opening: u64,
    /// How carefully the shard must work when it is opened again.
    pub(crate) caution: Caution,
}
