use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Offset, Partition, Partitioner};

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

/// An event that an agent could not handle, and that stops the worker.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "agent `{agent}` failed on {topic}[{partition}]@{offset} (tried {tries} time(s)): {reason}; nothing of it was applied and \
     nothing is lost: the event comes first when the worker starts again. Mend the handler, or let the agent `.skip()` such events or \
     send them to a `.dead_letter(topic)`; or pass over this one: stop all workers, and run the program with `skip {topic} {partition} {offset}`"
)]
pub struct EventFailure {
    /// The agent.
    pub agent: Arc<str>,
    /// The event's topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: Partition,
    /// Its offset.
    pub offset: Offset,
    /// How often it was tried.
    pub tries: u32,
    /// Why it failed the last time.
    pub reason: String,
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
