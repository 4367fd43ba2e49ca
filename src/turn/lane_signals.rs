//! [`LaneSignals`]: what the shards of a lane tell it, so that it need not poll each of them.

use std::cell::Cell;

use tokio::sync::Notify;

/// The signals of a lane's shards to the lane, so that it need not look at each shard.
#[derive(Default)]
pub(crate) struct LaneSignals {
    wake: Notify,
    /// The approximate number of bytes of all its shards that wait for a commit.
    uncommitted: Cell<usize>,
    /// True if a shard has failed and the lane has not looked yet.
    failed: Cell<bool>,
}

impl LaneSignals {
    /// Wakes the lane, so that it looks at its shards.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Tells the lane that a shard has failed. The shard has the reason.
    pub(crate) fn fail(&self) {
        self.failed.set(true);
        self.wake();
    }

    /// Changes the number of waiting bytes of one shard from `from` to `to`.
    pub(crate) fn change_uncommitted(&self, from: usize, to: usize) {
        self.uncommitted.set((self.uncommitted.get() + to).saturating_sub(from));
    }

    /// Returns the approximate number of bytes that wait for a commit.
    pub(crate) fn uncommitted_bytes(&self) -> usize {
        self.uncommitted.get()
    }

    /// Returns true if a shard has failed since the last call.
    pub(crate) fn take_failed(&self) -> bool {
        self.failed.take()
    }

    /// Waits until a shard wakes the lane.
    pub(crate) async fn come(&self) {
        self.wake.notified().await;
    }
}
