//! The curves that are measured, and the work at each of their points.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use crate::event::Draw;
use crate::feed::Feed;
use crate::kafka::PARTITIONS;
use crate::system::System;
use crate::trial::Begin;
use crate::work::{FEW_KEYS, Guarantee, Job, Store, Work, in_short};

/// The number of events at most points.
const EVENTS: u64 = 4_000_000;

/// The number of events at the points with the most keys or partitions. With fewer events, too few
/// of the keys would occur.
const MANY_EVENTS: u64 = 8_000_000;
const MOST_KEYS: u64 = 20_000_000;

/// The number of events that several workers share. The first of them are processed while the
/// workers gather.
const SHARED_EVENTS: u64 = 20_000_000;

/// The number of partitions that several workers share.
const SHARED_PARTITIONS: i32 = 8;

/// The quantity that grows along a curve. Its curves share a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Family {
    /// The partitions of the events, and therefore of the changelog.
    Partitions,
    /// The keys that events may have.
    Keys,
    /// The agents that add to one table, each from its own topic.
    Agents,
    /// The processes that share the partitions.
    Workers,
}

/// A curve: the cost of an event in one system over one quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Curve {
    Partitions,
    /// `Partitions` without Marlowe, which shows the cost of librdkafka.
    BarePartitions,
    /// Keys that are all equally frequent, which is the worst case.
    Keys,
    /// Keys of which a few are frequent and most are rare.
    SkewedKeys,
    /// `Keys` without Marlowe and without a store, which shows the cost of Kafka for a record of
    /// each changed row.
    BareKeys,
    Agents,
    Workers,
}

/// A point on a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Point {
    pub(crate) curve: Curve,
    /// The size of the quantity that grows.
    pub(crate) size: u64,
}

impl Family {
    pub(crate) const ALL: [Family; 4] = [Family::Partitions, Family::Keys, Family::Agents, Family::Workers];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Family::Partitions => "partitions",
            Family::Keys => "keys",
            Family::Agents => "agents",
            Family::Workers => "workers",
        }
    }

    /// Returns a description of what all points of the family have in common.
    pub(crate) fn terms(self) -> String {
        let few = in_short(FEW_KEYS);
        match self {
            Family::Partitions => format!("Count per key, {few} keys, table in memory, one core."),
            Family::Keys => format!("Count per key, {PARTITIONS} partitions, one core."),
            Family::Agents => format!(
                "Agents that add to one table, each from a topic of its own, and a timer that reads all rows every second; \
                 the same number of events is shared out among the topics. {few} keys, table in memory, {PARTITIONS} \
                 partitions, one core."
            ),
            Family::Workers => format!(
                "Processes of one lane each on two cores, on which Kafka is too. Count per key, {few} keys, table in memory, \
                 {SHARED_PARTITIONS} partitions."
            ),
        }
    }
}

impl Curve {
    pub(crate) const ALL: [Curve; 7] = [
        Curve::Partitions,
        Curve::BarePartitions,
        Curve::Keys,
        Curve::SkewedKeys,
        Curve::BareKeys,
        Curve::Agents,
        Curve::Workers,
    ];

    pub(crate) fn family(self) -> Family {
        match self {
            Curve::Partitions | Curve::BarePartitions => Family::Partitions,
            Curve::Keys | Curve::SkewedKeys | Curve::BareKeys => Family::Keys,
            Curve::Agents => Family::Agents,
            Curve::Workers => Family::Workers,
        }
    }

    /// Returns the name of the curve among those of its family.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Curve::Partitions | Curve::Agents | Curve::Workers => "Marlowe",
            Curve::Keys => "Marlowe, table on disk, keys uniformly random",
            Curve::SkewedKeys => "Marlowe, table on disk, keys by Zipf's law (s = 1)",
            Curve::BarePartitions => "bare loop",
            Curve::BareKeys => "bare loop, table in memory, keys uniformly random",
        }
    }

    /// Returns the system whose cost the curve shows.
    pub(crate) fn system(self) -> System {
        match self {
            Curve::BarePartitions | Curve::BareKeys => System::Bare,
            _ => System::Marlowe,
        }
    }

    /// Returns the points of the curve, from the smallest to the largest.
    pub(crate) fn points(self) -> impl Iterator<Item = Point> {
        let sizes: &[u64] = match self.family() {
            Family::Partitions => &[1, 4, 16, 64, 256, 1000],
            Family::Keys => &[1000, 10_000, 100_000, 1_000_000, 5_000_000, 20_000_000],
            Family::Agents => &[1, 2, 4, 8],
            Family::Workers => &[1, 2, 4],
        };
        sizes.iter().map(move |&size| Point { curve: self, size })
    }
}

