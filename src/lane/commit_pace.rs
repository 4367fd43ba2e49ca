//! [`CommitPace`]: when a lane's next commit may begin, by what its last commits cost.
//!
//! # Why commits follow the load
//!
//! Others see what an event did after the commit, so a commit should follow the event at once. But
//! each commit costs time: the lane encodes the changed rows and puts them into its stores, and the
//! broker writes a marker to each partition of the transaction. If many events share a commit, each
//! of them pays little, and of a row that changed many times only the last value is written.
//!
//! So a lane commits as soon as it has nothing else to do. Its commits take at most a share of its
//! time and the broker's ([`CommitLimits::share`]). The cost of each commit is measured, and the
//! last ones count most. Under load, commits become larger and cost more,
//! so the intervals become longer by themselves, up to [`CommitLimits::longest`]. A lane that is
//! never idle commits at this interval.

use std::time::Duration;

use tokio::time::Instant;

/// A commit's round trip, divided by this number, counts as the broker's part of the cost. The rest
/// is waiting: for the network, for the broker's disk, and for other brokers. The number is an
/// estimate. With it, Kafka's processor time for an event stayed about the same.
const BROKER_PART: u32 = 8;

/// The resolution of timers. An interval that is shorter is not waited for.
const RESOLUTION: Duration = Duration::from_millis(1);

/// The weight of the last commit in the measured cost is one in this number.
const SMOOTHING: u32 = 4;

/// How often a lane may commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommitLimits {
    /// The longest time between two commits while events finish.
    pub(crate) longest: Duration,
    /// The shortest time between two commits. If it equals `longest`, the interval is fixed.
    pub(crate) shortest: Duration,
    /// The share of the time that commits may take, above 0 and at most 1. A commit that is due by
    /// `longest` begins in any case.
    pub(crate) share: f64,
}

/// The pace of a lane's commits.
#[derive(Debug)]
pub(crate) struct CommitPace {
    limits: CommitLimits,
    /// When the last commit began.
    began: Instant,
    /// The cost of a commit: how much of the lane's and the broker's time it takes.
    cost: Duration,
    /// The lane's own time for the commit under way.
    in_lane: Duration,
}

impl CommitPace {
    /// Returns the pace of a lane that begins now, as if it had just committed.
    pub(crate) fn new(limits: CommitLimits) -> Self {
        Self { limits, began: Instant::now(), cost: Duration::ZERO, in_lane: Duration::ZERO }
    }

    /// Returns when a lane that has nothing else to do may commit.
    pub(crate) fn soonest(&self) -> Instant {
        let interval = self.cost.as_secs_f64() / self.limits.share;
        let interval = Duration::try_from_secs_f64(interval).unwrap_or(self.limits.longest);
        let interval = if interval < RESOLUTION { Duration::ZERO } else { interval };
        self.began + interval.max(self.limits.shortest).min(self.limits.longest)
    }

    /// Returns when a lane commits that still has other things to do.
    pub(crate) fn latest(&self) -> Instant {
        self.began + self.limits.longest
    }

    /// Returns the last moment at which a commit began.
    pub(crate) fn last_began(&self) -> Instant {
        self.began
    }

    /// Notes that a commit of the lane's shards began at `at`.
    pub(crate) fn begin(&mut self, at: Instant) {
        self.began = at;
    }

    /// Notes that the lane worked for `time` to begin a commit.
    pub(crate) fn worked(&mut self, time: Duration) {
        self.in_lane = time;
    }

    /// Notes the rest of what a commit cost: the time from its beginning until the broker answered,
    /// and the lane's own time for putting the rows into the stores. Returns what the commit cost.
    pub(crate) fn answered(&mut self, since_begin: Duration, in_lane: Duration) -> Duration {
        let cost = self.in_lane + in_lane + since_begin.saturating_sub(self.in_lane) / BROKER_PART;
        self.cost = match self.cost {
            Duration::ZERO => cost,
            before => (before * (SMOOTHING - 1) + cost) / SMOOTHING,
        };
        cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn pace(shortest: u64) -> CommitPace {
        let limits = CommitLimits { longest: millis(100), shortest: millis(shortest), share: 0.1 };
        CommitPace::new(limits)
    }

    #[tokio::test(start_paused = true)]
    async fn commits_follow_their_cost_up_to_the_longest_interval() {
        let mut pace = pace(0);
        let began = pace.last_began();
        assert_eq!(pace.soonest(), began, "nothing is known to cost anything");
        pace.worked(millis(1));
        assert_eq!(pace.answered(millis(9), millis(1)), millis(3));
        assert_eq!(pace.soonest(), began + millis(30));
        assert_eq!(pace.latest(), began + millis(100));
        // Costs that rise make the intervals longer, step by step, and never too long.
        pace.worked(millis(5));
        pace.answered(millis(13), millis(1));
        assert_eq!(pace.soonest(), began + millis(40));
        for _ in 0..20 {
            pace.answered(millis(800), millis(100));
        }
        assert_eq!(pace.soonest(), pace.latest());
        for _ in 0..40 {
            pace.worked(Duration::ZERO);
            pace.answered(millis(4), Duration::ZERO);
        }
        let interval = pace.soonest() - began;
        assert!(interval > millis(4) && interval < millis(7), "{interval:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_shortest_interval_is_kept_and_a_fixed_one_is_both() {
        let short = pace(20);
        assert_eq!(short.soonest(), short.last_began() + millis(20));
        let mut fixed = pace(100);
        fixed.answered(millis(1), Duration::ZERO);
        assert_eq!((fixed.soonest(), fixed.latest()), (fixed.last_began() + millis(100), fixed.latest()));
    }
}
