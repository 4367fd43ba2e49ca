//! Writing records: plain and transactional producers, and where their records went.

use futures_core::future::BoxFuture;

use crate::{BrokerError, CommittedOffset, GroupMetadata, NewRecord, Offset, TopicPartition};

/// A number that a producer gives to a partition it writes to. It means nothing to other producers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination(pub u32);

/// An idempotent producer: it writes each record once, and in order per partition.
pub trait Producer: Send {
    /// Opens a partition to write to. Repeated calls for the same partition return the same
    /// destination.
    ///
    /// # Errors
    /// [`BrokerError::UnknownTopic`] or [`BrokerError::UnknownPartition`].
    fn destination(&mut self, partition: &TopicPartition) -> Result<Destination, BrokerError>;

    /// Copies a record and queues it. The record becomes visible with the commit in a
    /// [`TransactionalProducer`], and otherwise at the next [`flush`](Self::flush) at the latest.
    ///
    /// # Errors
    /// [`BrokerError::MessageTooLarge`]. The producer stays usable. A [`TransactionalProducer`]
    /// also refuses a record while no transaction is open.
    fn send(&mut self, to: Destination, record: NewRecord<'_>) -> Result<(), BrokerError>;

    /// Waits until the broker has durably stored all records that were sent, and returns where they
    /// went.
    ///
    /// # Errors
    /// When the broker did not store a record.
    fn flush(&mut self) -> BoxFuture<'_, Result<Written, BrokerError>>;
}

/// A producer whose records become visible together with the positions of their input, or not at
/// all.
///
/// As in Kafka, a newer producer with the same transactional id fences the older one. Everything
/// that the older one tries afterwards fails with [`BrokerError::Fenced`].
pub trait TransactionalProducer: Producer {
    /// Begins a transaction.
    ///
    /// # Errors
    /// When a transaction is already open, or the producer was fenced.
    fn begin(&mut self) -> Result<(), BrokerError>;

    /// Adds positions of a group to the transaction (KIP-447). The commit is refused when `group`
    /// names a generation that is over, or a member that is gone. An empty `offsets` still has the
    /// generation checked.
    ///
    /// # Errors
    /// When no transaction is open.
    fn send_offsets(
        &mut self,
        offsets: &[(TopicPartition, CommittedOffset)],
        group: &GroupMetadata,
    ) -> Result<(), BrokerError>;

    /// Makes the transaction's records and positions visible together. It leaves a marker in each
    /// partition that it wrote to, and the marker takes one offset.
    ///
    /// # Errors
    /// - [`BrokerError::Fenced`] when the producer or the group's generation is over. Nothing of
    ///   the transaction is or will be visible.
    /// - [`BrokerError::Unknown`] when the outcome is not known. The producer cannot be used any
    ///   more.
    fn commit(&mut self) -> BoxFuture<'_, Result<Written, BrokerError>>;

    /// Aborts the transaction. Nothing of it will be visible.
    ///
    /// # Errors
    /// When the broker cannot be reached. The transaction then ends with its timeout.
    fn abort(&mut self) -> BoxFuture<'_, Result<(), BrokerError>>;
}

/// The offsets at which a flush or a commit ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// For each destination that got records: the offset after its last record, not counting a
    /// marker.
    pub ends: Vec<(Destination, Offset)>,
}

impl Written {
    /// Returns the offset after the last record that went to `destination`, or `None` if it got no
    /// record.
    pub fn end(&self, destination: Destination) -> Option<Offset> {
        self.ends.iter().find(|(to, _)| *to == destination).map(|(_, end)| *end)
    }
}
