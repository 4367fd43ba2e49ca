use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::committed::CommittedSlice;

/// A slice in this process that stands by: a copy that follows the changelog, for when the owner is gone.
#[derive(Clone)]
pub(crate) struct StandbySlice {
    pub(crate) slice: CommittedSlice,
    pub(crate) freshness: Freshness,
}

/// Since when a copy may lack something: a moment up to which it has all that was committed then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Freshness(Arc<Mutex<Option<Instant>>>);

impl Freshness {
    /// It has all that was committed at `moment`.
    pub(crate) fn is_as_of(&self, moment: Instant) {
        *self.0.lock() = Some(moment);
    }

    /// How stale it may be; `None` while it has never been at the end of its log.
    pub(crate) fn staleness(&self) -> Option<Duration> {
        self.0.lock().map(|moment| moment.elapsed())
    }
}
