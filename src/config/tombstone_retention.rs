//! The age at which a local store is rebuilt, because tombstones that it lacks may be gone.

use std::time::Duration;

use marlowe_broker::Timestamp;

/// For how long a changelog keeps tombstones at least.
///
/// Compaction removes a tombstone, with the records before it, that long after it first met it. A store that lacks it then
/// would keep the row for ever, and neither end of the log tells of it. So each store notes as of when it knows of all that
/// was removed ([`SlicePosition::as_of`](marlowe_state::SlicePosition)): what it lacks was removed after that, and can be read
/// until the time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TombstoneRetention(pub(crate) Duration);

impl TombstoneRetention {
    /// What changelogs are created with, if nothing else is said.
    pub(crate) const DEFAULT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

    /// The same for who reads the log right now, which takes its time. No setting keeps him reading it anew for ever.
    pub(crate) fn while_reading(self) -> Self {
        Self(self.0.max(Duration::from_secs(1)))
    }

    /// How far behind the note of a store's age may be.
    pub(crate) fn note_every(self) -> Duration {
        (self.0 / 20).clamp(Duration::from_millis(100), Duration::from_secs(60))
    }

    /// Whether a tombstone may be gone by now that a store which is as of `as_of` lacks.
    ///
    /// A tenth of the time is left for clocks that are set. One that went back by more than that does not tell how long it was.
    pub(crate) fn is_over(self, as_of: Timestamp, now: Timestamp) -> bool {
        let margin = self.0 / 10;
        now > as_of + (self.0 - margin) || as_of > now + margin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n4_1_a_store_is_too_old_before_tombstones_go() {
        let at = |seconds: i64| Timestamp::from_millis(1_000_000_000 + seconds * 1000);
        let retention = TombstoneRetention(Duration::from_secs(1000));
        for (now, is_over) in [(0, false), (900, false), (901, true), (100_000, true), (-100, false), (-101, true)] {
            assert_eq!(retention.is_over(at(0), at(now)), is_over, "after {now} s");
        }
        assert!(retention.is_over(Timestamp::default(), at(0)), "nobody knows how old it is");
        assert!(!TombstoneRetention(Duration::MAX).is_over(at(0), at(1_000_000)), "they are kept for ever");
        assert!(TombstoneRetention(Duration::ZERO).is_over(at(0), at(1)));
    }
}
