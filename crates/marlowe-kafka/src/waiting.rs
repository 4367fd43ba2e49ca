//! Warnings about calls that wait for the brokers for a long time.

use std::time::Duration;

use tokio::time::Instant;

/// The time after which a warning says what a call waits for, and the time between such warnings.
const TOLD_AFTER: Duration = Duration::from_secs(10);

/// A call that waits for the brokers, and warns when that takes long.
pub(crate) struct Waiting {
    who: String,
    doing: &'static str,
    began: Instant,
    next: Instant,
}

impl Waiting {
    /// Starts measuring the time. `who` is the one that waits, such as "producer `a`".
    pub(crate) fn for_brokers(who: String, doing: &'static str) -> Self {
        let began = Instant::now();
        Self { who, doing, began, next: began + TOLD_AFTER }
    }

    /// Warns if the call has taken long by now. `reason` is what the client or a broker said last.
    pub(crate) fn tell(&mut self, reason: &str) {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + TOLD_AFTER;
            let Self { who, doing, began, .. } = self;
            tracing::warn!("{who}: {doing} has taken {} s and is tried again: {reason}", (now - *began).as_secs());
        }
    }
}