impl Point {
    /// Returns the work at this point.
    pub(crate) fn work(self) -> Work {
        let few =
            Work { guarantee: Guarantee::ExactlyOnce, cores: 1, job: Job::Count, keys: FEW_KEYS, store: Store::Memory };
        match self.curve {
            Curve::Partitions | Curve::BarePartitions => few,
            Curve::Keys | Curve::SkewedKeys => Work { keys: self.size, store: Store::Disk, ..few },
            Curve::BareKeys => Work { keys: self.size, ..few },
            Curve::Agents => Work { job: Job::Shared, ..few },
            Curve::Workers => Work { cores: 2, ..few },
        }
    }

    /// Returns the number of processes that do the work.
    pub(crate) fn workers(self) -> usize {
        if self.curve == Curve::Workers { self.size as usize } else { 1 }
    }

    /// Returns the moment at which the measurement begins.
    pub(crate) fn begin(self) -> Begin {
        match self.curve.family() {
            Family::Workers => Begin::Gathered,
            Family::Partitions | Family::Keys | Family::Agents => Begin::AtOnce,
        }
    }

    /// Returns the number of events in all topics together.
    fn events(self) -> u64 {
        match self.curve {
            Curve::Workers => SHARED_EVENTS,
            // Taking that many partitions over takes a while.
            Curve::Partitions | Curve::BarePartitions if self.size > 100 => MANY_EVENTS,
            _ if self.work().keys >= MOST_KEYS => MANY_EVENTS,
            _ => EVENTS,
        }
    }

    /// Returns the feeds to read, with one topic for each agent.
    pub(crate) fn feeds(self, scale: f64) -> Vec<Feed> {
        let all = (self.events() as f64 * scale) as u64;
        let topics = if self.curve == Curve::Agents { self.size } else { 1 };
        let feed = |seed| {
            let feed = Feed::new(self.work().keys, seed, all / topics);
            match self.curve {
                Curve::Partitions | Curve::BarePartitions => Feed { partitions: self.size as i32, ..feed },
                Curve::SkewedKeys => Feed { draw: Draw::Zipf, ..feed },
                Curve::Workers => Feed { partitions: SHARED_PARTITIONS, ..feed },
                Curve::Keys | Curve::BareKeys | Curve::Agents => feed,
            }
        };
        (0..topics).map(feed).collect()
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", in_short(self.size), self.curve.family().name(), self.curve.title())
    }
}

#[cfg(test)]
mod tests {
    use super::{Curve, Family, Point};

    #[test]
    fn the_number_of_events_does_not_depend_on_topics() {
        for curve in [Curve::Agents, Curve::Workers] {
            let all = curve.points().map(|point| point.feeds(0.1).iter().map(|feed| feed.count).sum::<u64>());
            let all: Vec<u64> = all.collect();
            assert!(all[0] > 0 && all.iter().all(|events| *events == all[0]), "{curve:?}: {all:?}");
        }
    }

    #[test]
    fn only_the_measured_quantity_grows() {
        let point = |curve, size| Point { curve, size };
        let grows = point(Curve::Partitions, 256);
        assert_eq!((grows.work(), grows.workers()), (point(Curve::Partitions, 1).work(), 1));
        assert_eq!(grows.feeds(1.0).iter().map(|feed| feed.partitions).collect::<Vec<_>>(), [256]);
        assert_eq!((point(Curve::Agents, 8).feeds(1.0).len(), point(Curve::Workers, 4).workers()), (8, 4));
    }

    #[test]
    fn uniform_keys_are_the_same_for_both_systems() {
        for size in [1000, 20_000_000] {
            let feeds = |curve| Point { curve, size }.feeds(0.5);
            assert_eq!(feeds(Curve::Keys), feeds(Curve::BareKeys));
            assert_ne!(feeds(Curve::Keys), feeds(Curve::SkewedKeys));
        }
    }

    #[test]
    fn each_family_has_curves_that_grow() {
        for family in Family::ALL {
            let mut curves = Curve::ALL.into_iter().filter(|curve| curve.family() == family).peekable();
            assert!(curves.peek().is_some(), "{family:?}");
            assert!(curves.all(|curve| curve.points().is_sorted_by(|a, b| a.size < b.size)), "{family:?}");
        }
    }
}
