use futures_core::future::BoxFuture;

use crate::{BrokerError, CommittedOffset, GroupMetadata, NewRecord, Offset, TopicPartition};

/// The producer's own short name for a partition it writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination(pub u32);

/// Writes records, each once and in order per partition (idempotent), as soon as they are flushed.
pub trait Producer: Send {
    /// Opens a partition to write to. Asking again for the same one gives the same answer.
    ///
    /// # Errors
    /// [`BrokerError::UnknownTopic`] or [`BrokerError::UnknownPartition`].
    fn destination(&mut self, partition: &TopicPartition) -> Result<Destination, BrokerError>;

    /// Takes a record; its bytes are copied. In a [`TransactionalProducer`] it becomes visible with the commit,
    /// otherwise at some time up to the next [`flush`](Self::flush).
    ///
    /// # Errors
    /// [`BrokerError::MessageTooLarge`]; the producer stays usable.
    fn send(&mut self, to: Destination, record: NewRecord<'_>) -> Result<(), BrokerError>;

    /// Waits until the broker has all that was sent, durably, and tells where each destination's records went.
    ///
    /// # Errors
    /// When the broker did not take a record.
    fn flush(&mut self) -> BoxFuture<'_, Result<Written, BrokerError>>;
}

/// A producer whose records become visible together with the offsets they came from, or not at all.
///
/// As in Kafka, a second producer with the same transactional id fences the first: what the first tries afterwards
/// fails with [`BrokerError::Fenced`].
pub trait TransactionalProducer: Producer {
    /// Begins a transaction.
    ///
    /// # Errors
    /// When one is open already, or the producer was fenced.
    fn begin(&mut self) -> Result<(), BrokerError>;

    /// Adds the group's positions to the transaction (KIP-447: the commit is refused when `group` names a generation
    /// that is over, or a member that is gone). An empty `offsets` still checks the generation.
    ///
    /// # Errors
    /// When no transaction is open.
    fn send_offsets(
        &mut self,
        offsets: &[(TopicPartition, CommittedOffset)],
        group: &GroupMetadata,
    ) -> Result<(), BrokerError>;

    /// Makes the transaction's records and offsets visible together. A transaction with records leaves a marker in each
    /// partition it wrote to, which takes one offset.
    ///
    /// # Errors
    /// [`BrokerError::Fenced`] when the producer or the generation is over: nothing of it is or will be visible. After
    /// [`BrokerError::Unknown`] the outcome is not known, and the producer is not usable any more.
    fn commit(&mut self) -> BoxFuture<'_, Result<Written, BrokerError>>;

    /// Drops the transaction: nothing of it will be visible.
    ///
    /// # Errors
    /// When the broker cannot be reached; the transaction then ends by its time-out.
    fn abort(&mut self) -> BoxFuture<'_, Result<(), BrokerError>>;
}

/// Where a flush or commit put the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// For each destination that got records: the offset after its last record (a marker, if any, not counted).
    pub ends: Vec<(Destination, Offset)>,
}

impl Written {
    /// The offset after the last record that went to `destination`, if any did.
    pub fn end(&self, destination: Destination) -> Option<Offset> {
        self.ends.iter().find(|(to, _)| *to == destination).map(|(_, end)| *end)
    }
}
