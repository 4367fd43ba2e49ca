use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use crate::event::Draw;
use crate::feed::Feed;
use crate::kafka::PARTITIONS;
use crate::system::System;
use crate::trial::Begin;
use crate::work::{FEW_KEYS, Guarantee, Job, Store, Work, in_short};

/// How many events there are at most points.
const EVENTS: u64 = 4_000_000;

/// How many events there are where there are most keys: that many of them are met.
const MANY_EVENTS: u64 = 8_000_000;
const MOST_KEYS: u64 = 20_000_000;

/// How many events several workers share: the first ones are done while they gather.
const SHARED_EVENTS: u64 = 20_000_000;

/// How many partitions several workers share.
const SHARED_PARTITIONS: i32 = 8;

/// What there is more and more of: curves of one panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Family {
    /// Partitions of the events, and so of the changelog.
    Partitions,
    /// Keys that events may have.
    Keys,
    /// Agents that add to one table, each from a topic of its own.
    Agents,
    /// Processes that share the partitions out.
    Workers,
}

/// How what an event costs a system grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Curve {
    Partitions,
    /// As `Partitions`, without Marlowe: what librdkafka takes.
    BarePartitions,
    /// All keys come as often: the worst that can be.
    Keys,
    /// Some keys come often, most seldom.
    SkewedKeys,
    /// As `Keys`, without Marlowe and without a store: what Kafka takes for a record of each row that changed.
    BareKeys,
    Agents,
    Workers,
}

/// A place on a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Point {
    pub(crate) curve: Curve,
    /// How many there are of what grows.
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

    /// What is the same at all its points.
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

    /// Its name among those of its family.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Curve::Partitions | Curve::Agents | Curve::Workers => "Marlowe",
            Curve::Keys => "Marlowe, table on disk, keys uniformly random",
            Curve::SkewedKeys => "Marlowe, table on disk, keys by Zipf's law (s = 1)",
            Curve::BarePartitions => "bare loop",
            Curve::BareKeys => "bare loop, table in memory, keys uniformly random",
        }
    }

    /// Whose cost it is.
    pub(crate) fn system(self) -> System {
        match self {
            Curve::BarePartitions | Curve::BareKeys => System::Bare,
            _ => System::Marlowe,
        }
    }

    /// Its points, from the smallest to the largest.
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
    /// What is done there.
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

    /// How many processes do it.
    pub(crate) fn workers(self) -> usize {
        if self.curve == Curve::Workers { self.size as usize } else { 1 }
    }

    /// From when on it is measured.
    pub(crate) fn begin(self) -> Begin {
        match self.curve.family() {
            Family::Workers => Begin::Gathered,
            Family::Partitions | Family::Keys | Family::Agents => Begin::AtOnce,
        }
    }

    /// How many events there are, in all topics together.
    fn events(self) -> u64 {
        match self.curve {
            Curve::Workers => SHARED_EVENTS,
            // To take so many over takes a while.
            Curve::Partitions | Curve::BarePartitions if self.size > 100 => MANY_EVENTS,
            _ if self.work().keys >= MOST_KEYS => MANY_EVENTS,
            _ => EVENTS,
        }
    }

    /// What is read: a topic for each agent.
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
    fn however_many_topics_there_are_they_have_as_many_events() {
        for curve in [Curve::Agents, Curve::Workers] {
            let all = curve.points().map(|point| point.feeds(0.1).iter().map(|feed| feed.count).sum::<u64>());
            let all: Vec<u64> = all.collect();
            assert!(all[0] > 0 && all.iter().all(|events| *events == all[0]), "{curve:?}: {all:?}");
        }
    }

    #[test]
    fn only_what_is_measured_grows() {
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
