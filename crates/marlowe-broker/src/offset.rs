//! Offsets of records, and the positions that groups commit.

use std::fmt;

/// The place of a record in its partition.
///
/// Offsets grow along a partition, but not always by one: transaction markers and compaction leave
/// gaps, as in Kafka. To find out whether you have reached an end, compare positions
/// ([`RecordBatch::next_offset`]). Do not count records.
///
/// [`RecordBatch::next_offset`]: crate::RecordBatch::next_offset
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(u64);

impl Offset {
    /// The first offset a partition can have.
    pub const ZERO: Offset = Offset(0);

    /// Creates the offset with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the offset's number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the offset after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Returns the offset that lies `count` after this one.
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }

    /// Returns how far this offset lies before `end`; 0 when it lies at or after `end`.
    pub const fn distance_to(self, end: Offset) -> u64 {
        end.0.saturating_sub(self.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

/// A group's position in one partition: the offset that it reads next, and a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: Offset,
    /// Free text that is kept with the position. It has at most 4,096 bytes
    /// ([`BrokerError::NoteTooLong`](crate::BrokerError::NoteTooLong)), unless a Kafka cluster has
    /// another `offset.metadata.max.bytes`.
    pub metadata: String,
}

impl From<Offset> for CommittedOffset {
    fn from(offset: Offset) -> Self {
        Self { offset, metadata: String::new() }
    }
}
