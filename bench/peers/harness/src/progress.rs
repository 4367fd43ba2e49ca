//! The progress of a group, by the positions that it has committed.

use std::collections::BTreeMap;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::PeersResult;
use crate::kafka::{Isolation, Kafka, PATIENCE, consumer};

/// The committed positions of a group. Reading them does not make the harness a member.
pub(crate) struct Progress {
    consumer: BaseConsumer,
    partitions: TopicPartitionList,
}

/// Offsets by topic and partition.
pub(crate) type Places = BTreeMap<(String, i32), i64>;

impl Progress {
    /// Opens the positions of `group` in all partitions of `topics`.
    pub(crate) fn of(kafka: &Kafka, group: &str, topics: &[String]) -> PeersResult<Self> {
        let mut partitions = TopicPartitionList::new();
        for topic in topics {
            partitions.add_partition_range(topic, 0, kafka.partitions(topic)? - 1);
        }
        // Positions in an open transaction do not count, and the request should not wait for them.
        let consumer = consumer(&kafka.brokers(), group, Isolation::Uncommitted).create()?;
        Ok(Self { consumer, partitions })
    }

    /// Returns the committed positions. A partition without one is at 0.
    pub(crate) fn now(&self) -> PeersResult<Places> {
        let committed = self.consumer.committed_offsets(self.partitions.clone(), PATIENCE)?;
        let place = |offset| match offset {
            Offset::Offset(offset) => offset,
            _ => 0,
        };
        Ok(committed
            .elements()
            .iter()
            .map(|one| ((one.topic().to_owned(), one.partition()), place(one.offset())))
            .collect())
    }

    /// Commits `places` for the group, which must have no members.
    pub(crate) fn set(&self, places: &Places) -> PeersResult<()> {
        let mut partitions = TopicPartitionList::new();
        for ((topic, partition), place) in places {
            partitions.add_partition_offset(topic, *partition, Offset::Offset(*place))?;
        }
        Ok(self.consumer.commit(&partitions, CommitMode::Sync)?)
    }
}

/// Returns the ends of all partitions of `topics`.
pub(crate) fn ends(kafka: &Kafka, topics: &[String]) -> PeersResult<Places> {
    let mut places = Places::new();
    for topic in topics {
        for (partition, end) in (0..).zip(kafka.ends(topic)?) {
            places.insert((topic.clone(), partition), end);
        }
    }
    Ok(places)
}

/// Returns the positions after the last records of `topics`. Transaction markers may follow these
/// records, and a system may leave the markers unread.
pub(crate) fn last_records(kafka: &Kafka, topics: &[String]) -> PeersResult<Places> {
    /// The most markers that may follow the last record.
    const MARKS: i64 = 20;
    let mut places = Places::new();
    for topic in topics {
        kafka.read(
            topic,
            |end| (end - MARKS).max(0),
            |partition, offset, _, _| {
                places.insert((topic.clone(), partition), offset + 1);
            },
        )?;
    }
    Ok(places)
}

/// Returns whether `places` has reached all of `wanted`.
pub(crate) fn is_past(places: &Places, wanted: &Places) -> bool {
    wanted.iter().all(|(partition, wanted)| places.get(partition).is_some_and(|place| place >= wanted))
}

/// Returns the number of records before `places`, where all partitions began at 0.
pub(crate) fn sum(places: &Places) -> u64 {
    places.values().map(|place| *place as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::{Places, is_past, sum};

    #[test]
    fn a_place_that_is_missing_is_not_past() {
        let place = |partition, place| (("events".to_owned(), partition), place);
        let wanted: Places = [place(0, 5), place(1, 5)].into();
        assert!(is_past(&[place(0, 5), place(1, 6)].into(), &wanted));
        assert!(!is_past(&[place(0, 5), place(1, 4)].into(), &wanted));
        assert!(!is_past(&[place(0, 9)].into(), &wanted));
        assert_eq!(sum(&wanted), 10);
    }
}
