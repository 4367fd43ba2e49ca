use tokio::sync::oneshot;

use crate::error::RunError;
use crate::shard::{ShardId, ShardPlan};
use crate::turn::Caution;

/// What a lane is asked to do.
pub(crate) enum LaneCommand {
    /// Opens a shard.
    Open(Box<ShardPlan>, oneshot::Sender<()>),
    /// Closes shards: finishes what is in hand, commits, and lets go. Answered when that is done.
    Close(Vec<ShardId>, oneshot::Sender<()>),
    /// Drops shards that are another's already. Answered when nothing of them can be committed any more.
    Drop(Vec<ShardId>, oneshot::Sender<()>),
    /// Fires every timer of every shard once more, and commits.
    Fire(oneshot::Sender<()>),
}

/// What a lane tells its worker.
pub(crate) enum LaneEvent {
    /// It cannot go on.
    Failed(RunError),
    /// Its commit did not go through, for this reason: these shards are dropped, to be opened again if they are still this
    /// worker's.
    Dropped(Vec<Dropped>, String),
}

/// A shard that was dropped with what it had not committed.
#[derive(Clone, Debug)]
pub(crate) struct Dropped {
    pub(crate) id: ShardId,
    /// Which of its openings: it may have gone and come again meanwhile.
    pub(crate) opening: u64,
    /// How carefully it is to work when it is opened again.
    pub(crate) caution: Caution,
}
