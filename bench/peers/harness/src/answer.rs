//! The check of a system's answer: the expected counts, the counts in Kafka, and their difference.

use std::fmt;

use serde_json::Value;

use crate::PeersResult;
use crate::changelog;
use crate::counts::{Counts, Key};
use crate::event::{Event, USERS};
use crate::feed::Feed;
use crate::kafka::Kafka;
use crate::system::System;
use crate::work::{Guarantee, Job};

/// Returns the counts that a job must have at its end, computed from `feeds`.
pub(crate) fn truth(job: Job, feeds: &[Feed]) -> Counts {
    let mut counts = Counts::default();
    let events = feeds.iter().flat_map(Feed::events);
    match job {
        Job::Total => *counts.get_mut("all".into()) = feeds.iter().map(|feed| feed.count).sum(),
        Job::Regroup => {
            let users: Vec<String> = (0..USERS).map(Event::user_key).collect();
            events.for_each(|event| *counts.get_mut(Key::Other(&users[event.user as usize])) += 1);
        }
        _ => events.for_each(|event| *counts.get_mut(Key::Page(event.page)) += 1),
    }
    counts
}

/// Returns the counts that a system has written to Kafka.
pub(crate) fn given(kafka: &Kafka, system: System, group: &str, job: Job, out: &str) -> PeersResult<Counts> {
    if job.of_program() == "pass" { passed(kafka, out) } else { changelog::read(kafka, system, group, job) }
}

/// Counts the events of each page in the output of `pass`, and checks the content of each event.
fn passed(kafka: &Kafka, out: &str) -> PeersResult<Counts> {
    let mut counts = Counts::default();
    let mut wrong = None;
    kafka.read(
        out,
        |_| 0,
        |partition, offset, key, value| {
            let event: Option<Value> = serde_json::from_slice(value).ok();
            let field = |name| event.as_ref().and_then(|event| event.get(name));
            let page = field("page").and_then(Value::as_str);
            let whole = field("user").is_some() && field("at").is_some() && field("agent").is_some();
            match page {
                Some(page) if page.as_bytes() == key && whole => *counts.get_mut(page.into()) += 1,
                _ => wrong = Some(format!("`{out}`[{partition}] at {offset} is no event")),
            }
        },
    )?;
    wrong.map_or(Ok(counts), |reason| Err(reason.into()))
}

/// The difference between the expected counts and those of a system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The number of events that were not counted.
    pub(crate) lost: u64,
    /// The number of surplus counts, from events that were counted again.
    pub(crate) over: u64,
    /// The number of wrong rows.
    pub(crate) rows: u64,
    example: Option<String>,
}

impl Difference {
    /// Returns the difference between `truth` and `given`.
    pub(crate) fn between(truth: &Counts, given: &Counts) -> Self {
        let mut difference = Self::default();
        for (key, should) in truth.rows() {
            difference.add(key, should, given.get(key));
        }
        for (key, is) in given.rows().filter(|(key, _)| truth.get(*key) == 0) {
            difference.add(key, 0, is);
        }
        difference
    }

    fn add(&mut self, key: Key<'_>, should: u64, is: u64) {
        self.lost += should.saturating_sub(is);
        self.over += is.saturating_sub(should);
        if should != is {
            self.rows += 1;
            self.example.get_or_insert_with(|| format!("{key} is {is} instead of {should}"));
        }
    }

    /// Returns whether the difference is more than `guarantee` allows. With at least once, events
    /// may be counted again but not lost.
    pub(crate) fn breaks(&self, guarantee: Guarantee) -> bool {
        self.lost > 0 || (guarantee == Guarantee::ExactlyOnce && self.over > 0)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, over, rows, example } = self;
        write!(f, "{lost} lost, {over} too many, in {rows} rows")?;
        example.as_ref().map_or(Ok(()), |example| write!(f, " ({example})"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Difference, truth};
    use crate::counts::Counts;
    use crate::feed::Feed;
    use crate::work::{Guarantee, Job};

    fn counts<const N: usize>(rows: [(&str, u64); N]) -> Counts {
        let mut counts = Counts::default();
        rows.into_iter().for_each(|(key, count)| *counts.get_mut(key.into()) = count);
        counts
    }

    #[test]
    fn each_event_is_in_the_truth_of_each_job() {
        let feeds = [Feed::new(50, 0, 1000), Feed::new(50, 1, 500)];
        for job in [Job::Count, Job::Regroup, Job::Shared, Job::Total] {
            assert_eq!(truth(job, &feeds).rows().map(|(_, count)| count).sum::<u64>(), 1500, "{job:?}");
        }
        assert_eq!(truth(Job::Count, &feeds).rows().count(), 50);
    }

    #[test]
    fn lost_events_and_surplus_counts_are_told_apart() {
        let difference =
            Difference::between(&counts([("a", 3), ("b", 2), ("c", 1)]), &counts([("a", 1), ("b", 5), ("d", 1)]));
        assert_eq!((difference.lost, difference.over, difference.rows), (3, 4, 4));
        assert!(difference.breaks(Guarantee::AtLeastOnce));
    }

    #[test]
    fn surplus_counts_break_exactly_once_only() {
        let difference = Difference::between(&counts([("a", 1)]), &counts([("a", 2)]));
        assert!(difference.breaks(Guarantee::ExactlyOnce));
        assert!(!difference.breaks(Guarantee::AtLeastOnce));
        assert!(!Difference::default().breaks(Guarantee::ExactlyOnce));
    }
}
