use std::cell::Cell;

use tokio::sync::Notify;

/// What a lane's shards tell it, so that it need not look at each of them.
#[derive(Default)]
pub(crate) struct LaneSignals {
    wake: Notify,
    /// How many bytes of all its shards wait for a commit, about.
    uncommitted: Cell<usize>,
    /// A shard has failed that the lane does not know of.
    failed: Cell<bool>,
}

impl LaneSignals {
    /// Has the lane look after its shards.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// A shard has failed, and says why.
    pub(crate) fn fail(&self) {
        self.failed.set(true);
        self.wake();
    }

    /// Of a shard so many bytes wait now, where it were others.
    pub(crate) fn change_uncommitted(&self, from: usize, to: usize) {
        self.uncommitted.set((self.uncommitted.get() + to).saturating_sub(from));
    }

    /// About how many bytes wait for a commit.
    pub(crate) fn uncommitted_bytes(&self) -> usize {
        self.uncommitted.get()
    }

    /// Whether a shard has failed since this was last asked.
    pub(crate) fn take_failed(&self) -> bool {
        self.failed.take()
    }

    /// Waits until a shard wakes the lane.
    pub(crate) async fn come(&self) {
        self.wake.notified().await;
    }
}
