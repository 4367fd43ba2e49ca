//! How a shard works after a commit that could not be made: more slowly, so that the event at fault fails alone.

use std::time::Duration;

use marlowe_broker::Offset;
use tokio::time::Instant;

/// How carefully a shard works.
///
/// Most faults of an event show when it ends. Two kinds show only in the commit that holds the event: a row or a change that
/// cannot be written (it does not encode, or is larger than a record may be), because each row is encoded once per commit; and a
/// record that the broker refuses, because it is sent with the commit. Then the lane drops what it has not committed, and the
/// shard is opened again from what is committed, with a caution:
///
/// - With [`checks`](Self::checks), whatever an event changed is encoded when the event ends. An event whose changes cannot be
///   written fails there, by its agent's policy.
/// - With a [`quota`](Self::quota), so many events at most go into one commit, and the shard commits alone. A commit that is
///   refused again is tried with fewer. Once it holds a single event, that one is [condemned](Self::condemned): when the shard
///   is opened again, it is not handled but fails, by its agent's policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caution {
    /// Until when each event is checked; `None`: not at all.
    pub(crate) checks: Option<Instant>,
    /// How many events, batches or timer runs one commit holds at most.
    pub(crate) quota: Option<u32>,
    /// The agent or timer whose next work is at fault.
    pub(crate) condemned: Option<Condemned>,
    /// Timers whose last run was dropped, by their numbers in the shard: they run again at once.
    pub(crate) timers: Vec<usize>,
    /// How far the agents were when the commit failed, by their numbers in the shard. The caution ends there.
    pub(crate) until: Vec<Offset>,
    /// How far they were when a commit was refused the last time. What it was refused for lies before that.
    pub(crate) refused: Vec<Offset>,
}

/// An agent or timer, by its number among all of its shard: agents first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doer(pub(crate) usize);

/// Work that the broker refuses for good: what an agent does with its next event, or a timer's next run.
#[derive(Clone, Debug)]
pub(crate) struct Condemned {
    pub(crate) who: Doer,
    /// What the broker said.
    pub(crate) reason: String,
    pub(crate) told: Told,
}

/// How much is told of an event that failed, to its dead-letter topic and to whoever asked. The broker may refuse that, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Told {
    /// The event as it was, and why it failed.
    #[default]
    Everything,
    /// Where the event is, to the dead-letter topic.
    Place,
    /// Nothing outside of the log.
    Nothing,
}

impl Told {
    /// What is told after this was refused.
    fn less(self) -> Self {
        match self {
            Told::Everything => Told::Place,
            Told::Place | Told::Nothing => Told::Nothing,
        }
    }
}

/// What went wrong with a commit.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Nothing that an event of the shard is to blame for.
    Elsewhere,
    /// A row or a change of the shard cannot be written.
    Unwritable(String),
    /// The broker refused a record of the commit.
    Refused(String),
}

/// What of a shard was in the commit that failed.
#[derive(Debug)]
pub(crate) struct InCommit {
    /// How many events, batches and timer runs.
    pub(crate) units: u64,
    /// Whose they were: of timers always, of agents where there is a quota.
    pub(crate) workers: Vec<Doer>,
}

/// For how long events are checked after one that could not be written: where there was one, others often follow, and each that
/// is found in a commit costs the lane's work since the last one.
const CHECKED_FOR: Duration = Duration::from_secs(600);

/// A commit that is refused is tried again with so many times fewer events; one that is taken is followed by one of so many
/// times more.
const FEWER: u32 = 16;
const MORE: u32 = 4;

impl Caution {
    /// The caution of a shard after a commit that failed. `until` is how far its agents are.
    pub(crate) fn after(&self, fault: &Fault, failed: InCommit, until: Vec<Offset>) -> Self {
        let mut next = self.clone();
        let timers = failed.workers.iter().filter_map(|who| who.0.checked_sub(until.len()));
        for timer in timers {
            if !next.timers.contains(&timer) {
                next.timers.push(timer);
            }
        }
        let refused = until.clone();
        let until =
            until.into_iter().enumerate().map(|(who, now)| now.max(self.until.get(who).copied().unwrap_or_default()));
        let reason = match fault {
            Fault::Unwritable(_) if self.checks.is_none() => {
                next.until = until.collect();
                next.checks = Some(Instant::now() + CHECKED_FOR);
                return next;
            }
            Fault::Elsewhere => {
                // The commit may have happened, and the next work may be another. Whatever is at fault is found again.
                next.condemned = None;
                return next;
            }
            // One that the check lets through is found as one that the broker refuses.
            Fault::Unwritable(reason) | Fault::Refused(reason) if failed.units > 0 => reason,
            Fault::Unwritable(_) | Fault::Refused(_) => return next,
        };
        next.until = until.collect();
        next.refused = refused;
        match (self.quota, failed.workers.as_slice()) {
            (Some(_), [who]) if failed.units == 1 => {
                let told = match &self.condemned {
                    Some(condemned) if condemned.who == *who => condemned.told.less(),
                    _ => Told::Everything,
                };
                next.quota = Some(1);
                next.condemned = Some(Condemned { who: *who, reason: reason.clone(), told });
            }
            _ => {
                let units = u32::try_from(failed.units).unwrap_or(u32::MAX);
                next.quota = Some((units / FEWER).max(1));
                next.condemned = None;
            }
        }
        next
    }

