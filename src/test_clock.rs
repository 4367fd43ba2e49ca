//! A clock for tests.

use std::sync::atomic::{AtomicI64, Ordering};

use marlowe_broker::{Clock, Timestamp};

/// A clock that shows the time to which it is set.
pub(crate) struct SetClock(AtomicI64);

impl SetClock {
    pub(crate) fn new(time: Timestamp) -> Self {
        Self(AtomicI64::new(time.millis()))
    }

    pub(crate) fn set(&self, time: Timestamp) {
        self.0.store(time.millis(), Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}
