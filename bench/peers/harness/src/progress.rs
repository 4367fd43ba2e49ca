use std::collections::BTreeMap;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::PeersResult;
use crate::kafka::{Isolation, Kafka, PATIENCE, consumer};

/// How far a group is, by what it has committed. Who asks is no member of it.
pub(crate) struct Progress {
    consumer: BaseConsumer,
    partitions: TopicPartitionList,
}

/// Places in partitions: of a topic, by number.
pub(crate) type Places = BTreeMap<(String, i32), i64>;

impl Progress {
    /// Of `group` in all partitions of `topics`.
    pub(crate) fn of(kafka: &Kafka, group: &str, topics: &[String]) -> PeersResult<Self> {
        let mut partitions = TopicPartitionList::new();
        for topic in topics {
            partitions.add_partition_range(topic, 0, kafka.partitions(topic)? - 1);
        }
        // Positions in a transaction that is open do not count, and are not waited for.
        let consumer = consumer(&kafka.brokers(), group, Isolation::Uncommitted).create()?;
        Ok(Self { consumer, partitions })
    }

    /// What is committed now; 0 where nothing is.
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

/// The ends of topics.
pub(crate) fn ends(kafka: &Kafka, topics: &[String]) -> PeersResult<Places> {
    let mut places = Places::new();
    for topic in topics {
        for (partition, end) in (0..).zip(kafka.ends(topic)?) {
            places.insert((topic.clone(), partition), end);
        }
    }
    Ok(places)
}

/// Where a consumer of topics is when it has read their last records: what follows those are marks of transactions, which a
/// system may leave unread.
pub(crate) fn last_records(kafka: &Kafka, topics: &[String]) -> PeersResult<Places> {
    /// A mark follows a record; a few may follow the last one.
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

/// Whether all of `wanted` is reached.
pub(crate) fn is_past(places: &Places, wanted: &Places) -> bool {
    wanted.iter().all(|(partition, wanted)| places.get(partition).is_some_and(|place| place >= wanted))
}

/// Of how many records places are past, where all began at 0.
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
