//! Warnings about calls that wait for the brokers for a long time.

use std::time::Duration;

use tokio::time::Instant;

/// How long something may take before a warning says what it waits for, and how often the warning comes again.
const TOLD_AFTER: Duration = Duration::from_secs(10);

/// Something that waits for the brokers, and warns when that takes long.
pub(crate) struct Waiting {
    who: String,
    doing: &'static str,
    began: Instant,
    next: Instant,
}

impl Waiting {
    /// Begins now. `who` waits: "producer `a`".
    pub(crate) fn for_brokers(who: String, doing: &'static str) -> Self {
        let began = Instant::now();
        Self { who, doing, began, next: began + TOLD_AFTER }
    }

    /// Warns if it has waited long by now. `reason` is what the client or a broker said last.
    pub(crate) fn tell(&mut self, reason: &str) {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + TOLD_AFTER;
            let Self { who, doing, began, .. } = self;
            tracing::warn!("{who}: {doing} has taken {} s and is tried again: {reason}", (now - *began).as_secs());
        }
    }
}
