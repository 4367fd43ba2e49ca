//! [`Schedule`]: when a timer, crontab or task runs.

use std::time::Duration;

use tokio::time::Instant;

use super::crontab::Crontab;

/// The schedule of a timer, crontab or task.
#[derive(Clone)]
pub(crate) enum Schedule {
    /// Every interval, counted from the start. Missed ticks are skipped: after a gap there is one
    /// firing, as with the punctuators of Kafka Streams.
    Every(Duration),
    /// At times of day, each once. See [`Agenda`](super::agenda::Agenda).
    At(Box<Crontab>),
    /// Once, at the start.
    Once,
}

/// Returns the first tick after `now`. Ticks follow `due` every `interval`.
pub(crate) fn next_tick(due: Instant, interval: Duration, now: Instant) -> Instant {
    let next = due + interval;
    if next > now {
        return next;
    }
    let missed = (now - due).as_nanos() / interval.as_nanos().max(1);
    let skipped = u32::try_from(missed + 1).unwrap_or(u32::MAX);
    due + interval.saturating_mul(skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn missed_ticks_are_skipped_and_the_rhythm_stays() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let second = Duration::from_secs(1);
        assert_eq!(next_tick(at(1000), second, at(1001)), at(2000));
        assert_eq!(next_tick(at(1000), second, at(5300)), at(6000));
        assert_eq!(next_tick(at(1000), second, at(2000)), at(3000));
    }
}
