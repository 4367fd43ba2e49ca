//! Numbers and names of partitions.

use std::fmt;
use std::sync::Arc;

/// The number of a partition within its topic, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u32);

impl Partition {
    /// Creates the partition number `number`.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Returns the partition's number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Returns the partition's number as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Returns all partitions of a topic with `count` partitions, in order.
    pub fn all(count: u32) -> impl Iterator<Item = Partition> {
        (0..count).map(Partition)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}

/// One partition of one topic, displayed as `topic[3]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: Partition,
}

impl TopicPartition {
    /// Creates the name of `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: Partition) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
