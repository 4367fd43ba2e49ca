use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use marlowe_state::Store;
use tokio::sync::{mpsc, oneshot};

use crate::query::Freshness;
use crate::shard::ShardId;
use crate::watch;

/// What a worker stands by for: shards that others own, whose tables it follows into stores of its own.
#[derive(Clone)]
pub(crate) struct Standbys {
    commands: mpsc::UnboundedSender<StandbyCommand>,
    followed: watch::Receiver<Vec<Followed>>,
}

/// What the keeper of the standbys is told.
pub(crate) enum StandbyCommand {
    /// The shard comes to this worker, with the store that followed it.
    Release(ShardId, oneshot::Sender<Option<Arc<dyn Store>>>),
    /// The shard is not this worker's any more; here is its store, if it is there still.
    Offer(ShardId, Option<Arc<dyn Store>>),
}

/// A shard that is followed.
#[derive(Clone)]
pub(crate) struct Followed {
    pub(crate) shard: ShardId,
    pub(crate) freshness: Freshness,
    /// How many offsets its tables' changelogs are ahead of it, as they were looked up last.
    pub(crate) lag: Arc<AtomicU64>,
}

impl Standbys {
    /// The handle, and what its keeper works with.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<StandbyCommand>, watch::Sender<Vec<Followed>>) {
        let (commands, waiting) = mpsc::unbounded_channel();
        let (report, followed) = watch::channel(Vec::new());
        (Self { commands, followed }, waiting, report)
    }

    /// Ends to stand by for a shard that comes to this worker, and takes its store.
    pub(crate) async fn release(&self, shard: ShardId) -> Option<Arc<dyn Store>> {
        let (released, store) = oneshot::channel();
        // A keeper that is gone is a worker that stops.
        let _ = self.commands.send(StandbyCommand::Release(shard, released));
        store.await.ok().flatten()
    }

    /// Gives back a shard that went elsewhere: it may be stood by for.
    pub(crate) fn offer(&self, shard: ShardId, store: Option<Arc<dyn Store>>) {
        let _ = self.commands.send(StandbyCommand::Offer(shard, store));
    }

    /// The shards that are followed.
    pub(crate) fn followed(&self) -> watch::Receiver<Vec<Followed>> {
        self.followed.clone()
    }
}
