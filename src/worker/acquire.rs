//! The shards on their way into a worker and out of it.

use std::sync::Arc;
use std::time::Duration;

use marlowe_state::Store;
use tokio::sync::oneshot;

use crate::cluster::{Claim, Directory};
use crate::error::RunError;
use crate::metrics::Metrics;
use crate::query::Owner;
use crate::restore::{Cancellation, Restored, Restorer, StartingPoint, close};
use crate::shard::ShardId;
use crate::standby::Standbys;
use crate::threads::Thread;

/// How long a worker that hands a shard over may take to say so in the directory. A worker that
/// still claims the shard after this time is dead.
const HANDED_ON_WITHIN: Duration = Duration::from_secs(1);

/// The part of a worker that takes shards in and lets them go. It knows what the worker already has
/// of a shard, and what becomes of that.
pub(crate) struct ShardAcquisition {
    pub(crate) worker: Arc<str>,
    /// The co-partition groups' names.
    pub(crate) groups: Vec<Arc<str>>,
    pub(crate) restorer: Arc<Restorer>,
    /// The threads on which shards are restored.
    pub(crate) threads: Vec<Thread>,
    /// The worker's standbys, if it has any.
    pub(crate) standbys: Option<Standbys>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) metrics: Metrics,
}

/// The reason why a shard is restored.
pub(crate) enum RestoreReason {
    /// The group gave it to this worker.
    Assigned,
    /// The shard's work was dropped, and starts again from what is committed. Its store comes along
    /// if it is still open.
    Again(Option<Arc<dyn Store>>),
}

impl ShardAcquisition {
    /// Restores a shard from what the worker has of it.
    pub(crate) fn take(
        &self,
        id: ShardId,
        owner: Owner,
        occasion: RestoreReason,
        cancellation: Cancellation,
    ) -> oneshot::Receiver<Result<Restored, RunError>> {
        let group = self.groups[id.group].clone();
        let previous = self.directory.owner(&group, id.partition).filter(|claim| claim.worker != self.worker);
        let thread = &self.threads[owner.opening as usize % self.threads.len()];
        let (restorer, standbys) = (self.restorer.clone(), self.standbys.clone());
        let (directory, metrics, spawner) = (self.directory.clone(), self.metrics.clone(), thread.spawner());
        thread.run(move || async move {
            let (basis, is_new) = match (occasion, standbys) {
                (RestoreReason::Again(store), _) => (store.map_or(StartingPoint::Kept, StartingPoint::Open), false),
                (RestoreReason::Assigned, Some(standbys)) => {
                    (standbys.release(id).await.map_or(StartingPoint::Kept, StartingPoint::Standby), true)
                }
                (RestoreReason::Assigned, None) => (StartingPoint::Kept, true),
            };
            let restored = restorer.restore(id, owner, &cancellation, basis).await;
            if let (true, Ok(Restored::Ready(_, had))) = (is_new, &restored) {
                let had = *had;
                spawner.spawn(async move {
                    tokio::time::sleep(HANDED_ON_WITHIN).await;
                    let claims =
                        |claim: Claim| directory.still_claims(&claim.worker, &group, id.partition, claim.generation);
                    metrics.took(had, if previous.is_some_and(claims) { "death" } else { "handover" });
                });
            }
            restored
        })
    }

    /// Lets a closed shard go that is not this worker's any more. Its store goes to the standby
    /// task, or is closed.
    pub(crate) fn let_go(&self, id: ShardId, store: Option<Arc<dyn Store>>) {
        match (&self.standbys, store) {
            (Some(standbys), store) => standbys.offer(id, store),
            (None, Some(store)) => close(&*store),
            (None, None) => {}
        }
    }
}
