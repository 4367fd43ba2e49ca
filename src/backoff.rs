//! [`Backoff`]: the pauses between attempts of work that failed and is tried again.
//!
//! The retries of an agent's events are not here, because users set them: see `agent::failure`.

use std::time::Duration;

/// The pauses between attempts. They are all of one length, or each is twice as long as the one
/// before, up to a longest one.
///
/// They pass on tokio's clock, which tests and the simulation can pause.
pub(crate) struct Backoff {
    first: Duration,
    factor: u32,
    longest: Duration,
    /// The number of pauses that have begun.
    pauses: u32,
}

impl Backoff {
    /// Returns pauses that are all `pause` long.
    pub(crate) const fn every(pause: Duration) -> Self {
        Self { first: pause, factor: 1, longest: pause, pauses: 0 }
    }

    /// Returns pauses that begin with `first`. Each further one is twice as long as the one before,
    /// but at most `longest`.
    pub(crate) const fn doubling(first: Duration, longest: Duration) -> Self {
        Self { first, factor: 2, longest, pauses: 0 }
    }

    /// Returns the number of pauses that have begun, for callers that give up after some.
    pub(crate) const fn pauses(&self) -> u32 {
        self.pauses
    }

    /// Begins the next pause and returns its length, for callers that do something else meanwhile.
    pub(crate) fn next_pause(&mut self) -> Duration {
        let pause = self.first.saturating_mul(self.factor.saturating_pow(self.pauses)).min(self.longest);
        self.pauses = self.pauses.saturating_add(1);
        pause
    }

    /// Waits for the next pause.
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.next_pause()).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::doubling(SECOND, 5 * SECOND);
        let pauses: Vec<u64> = (0..100).map(|_| backoff.next_pause().as_secs()).collect();
        assert_eq!(pauses[..4], [1, 2, 4, 5]);
        assert!(pauses[4..].iter().all(|pause| *pause == 5), "{pauses:?}");
        assert_eq!(backoff.pauses(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_of_one_length_pass_on_the_paused_clock() {
        let (mut backoff, began) = (Backoff::every(SECOND), Instant::now());
        for _ in 0..3 {
            backoff.wait().await;
        }
        assert_eq!(began.elapsed(), 3 * SECOND);
    }
}
