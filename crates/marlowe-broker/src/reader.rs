use std::sync::Arc;

use futures_core::future::BoxFuture;

use crate::{BrokerError, Header, Offset, RecordRef, TopicPartition};

/// Records of one partition, in offset order, lent from one piece of memory.
pub trait RecordBatch: Send + Sync {
    /// How many records it holds. It may be 0: a stretch of markers or of compacted records is a batch without
    /// records that still moves the position.
    fn len(&self) -> usize;

    /// Whether it holds no record.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The record at `index`, from 0.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    fn get(&self, index: usize) -> RecordRef<'_>;

    /// The headers of the record at `index`, in order. Apart from [`get`](Self::get), since few records have any.
    fn headers(&self, index: usize) -> Vec<Header<'_>>;

    /// The position after this batch: the offset to read next, past any marker or gap that follows its last record.
    fn next_offset(&self) -> Offset;

    /// The bytes of the records' keys, values and headers together: what a bound on memory counts.
    fn size(&self) -> usize;
}

/// The reader's own short name for a partition it was told to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(pub u32);

/// What a reader fetched from one partition.
#[derive(Clone)]
pub struct Fetched {
    /// Where from.
    pub source: Source,
    /// The records.
    pub batch: Arc<dyn RecordBatch>,
}

/// Which records a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Only those of committed transactions (and those outside any).
    #[default]
    ReadCommitted,
    /// All that the broker would show, aborted and open transactions included. The embedded broker shows no
    /// transaction before its commit, so there the two agree.
    ReadUncommitted,
}

/// Reads partitions it is explicitly given, from explicit offsets; it belongs to no group.
///
/// Group membership ([`Membership`](crate::Membership)) says which partitions a worker owns; a reader reads them. The
/// two are apart so that slow processing never costs the membership.
pub trait Reader: Send {
    /// Starts to read `partition` at `offset`. When it is being read already, it goes on from `offset` instead; batches of
    /// the earlier position are not handed out any more.
    ///
    /// # Errors
    /// [`BrokerError::UnknownTopic`] or [`BrokerError::UnknownPartition`].
    fn assign(&mut self, partition: &TopicPartition, offset: Offset) -> Result<Source, BrokerError>;

    /// Stops to read `source`; nothing of it is handed out after this returns.
    fn unassign(&mut self, source: Source);

    /// Stops to hand out `source`'s records, keeping its place. Pausing what is paused changes nothing.
    fn pause(&mut self, source: Source);

    /// Goes on with a paused source.
    fn resume(&mut self, source: Source);

    /// The next batches, at least one: waits until a source that is not paused has some. Sources take turns, so that a
    /// long one does not starve the others. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`BrokerError::OffsetOutOfRange`] when a source's offset lies before its partition's start (retention removed
    /// it) or after its end; the source is unassigned. Other errors when the broker cannot be read.
    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<Fetched>, BrokerError>>;
}
