//! The failure policy of an agent: how often an event is tried again, and what happens then.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::Partitioner;

/// The policy for an event whose handler fails, or whose bytes do not decode.
#[derive(Clone, Debug)]
pub(crate) struct FailurePolicy {
    /// The number of attempts after the first one.
    pub(crate) retries: u32,
    /// The wait before the first retry. It doubles with each retry, up to 30 seconds.
    pub(crate) backoff: Duration,
    pub(crate) then: Then,
}

/// The outcome of an event whose retries did not help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The worker stops. The event is the next one when the worker starts again.
    Stop,
    /// The event is skipped.
    Skip,
    /// The event's bytes are sent to a topic, with the reason in headers.
    DeadLetter(Arc<str>, Partitioner),
}

impl FailurePolicy {
    const LONGEST: Duration = Duration::from_secs(30);

    /// Returns the time to wait before retry number `retry`, counted from 1.
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
