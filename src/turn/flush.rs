//! A commit as the shards of a lane fill it: the destinations of its records, and the rows that go
//! to the stores after it.

use std::collections::HashMap;
use std::sync::Arc;

use marlowe_broker::{BrokerError, Destination, NewRecord, Partition, Producer, Timestamp, TopicPartition};
use marlowe_state::{Rows, SlicePosition, TableIndex};

use super::outbox::OutTopic;

/// The topics that a lane writes to, each with a number.
#[derive(Default)]
pub(crate) struct OutTopics {
    topics: HashMap<Arc<str>, OutTopic>,
    names: Vec<Arc<str>>,
}

impl OutTopics {
    /// Returns the lane's number for `topic`, and when its records leave.
    pub(crate) fn open(&mut self, topic: &Arc<str>, is_transactional: bool) -> OutTopic {
        if let Some(topic) = self.topics.get(topic) {
            return *topic;
        }
        let opened = OutTopic { number: self.names.len() as u16, is_transactional };
        self.topics.insert(topic.clone(), opened);
        self.names.push(topic.clone());
        opened
    }
}

/// A producer's names for the partitions that it writes to, by topic and partition.
#[derive(Default)]
pub(crate) struct Destinations(Vec<Vec<Option<Destination>>>);

/// A producer with its destinations, as a commit uses it.
pub(crate) struct Outlet<'a> {
    pub(crate) producer: &'a mut dyn Producer,
    pub(crate) destinations: &'a mut Destinations,
    pub(crate) topics: &'a OutTopics,
}

impl Outlet<'_> {
    /// Returns the producer's name for a partition.
    pub(crate) fn destination(&mut self, topic: OutTopic, partition: Partition) -> Result<Destination, BrokerError> {
        let (number, Destinations(known)) = (usize::from(topic.number), &mut *self.destinations);
        if known.len() <= number {
            known.resize(number + 1, Vec::new());
        }
        let known = &mut known[number];
        if known.len() <= partition.index() {
            known.resize(partition.index() + 1, None);
        }
        if let Some(destination) = known[partition.index()] {
            return Ok(destination);
        }
        let topic = self.topics.names[number].clone();
        let destination = self.producer.destination(&TopicPartition { topic, partition })?;
        known[partition.index()] = Some(destination);
        Ok(destination)
    }

    pub(crate) fn send(
        &mut self,
        topic: OutTopic,
        partition: Partition,
        record: NewRecord<'_>,
    ) -> Result<(), BrokerError> {
        let destination = self.destination(topic, partition)?;
        self.producer.send(destination, record)
    }
}

/// The part of a commit that one shard fills.
pub(crate) struct Flush<'a> {
    /// The producer of the commit's transaction.
    pub(crate) outlet: Outlet<'a>,
    /// The time of the commit. Changelog records are stamped with it.
    pub(crate) now: Timestamp,
    /// The rows that go to the store after the commit.
    pub(crate) rows: &'a mut Vec<(TableIndex, Rows)>,
    /// Emptied row buffers of earlier commits, whose memory is used again.
    pub(crate) spare: &'a mut Vec<Rows>,
    /// The position that each table will have after the commit.
    pub(crate) positions: &'a [(TableIndex, SlicePosition)],
}
