//! The handle with which a worker takes shards from its standby task and gives shards to it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use marlowe_state::Store;
use tokio::sync::{mpsc, oneshot};

use crate::query::Freshness;
use crate::shard::ShardId;
use crate::watch;

/// The handle to a worker's standbys. They are shards that other workers own, and whose tables this
/// worker follows into stores of its own.
#[derive(Clone)]
pub(crate) struct Standbys {
    commands: mpsc::UnboundedSender<StandbyCommand>,
    followed: watch::Receiver<Vec<Followed>>,
}

/// A command to the standby task.
pub(crate) enum StandbyCommand {
    /// The shard comes to this worker. The answer is the store that followed it, if there is one.
    Release(ShardId, oneshot::Sender<Option<Arc<dyn Store>>>),
    /// The shard is not this worker's any more. Its store comes along if it is still open here.
    Offer(ShardId, Option<Arc<dyn Store>>),
}

/// A shard that is followed.
#[derive(Clone)]
pub(crate) struct Followed {
    pub(crate) shard: ShardId,
    pub(crate) freshness: Freshness,
    /// How many offsets the store is behind its tables' changelogs, as of the last lookup of their
    /// ends.
    pub(crate) lag: Arc<AtomicU64>,
}

impl Standbys {
    /// Creates the handle. The standby task works with the other two: it receives the commands, and
    /// reports the shards that it follows.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<StandbyCommand>, watch::Sender<Vec<Followed>>) {
        let (commands, waiting) = mpsc::unbounded_channel();
        let (report, followed) = watch::channel(Vec::new());
        (Self { commands, followed }, waiting, report)
    }

    /// Stops following a shard that comes to this worker, and returns its store.
    pub(crate) async fn release(&self, shard: ShardId) -> Option<Arc<dyn Store>> {
        let (released, store) = oneshot::channel();
        // If the task is gone, the worker is stopping.
        let _ = self.commands.send(StandbyCommand::Release(shard, released));
        store.await.ok().flatten()
    }

    /// Gives back a shard that went to another worker. From now on this worker may follow it.
    pub(crate) fn offer(&self, shard: ShardId, store: Option<Arc<dyn Store>>) {
        let _ = self.commands.send(StandbyCommand::Offer(shard, store));
    }

    /// Returns the shards that are followed.
    pub(crate) fn followed(&self) -> watch::Receiver<Vec<Followed>> {
        self.followed.clone()
    }
}
