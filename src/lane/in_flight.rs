use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::watch;

/// A lane's commits that are under way. What the broker has committed is in the local stores a moment later: whoever saw
/// it there, and then reads a view, waits for that moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    begun: AtomicU64,
    over: watch::Sender<u64>,
}

impl Default for Counts {
    fn default() -> Self {
        Self { begun: AtomicU64::new(0), over: watch::Sender::new(0) }
    }
}

impl InFlight {
    /// A commit begins, before the broker is given anything. It is over when the answer is dropped: its rows are in the
    /// stores then, or never will be.
    pub(crate) fn begin(&self) -> InFlightGuard {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        InFlightGuard(self.0.clone())
    }

    /// Waits until all that have begun by now are over.
    pub(crate) async fn settled(&self) {
        let begun = self.0.begun.load(Ordering::SeqCst);
        // The sender lives as long as this.
        let _ = self.0.over.subscribe().wait_for(|over| *over >= begun).await;
    }
}

/// A commit under way; one at a time.
#[derive(Debug)]
pub(crate) struct InFlightGuard(Arc<Counts>);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.over.send_modify(|over| *over += 1);
    }
}
