use std::collections::HashMap;
use std::sync::Arc;

use marlowe_broker::{BrokerError, Destination, NewRecord, Partition, Producer, Timestamp, TopicPartition};
use marlowe_state::{Rows, SlicePosition, TableIndex};

use super::{Includes, OutTopic};

/// The topics a lane writes to, and its producer's names for their partitions.
#[derive(Default)]
pub(crate) struct OutTopics {
    numbers: HashMap<Arc<str>, OutTopic>,
    topics: Vec<OutPartitions>,
}

struct OutPartitions {
    name: Arc<str>,
    destinations: Vec<Option<Destination>>,
}

impl OutTopics {
    /// The lane's number for `topic`.
    pub(crate) fn number(&mut self, topic: &Arc<str>) -> OutTopic {
        if let Some(number) = self.numbers.get(topic) {
            return *number;
        }
        let number = OutTopic(self.topics.len() as u16);
        self.numbers.insert(topic.clone(), number);
        self.topics.push(OutPartitions { name: topic.clone(), destinations: Vec::new() });
        number
    }

    /// Forgets the producer's names, for a new producer has its own.
    pub(crate) fn forget_destinations(&mut self) {
        self.topics.iter_mut().for_each(|topic| topic.destinations.clear());
    }

    pub(crate) fn destination(
        &mut self,
        producer: &mut dyn Producer,
        topic: OutTopic,
        partition: Partition,
    ) -> Result<Destination, BrokerError> {
        let out = &mut self.topics[topic.0 as usize];
        if out.destinations.len() <= partition.index() {
            out.destinations.resize(partition.index() + 1, None);
        }
        match out.destinations[partition.index()] {
            Some(destination) => Ok(destination),
            None => {
                let destination = producer.destination(&TopicPartition { topic: out.name.clone(), partition })?;
                out.destinations[partition.index()] = Some(destination);
                Ok(destination)
            }
        }
    }
}

/// What one shard adds to a commit.
pub(crate) struct Flush<'a> {
    pub(crate) producer: &'a mut dyn Producer,
    pub(crate) topics: &'a mut OutTopics,
    /// The commit's moment, which changelog records are stamped with.
    pub(crate) now: Timestamp,
    /// The rows that go to the store once the commit is done.
    pub(crate) rows: &'a mut Vec<(TableIndex, Rows)>,
    /// Emptied rows of earlier commits, whose memory serves again.
    pub(crate) spare: &'a mut Vec<Rows>,
    /// How far each table will be.
    pub(crate) positions: &'a [(TableIndex, SlicePosition)],
    /// The inputs' positions that this commit includes, for changelogs that may run ahead of them (at least once).
    pub(crate) includes: Option<&'a Includes>,
    /// How many records go to each table's changelog.
    pub(crate) logged: Vec<(TableIndex, u64)>,
}

impl Flush<'_> {
    pub(crate) fn send(
        &mut self,
        topic: OutTopic,
        partition: Partition,
        record: NewRecord<'_>,
    ) -> Result<Destination, BrokerError> {
        let destination = self.topics.destination(self.producer, topic, partition)?;
        self.producer.send(destination, record)?;
        Ok(destination)
    }
}
