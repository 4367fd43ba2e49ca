//! Standby slices in this process, and how fresh they are.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::committed::CommittedSlice;

/// A standby slice in this process: a copy that follows the changelog, for the time after its owner
/// is lost.
#[doc(alias = "standby task")]
#[derive(Clone)]
pub(crate) struct StandbySlice {
    pub(crate) slice: CommittedSlice,
    pub(crate) freshness: Freshness,
}

/// The newest moment of which a copy is known to have all commits. All clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Freshness(Arc<Mutex<Option<Instant>>>);

impl Freshness {
    /// Records that the copy has all that was committed at `moment`.
    pub(crate) fn is_as_of(&self, moment: Instant) {
        *self.0.lock() = Some(moment);
    }

    /// Returns the time by which the copy may be stale; `None` if it has never reached the end of
    /// its changelog.
    pub(crate) fn staleness(&self) -> Option<Duration> {
        self.0.lock().map(|moment| moment.elapsed())
    }
}
