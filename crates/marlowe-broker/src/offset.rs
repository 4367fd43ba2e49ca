use std::fmt;

/// The place of a record in its partition.
///
/// Offsets grow, but not always by one: transaction markers and compaction leave gaps, as in Kafka. Code that
/// wants to know whether it has reached an end compares positions ([`RecordBatch::next_offset`]) and never counts.
///
/// [`RecordBatch::next_offset`]: crate::RecordBatch::next_offset
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(u64);

impl Offset {
    /// The first offset a partition can have.
    pub const ZERO: Offset = Offset(0);

    /// The offset numbered `number`.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The offset after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// This offset, `count` further.
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }

    /// How far this offset lies behind `end`; 0 when it has passed it.
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

/// A group's position in one partition: the offset it will read next, and a note of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: Offset,
    /// Free text kept beside it: at most 4,096 bytes ([`BrokerError::NoteTooLong`](crate::BrokerError::NoteTooLong)), unless
    /// a Kafka cluster has another `offset.metadata.max.bytes`.
    pub metadata: String,
}

impl From<Offset> for CommittedOffset {
    fn from(offset: Offset) -> Self {
        Self { offset, metadata: String::new() }
    }
}
