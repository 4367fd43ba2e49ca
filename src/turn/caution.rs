//! Caution: how a shard works after a commit that failed because of one of its events. It finds
//! that event, so that the event fails alone and the others go on.
//!
//! # The problem
//!
//! Most faults of an event show when the event ends. Two kinds show only in the commit that holds
//! the event, together with many others:
//!
//! - A row, or a change for another owner, cannot be written: it does not encode, or it is larger
//!   than a record may be. Rows are encoded only in a commit, because each row is then encoded once
//!   per commit and not once per event.
//! - The broker refuses a record for good. Records are sent with the commit.
//!
//! # The protocol
//!
//! After such a commit the lane drops everything that it has not committed. The shard is opened
//! again from its committed state with a [`Caution`], and handles the dropped events again:
//!
//! 1. After a row that cannot be written, the shard *checks* each event: what the event changed is
//!    encoded when the event ends. So the event at fault fails there, by its agent's policy. The
//!    checks end when the shard is past the place of the failure and no such event was found for
//!    [`CHECKED_FOR`].
//! 2. After a refused record, the shard commits alone, with a *quota* of events per commit: the
//!    number of events in the refused commit divided by [`FEWER`], and at least 1. The same happens
//!    if a row cannot be written although events are checked.
//! 3. If a commit is refused again, the next quota is smaller in the same way. A commit that
//!    succeeds past the place of the last refusal allows [`MORE`] times as many events.
//! 4. If a commit of a single event is refused, the agent or timer of that event is *condemned*:
//!    after the next opening its next event is not handled but fails, by its policy.
//! 5. If the commit with that failure is refused as well, less is told of the event: first only its
//!    place goes to the dead-letter topic, then nothing.
//!
//! The quota ends when the shard is past the place that its agents had reached when a commit
//! failed.

use std::time::Duration;

use marlowe_broker::Offset;
use tokio::time::Instant;

/// The carefulness of a shard after a commit that failed. The default is none. The module's page
/// describes the protocol.
///
/// It has up to three measures:
///
/// - [`checks`](Self::checks): changes are encoded when their event ends.
/// - [`quota`](Self::quota): the shard commits alone, and a commit holds few events.
/// - [`condemned`](Self::condemned): one event fails without being handled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caution {
    /// The time until which each event is checked. `None` if events are not checked.
    pub(crate) checks: Option<Instant>,
    /// The most events, batches and timer runs in one commit. `None` if there is no bound.
    pub(crate) quota: Option<u32>,
    /// The agent or timer whose next work is at fault.
    pub(crate) condemned: Option<Condemned>,
    /// Timers whose last run was dropped, by their numbers among the shard's timers. They run again
    /// at once.
    pub(crate) timers: Vec<usize>,
    /// The positions that the agents had reached when the commit failed, by their numbers in the
    /// shard. The caution ends there.
    pub(crate) until: Vec<Offset>,
    /// The positions of the agents when a commit was refused the last time. The refused record
    /// comes from an event before them.
    pub(crate) refused: Vec<Offset>,
}

/// An agent or timer by its number among all of its shard. Agents come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doer(pub(crate) usize);

/// Work whose records the broker refuses for good: an agent's next event, or a timer's next run.
#[derive(Clone, Debug)]
pub(crate) struct Condemned {
    pub(crate) who: Doer,
    /// The broker's reason.
    pub(crate) reason: String,
    pub(crate) told: Told,
}

/// The amount of information about a failed event that goes to the dead-letter topic and to a
/// caller. The broker may refuse that as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Told {
    /// The event as it was, and the reason of its failure.
    #[default]
    Everything,
    /// The place of the event, to the dead-letter topic.
    Place,
    /// Nothing. The failure is only logged.
    Nothing,
}

impl Told {
    /// Returns the next smaller amount, for after this one was refused.
    fn less(self) -> Self {
        match self {
            Told::Everything => Told::Place,
            Told::Place | Told::Nothing => Told::Nothing,
        }
    }
}

/// The cause of a failed commit.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// A cause that is not an event of the shard.
    Elsewhere,
    /// A row of the shard, or a change that it sends, cannot be written.
    Unwritable(String),
    /// The broker refused a record of the commit.
    Refused(String),
}

/// The part that a shard had in the commit that failed.
#[derive(Debug)]
pub(crate) struct InCommit {
    /// The number of events, batches and timer runs.
    pub(crate) units: u64,
    /// The agents and timers that did the work. Timers are always listed, agents only under a
    /// quota.
    pub(crate) workers: Vec<Doer>,
}

/// The time for which events are checked after one that could not be written. Such events often
/// come in groups, and each one that is found only in a commit costs the lane its work since the
/// last commit.
const CHECKED_FOR: Duration = Duration::from_secs(600);

/// The divisor of the quota after a refused commit. After a commit that succeeds, the quota is
/// multiplied by [`MORE`].
const FEWER: u32 = 16;
const MORE: u32 = 4;

impl Caution {
    /// Returns the caution of a shard after a failed commit. `until` has the positions that its
    /// agents have reached.
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
                // The commit may have succeeded, so the next event may be another one. The event at
                // fault will be found again.
                next.condemned = None;
                return next;
            }
            // A row that cannot be written although events are checked is found like a record that
            // the broker refuses.
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

    /// Notes that a commit succeeded. `committed` has the positions of the agents in it.
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

    /// Extends the checks, because an event was found that cannot be written.
    pub(crate) fn check_on(&mut self) {
        self.checks = self.checks.map(|_| Instant::now() + CHECKED_FOR);
    }

    /// Returns true if the shard works as usual.
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
        // The reduced failure is refused as well.
        for told in [Told::Place, Told::Nothing, Told::Nothing] {
            caution = caution.after(&fault, failed(1, &[0]), at(63));
            assert_eq!(caution.condemned.as_ref().map(|condemned| condemned.told), Some(told));
        }
        caution.condemned = None;
        caution.committed(&at(1000));
        assert!(caution.is_none());
    }

    /// Checks that an event is condemned only if the outcome of the last commit is known. If the
    /// commit with the condemned event's failure succeeded, the next event is an innocent one.
    #[test]
    fn no_event_is_condemned_after_a_commit_of_unknown_outcome() {
        let refused = Fault::Refused("no".into());
        let looking = Caution { quota: Some(1), until: at(200), refused: at(200), ..Caution::default() };
        let condemned = looking.after(&refused, failed(1, &[0]), at(99));
        assert!(condemned.condemned.is_some());
        let unknown = condemned.after(&Fault::Elsewhere, failed(1, &[0]), at(100));
        assert!(unknown.condemned.is_none());
        assert_eq!(unknown.quota, Some(1), "it is looked for again");
        // A refusal because of another shard's record says nothing about this shard.
        assert!(condemned.after(&refused, failed(0, &[]), at(99)).condemned.is_some());
    }

    #[test]
    fn a_shard_without_part_in_the_commit_is_not_suspected() {
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
