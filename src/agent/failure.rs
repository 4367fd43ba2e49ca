use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::Partitioner;

/// What becomes of an event whose handler fails, or whose bytes do not decode.
#[derive(Clone, Debug)]
pub(crate) struct FailurePolicy {
    /// How often it is tried again.
    pub(crate) retries: u32,
    /// The first wait before a retry; it doubles each time.
    pub(crate) backoff: Duration,
    pub(crate) then: Then,
}

/// What happens when the retries did not help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The worker stops; the event is the next one when it starts again.
    Stop,
    /// The event is passed over.
    Skip,
    /// The event's bytes go to a topic, with the reason in headers.
    DeadLetter(Arc<str>, Partitioner),
}

impl FailurePolicy {
    const LONGEST: Duration = Duration::from_secs(30);

    /// How long to wait before retry number `retry`, from 1.
    pub(crate) fn wait(&self, retry: u32) -> Duration {
        self.backoff.saturating_mul(1 << retry.saturating_sub(1).min(16)).min(Self::LONGEST)
    }
}

impl Default for FailurePolicy {
    fn default() -> Self {
        Self { retries: 3, backoff: Duration::from_millis(100), then: Then::Stop }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound() {
        let policy = FailurePolicy::default();
        let waits: Vec<u64> = [1, 2, 3, 4, 40].map(|retry| policy.wait(retry).as_millis() as u64).to_vec();
        assert_eq!(waits, [100, 200, 400, 800, 30_000]);
    }
}
