//! A clock that stands still until the test sets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use marlowe::broker::Timestamp;
use marlowe::clock::Clock;

/// A clock that stands still until the test sets it.
pub(crate) struct SetClock(AtomicI64);

impl SetClock {
    /// Returns a clock that shows `millis`, in milliseconds since 1970.
    pub(crate) fn at(millis: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(millis)))
    }

    pub(crate) fn forward(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
    }

    pub(crate) fn back(&self, by: Duration) {
        self.0.fetch_sub(by.as_millis() as i64, Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}
