use marlowe_broker::BrokerError;
use tokio::sync::oneshot;

use super::RunError;
use crate::shard::{ShardId, ShardPlan};

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
    /// Its commit was refused, for the group has moved on, or nobody knows what became of it: these shards are dropped, to be
    /// opened anew if they are still this worker's.
    Dropped(Vec<Dropped>, BrokerError),
}

/// A shard that was dropped with what it had not committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropped {
    pub(crate) id: ShardId,
    /// Which of its openings: it may have gone and come again meanwhile.
    pub(crate) opening: u64,
}
