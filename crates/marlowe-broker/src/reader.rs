//! Reading records: explicitly assigned partitions, and the batches that come from them.

use std::sync::Arc;

use futures_core::future::BoxFuture;

use crate::{BrokerError, Header, Offset, RecordRef, TopicPartition};

/// Records of one partition, in offset order, that share one piece of memory.
pub trait RecordBatch: Send + Sync {
    /// Returns the number of records. It may be 0: a range of markers or compacted records is a
    /// batch without records, and still moves the position.
    fn len(&self) -> usize;

    /// Returns whether the batch holds no record.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the record at `index`, counted from 0.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    fn get(&self, index: usize) -> RecordRef<'_>;

    /// Returns the headers of the record at `index`, in order. They are separate from
    /// [`get`](Self::get) because few records have headers.
    fn headers(&self, index: usize) -> Vec<Header<'_>>;

    /// Returns the position after this batch. It is the offset to read next, after any marker or
    /// gap that follows the last record.
    fn next_offset(&self) -> Offset;

    /// Returns the size of the records' keys, values and headers, in bytes. Limits on memory count
    /// this size.
    fn size(&self) -> usize;
}

/// A number that a reader gives to a partition assigned to it. It means nothing to other readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(pub u32);

/// A batch that a reader fetched, with the partition it came from.
#[derive(Clone)]
pub struct Fetched {
    /// The partition that the batch came from.
    pub source: Source,
    /// The records.
    pub batch: Arc<dyn RecordBatch>,
}

/// The choice of which records a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Only records of committed transactions, and records outside of transactions.
    #[default]
    ReadCommitted,
    /// All records that the broker can show, including those of aborted and open transactions. The
    /// embedded broker shows no transaction before its commit, so both choices are the same there.
    ReadUncommitted,
}

/// A reader of explicitly assigned partitions, from explicit offsets. It belongs to no group.
///
/// [`Membership`](crate::Membership) says which partitions a worker owns, and a reader reads them.
/// The two are separate so that slow processing never costs the membership.
pub trait Reader: Send {
    /// Starts reading `partition` at `offset`. If the reader already reads the partition, it moves
    /// to `offset`, and returns no more batches from the earlier position.
    ///
    /// # Errors
    /// [`BrokerError::UnknownTopic`] or [`BrokerError::UnknownPartition`].
    fn assign(&mut self, partition: &TopicPartition, offset: Offset) -> Result<Source, BrokerError>;

    /// Stops reading `source`. No batch of it is returned afterwards.
    fn unassign(&mut self, source: Source);

    /// Pauses `source`: the reader returns no records of it and keeps its position. Pausing a
    /// paused source changes nothing.
    fn pause(&mut self, source: Source);

    /// Resumes a paused source. Resuming a source that is not paused changes nothing.
    fn resume(&mut self, source: Source);

    /// Waits until a source that is not paused has something, and returns the next batches, at
    /// least one. Sources take turns, so that a long one does not starve the others. Dropping the
    /// future loses nothing.
    ///
    /// # Errors
    /// [`BrokerError::OffsetOutOfRange`] when a source's position lies before its partition's start
    /// (retention removed the records) or after its end. The source is then unassigned. Other
    /// errors when the broker cannot be read.
    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<Fetched>, BrokerError>>;
}
