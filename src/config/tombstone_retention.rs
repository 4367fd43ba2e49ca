//! The age at which a local store is rebuilt, because tombstones that it has not read may be gone.

use std::time::Duration;

use marlowe_broker::Timestamp;

/// The minimum time for which a changelog keeps tombstones.
///
/// Compaction removes a tombstone, together with the older records of its key, this long after it
/// first met the tombstone. A store that has not read the tombstone by then would keep the row
/// forever. The start and the end of the log do not reveal this. So each store notes the time at
/// which it last knew of all removals ([`SlicePosition::as_of`](marlowe_state::SlicePosition)). Any
/// tombstone that it lacks was written after that time, so it can be read until the retention is
/// over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TombstoneRetention(pub(crate) Duration);

impl TombstoneRetention {
    /// The retention of changelogs that are created without a setting for it.
    pub(crate) const DEFAULT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

    /// Returns the retention to apply while the log is being read, because reading takes time. It
    /// is at least 1 s, so that no setting makes the reader start again forever.
    pub(crate) fn while_reading(self) -> Self {
        Self(self.0.max(Duration::from_secs(1)))
    }

    /// Returns by how much the noted time of a store may be out of date.
    pub(crate) fn note_every(self) -> Duration {
        (self.0 / 20).clamp(Duration::from_millis(100), Duration::from_secs(60))
    }

    /// Returns whether a tombstone that a store lacks may be gone by now. The store knows of all
    /// removals up to `as_of`.
    ///
    /// A tenth of the retention is reserved for clocks that are set. If the clock went back by more
    /// than that, the answer is `true`, because the real age is unknown.
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
