//! The limits of the numbers, times and names in programs and settings. A value beyond them is a
//! mistake.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest interval. Timers tick in milliseconds, and retention is counted in them.
pub(crate) const SHORTEST: Duration = Duration::from_millis(1);

/// The longest interval of a timer, and the longest retention. It is about a century, longer than
/// any process runs.
pub(crate) const LONGEST: Duration = Duration::from_secs(36_600 * 24 * 60 * 60);

/// The longest interval at which a worker does its own regular work.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The most partitions of a topic.
pub(crate) const MOST_PARTITIONS: u32 = 100_000;

/// The most events of a partition that are in hand at a time.
pub(crate) const MOST_IN_HAND: u32 = 4096;

/// The most workers of a process, and the most lanes of a worker: each is a thread or more.
pub(crate) const MOST_THREADS: usize = 1024;

/// The longest name of a topic that Kafka takes.
pub(crate) const LONGEST_TOPIC_NAME: usize = 249;

/// Returns `true` if a name is not empty and has only characters that Kafka takes in names: letters
/// and digits of ASCII, `.`, `_` and `-`.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name.chars().all(fits)
}

/// Returns what is wrong with an interval and what to use instead, or `None` if the interval is
/// valid.
pub(crate) fn wrong_interval(interval: Duration, longest: Duration) -> Option<String> {
    let days = longest.as_secs() / DAY.as_secs();
    let most = if days == 1 { "a day".to_owned() } else { format!("{days} days") };
    if interval < SHORTEST {
        Some(format!("{interval:?} is too short: use 1 ms to {most}"))
    } else if interval > longest {
        Some(format!("{interval:?} is too long: use 1 ms to {most}"))
    } else {
        None
    }
}

/// Returns the moment `wait` from now. If that moment cannot be represented, returns the moment
/// [`LONGEST`] from now.
pub(crate) fn after(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or_else(|| now + LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn n3_4_no_wait_is_too_long_to_be_added_to_now() {
        assert!(after(Duration::MAX) > Instant::now() + DAY);
        assert!(after(Duration::from_secs(u64::MAX)) > Instant::now() + DAY);
    }

    #[test]
    fn a_name_has_only_characters_of_kafka() {
        assert!(["a", "Shop-2.eu_west", "..", "0"].into_iter().all(is_name));
        assert!(!["", "a b", "a/b", "é", "a\n"].into_iter().any(is_name));
    }

    #[test]
    fn n3_4_a_wrong_interval_says_what_to_use() {
        assert_eq!(wrong_interval(SHORTEST, LONGEST), None);
        assert_eq!(wrong_interval(LONGEST, LONGEST), None);
        for wrong in [Duration::ZERO, Duration::from_micros(999), LONGEST + SHORTEST, Duration::MAX] {
            let told = wrong_interval(wrong, LONGEST).unwrap_or_else(|| panic!("{wrong:?} is taken"));
            assert!(told.contains("use 1 ms to 36600 days"), "{told}");
        }
        assert!(wrong_interval(Duration::MAX, DAY).is_some_and(|told| told.ends_with("use 1 ms to a day")));
    }
}
