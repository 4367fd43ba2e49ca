//! [`LaneSignals`]: what the shards of a lane tell it, so that it need not poll each of them.

use std::cell::{Cell, RefCell};

use tokio::sync::Notify;

use super::outbox::Outbox;

/// The signals of a lane's shards to the lane, so that it need not look at each shard.
#[derive(Default)]
pub(crate) struct LaneSignals {
    wake: Notify,
    /// The approximate number of bytes of all its shards that wait for a commit.
    uncommitted: Cell<usize>,
    /// The number of shards that go on as soon as the lane lets them.
    busy: Cell<usize>,
    /// The records of finished events that leave before their commit.
    pub(crate) leaving: RefCell<Outbox>,
    /// True if work may have finished that no commit has.
    finished: Cell<bool>,
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

    /// Tells the lane that work has finished, which the next commit must take.
    pub(crate) fn finish(&self) {
        self.finished.set(true);
        self.wake();
    }

    /// Returns true if work may have finished since the last call of
    /// [`take_finished`](Self::take_finished).
    pub(crate) fn has_finished(&self) -> bool {
        self.finished.get()
    }

    /// Notes that a commit takes all finished work.
    pub(crate) fn take_finished(&self) {
        self.finished.set(false);
    }

    /// Notes that one more shard goes on as soon as the lane lets it, or one fewer. Wakes the lane
    /// if it has nothing else to do now than to commit.
    pub(crate) fn change_busy(&self, is_busy: bool) {
        let busy = self.busy.get();
        self.busy.set(if is_busy { busy + 1 } else { busy.saturating_sub(1) });
        if !self.is_busy() && self.has_finished() {
            self.wake();
        }
    }

    /// Returns true if a shard goes on as soon as the lane lets it.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.get() > 0
    }

    /// Changes the number of waiting bytes of one shard from `from` to `to`.
    pub(crate) fn change_uncommitted(&self, from: usize, to: usize) {
        self.uncommitted.set((self.uncommitted.get() + to).saturating_sub(from));
    }

    /// Returns the approximate number of bytes that wait for a commit, or to leave before it.
    pub(crate) fn uncommitted_bytes(&self) -> usize {
        self.uncommitted.get() + self.leaving.borrow().size()
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_lane_is_woken_when_its_last_busy_shard_is_idle() {
        let lane = LaneSignals::default();
        let is_woken = || lane.come().now_or_never().is_some();
        lane.change_busy(true);
        lane.change_busy(true);
        lane.finish();
        assert!(is_woken() && lane.is_busy());
        lane.change_busy(false);
        assert!(!is_woken(), "another shard goes on");
        lane.change_busy(false);
        assert!(is_woken() && !lane.is_busy(), "nothing is left to do but to commit");
        // Without finished work there is nothing to commit.
        lane.take_finished();
        lane.change_busy(true);
        lane.change_busy(false);
        assert!(!is_woken());
    }
}
