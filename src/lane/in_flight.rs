//! The count of a lane's commits that are under way, with which a reader waits until they are in
//! the local stores.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::watch;

/// The commits of a lane that are under way.
///
/// The rows of a commit are in the local stores a moment after the broker has committed them. A
/// caller that saw the commit at the broker, and then reads a view, waits for that moment with
/// [`settled`](Self::settled).
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight(Arc<InFlightCounts>);

#[derive(Debug)]
struct InFlightCounts {
    begun: AtomicU64,
    over: watch::Sender<u64>,
}

impl Default for InFlightCounts {
    fn default() -> Self {
        Self { begun: AtomicU64::new(0), over: watch::Sender::new(0) }
    }
}

impl InFlight {
    /// Notes that a commit begins, before the broker gets anything of it. The commit is over when
    /// the guard is dropped: its rows are then in the stores, or never will be.
    pub(crate) fn begin(&self) -> InFlightGuard {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        InFlightGuard(self.0.clone())
    }

    /// Waits until all commits that have begun by now are over.
    pub(crate) async fn settled(&self) {
        let begun = self.0.begun.load(Ordering::SeqCst);
        // This does not fail, because the sender lives as long as `self`.
        let _ = self.0.over.subscribe().wait_for(|over| *over >= begun).await;
    }
}

/// A commit that is under way. A lane has one at a time.
#[derive(Debug)]
pub(crate) struct InFlightGuard(Arc<InFlightCounts>);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.over.send_modify(|over| *over += 1);
    }
}