    /// Notes that a commit went through; `committed` are the places of the agents in it.
    pub(crate) fn committed(&mut self, committed: &[Offset]) {
        let are_past = |places: &[Offset]| committed.iter().zip(places).all(|(at, place)| at >= place);
        let is_past = are_past(&self.until);
        if is_past {
            self.quota = None;
        } else if are_past(&self.refused) {
            self.quota = self.quota.map(|quota| quota.saturating_mul(MORE));
        }
        if is_past && self.checks.is_some_and(|until| until <= Instant::now()) {
            self.checks = None;
        }
    }

    /// Goes on checking, because an event was found that cannot be written.
    pub(crate) fn check_on(&mut self) {
        self.checks = self.checks.map(|_| Instant::now() + CHECKED_FOR);
    }

    /// Whether the shard works as ever.
    pub(crate) fn is_none(&self) -> bool {
        self.checks.is_none() && self.quota.is_none() && self.condemned.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(units: u64, workers: &[usize]) -> InCommit {
        InCommit { units, workers: workers.iter().copied().map(Doer).collect() }
    }

    fn at(offset: u64) -> Vec<Offset> {
        vec![Offset::new(offset)]
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_that_cannot_be_written_has_events_checked() {
        let fault = Fault::Unwritable("too large".into());
        let mut caution = Caution::default().after(&fault, failed(100, &[]), at(100));
        assert!(caution.checks.is_some() && caution.quota.is_none());
        caution.committed(&at(150));
        assert!(caution.checks.is_some(), "others may follow");
        tokio::time::advance(CHECKED_FOR).await;
        caution.committed(&at(150));
        assert!(caution.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_record_is_looked_for_in_ever_smaller_commits() {
        let fault = Fault::Refused("no".into());
        let mut caution = Caution::default().after(&fault, failed(1000, &[]), at(1000));
        assert_eq!(caution.quota, Some(62));
        caution = caution.after(&fault, failed(62, &[0]), at(62));
        assert_eq!((caution.quota, caution.until.clone()), (Some(3), at(1000)));
        caution.committed(&at(3));
        assert_eq!(caution.quota, Some(3), "what it was refused for is still to come");
        caution = caution.after(&fault, failed(3, &[0]), at(6));
        assert_eq!(caution.quota, Some(1));
        caution.committed(&at(6));
        assert_eq!(caution.quota, Some(4));
        caution.quota = Some(1);
        caution = caution.after(&fault, failed(1, &[0]), at(63));
        assert!(matches!(&caution.condemned, Some(Condemned { who: Doer(0), told: Told::Everything, .. })));
        // What is told of it is refused, too.
        for told in [Told::Place, Told::Nothing, Told::Nothing] {
            caution = caution.after(&fault, failed(1, &[0]), at(63));
            assert_eq!(caution.condemned.as_ref().map(|condemned| condemned.told), Some(told));
        }
        caution.condemned = None;
        caution.committed(&at(1000));
        assert!(caution.is_none());
    }

    /// The commit with the condemned event's failure may have happened: then the next event is an innocent one.
    #[test]
    fn nobody_is_condemned_after_a_commit_of_which_nothing_is_known() {
        let refused = Fault::Refused("no".into());
        let looking = Caution { quota: Some(1), until: at(200), refused: at(200), ..Caution::default() };
        let condemned = looking.after(&refused, failed(1, &[0]), at(99));
        assert!(condemned.condemned.is_some());
        let unknown = condemned.after(&Fault::Elsewhere, failed(1, &[0]), at(100));
        assert!(unknown.condemned.is_none());
        assert_eq!(unknown.quota, Some(1), "it is looked for again");
        // What another shard's record was refused for says nothing of this one's.
        assert!(condemned.after(&refused, failed(0, &[]), at(99)).condemned.is_some());
    }

    #[test]
    fn who_had_no_part_in_the_commit_is_not_suspected() {
        let fault = Fault::Refused("no".into());
        assert!(Caution::default().after(&fault, failed(0, &[]), at(7)).is_none());
        assert!(Caution::default().after(&Fault::Elsewhere, failed(9, &[]), at(7)).is_none());
    }

    #[test]
    fn timers_whose_run_was_dropped_run_again() {
        let caution = Caution::default().after(&Fault::Refused("no".into()), failed(2, &[1]), at(7));
        assert_eq!(caution.timers, [0]);
    }
}
