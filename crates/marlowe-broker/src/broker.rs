//! The [`Broker`] trait: topics, offsets, the positions of groups, and opening readers, producers
//! and memberships.

use std::sync::Arc;

use futures_core::future::BoxFuture;

use crate::{
    BrokerError, CommittedOffset, GroupConfig, Isolation, Membership, Offset, Partition, Producer, Reader, Reads,
    RecordLimit, Timestamp, TopicConfig, TopicDescription, TopicPartition, TransactionalProducer,
};

/// A position in a partition that the broker resolves to an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first offset that the partition still has.
    Earliest,
    /// The offset after the last record or marker that is visible to
    /// [`Isolation::ReadUncommitted`].
    Latest,
    /// The offset of the first record with this timestamp or a later one; the end when there is
    /// none.
    At(Timestamp),
}

/// A broker as Marlowe uses it: Kafka's model, reduced to what Marlowe needs.
///
/// Every implementation passes the same suite, `marlowe_broker::conformance`.
///
/// A call that asks the broker can always fail because the broker cannot be reached or refuses the
/// client ([`BrokerError::Unavailable`], [`BrokerError::Refused`]). The sections on errors name
/// only the errors of their own operation.
pub trait Broker: Send + Sync + 'static {
    /// Returns the location of the broker for people to read: `memory`, a folder,
    /// `kafka://127.0.0.1:9092`.
    fn location(&self) -> String;

    /// Returns the largest record that the broker's producers accept. They refuse a larger one when
    /// it is sent. A caller that checks earlier can also report where the record came from.
    ///
    /// Default: no limit.
    fn record_limit(&self) -> RecordLimit {
        RecordLimit { bytes: usize::MAX, setting: "nothing" }
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// [`BrokerError::TopicExists`]; [`BrokerError::InvalidTopic`] for a bad name or a topic
    /// without partitions.
    fn create_topic(&self, config: TopicConfig) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Deletes a topic, its records and the positions of all groups in it.
    ///
    /// # Errors
    /// [`BrokerError::UnknownTopic`].
    fn delete_topic<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Returns the topic named `topic`, or `None` when there is none.
    fn topic<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Option<TopicDescription>, BrokerError>>;

    /// Returns all topics, sorted by name.
    fn topics(&self) -> BoxFuture<'_, Result<Vec<TopicDescription>, BrokerError>>;

    /// Returns an id for each of `topics`, in their order. The id distinguishes a topic from
    /// another one of the same name, such as one that was deleted before. It is `None` for a topic
    /// that does not exist.
    ///
    /// A broker whose topics have no ids returns `None` for all of them, as the default
    /// implementation does.
    fn topic_ids<'a>(&'a self, topics: &'a [Arc<str>]) -> BoxFuture<'a, Result<Vec<Option<Arc<str>>>, BrokerError>> {
        Box::pin(std::future::ready(Ok(vec![None; topics.len()])))
    }

    /// Returns the offset that `spec` names in each of `partitions` of `topic`, in their order.
    ///
    /// # Errors
    /// [`BrokerError::UnknownTopic`] or [`BrokerError::UnknownPartition`].
    fn offsets<'a>(
        &'a self,
        topic: &'a str,
        partitions: &'a [Partition],
        spec: OffsetSpec,
    ) -> BoxFuture<'a, Result<Vec<Offset>, BrokerError>>;

    /// Deletes the records before an offset, in each of the partitions in `before` (Kafka:
    /// `DeleteRecords`). The partition begins at that offset from then on, and no record's offset
    /// changes. A partition that already begins at the offset, or after it, stays as it is.
    ///
    /// # Errors
    /// - [`BrokerError::UnknownTopic`] or [`BrokerError::UnknownPartition`].
    /// - [`BrokerError::OffsetOutOfRange`] for an offset after the end.
    /// - [`BrokerError::InvalidState`] for a topic with
    ///   [`Cleanup::Compact`](crate::Cleanup::Compact).
    /// - [`BrokerError::InvalidState`] from a broker that cannot delete records. The default
    ///   implementation returns this, unless `before` is empty.
    ///
    /// After an error, the records that were already deleted stay deleted.
    fn delete_records<'a>(&'a self, before: &'a [(TopicPartition, Offset)]) -> BoxFuture<'a, Result<(), BrokerError>> {
        let refused = format!("the broker at {} cannot delete records", self.location());
        let answer = if before.is_empty() { Ok(()) } else { Err(BrokerError::InvalidState(refused)) };
        Box::pin(std::future::ready(answer))
    }

    /// Returns the committed positions of `group`, in the order of `partitions`; `None` where it
    /// has none.
    fn committed<'a>(
        &'a self,
        group: &'a str,
        partitions: &'a [TopicPartition],
    ) -> BoxFuture<'a, Result<Vec<Option<CommittedOffset>>, BrokerError>>;

    /// Commits positions of `group` outside any transaction. With `member`, the commit is refused
    /// when that membership or its generation is over. Without `member`, it is an administrator's
    /// change, such as `kafka-consumer-groups --reset-offsets`.
    ///
    /// # Errors
    /// [`BrokerError::Fenced`] when `member` is not a current member; [`BrokerError::NoteTooLong`].
    fn commit_offsets<'a>(
        &'a self,
        group: &'a str,
        member: Option<&'a crate::GroupMetadata>,
        offsets: &'a [(TopicPartition, CommittedOffset)],
    ) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Deletes the positions of `group`.
    ///
    /// # Errors
    /// [`BrokerError::GroupNotEmpty`] while the group has members.
    fn delete_group<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Declares which topics `group` reads. `reads` replaces what the group declared before.
    ///
    /// The embedded broker keeps records that the group has not read. A broker that removes records
    /// by their timestamps alone (Kafka) does nothing here, and neither does the default
    /// implementation.
    ///
    /// # Errors
    /// When the broker cannot store the declaration.
    fn declare_reads<'a>(&'a self, group: &'a str, reads: &'a [Reads]) -> BoxFuture<'a, Result<(), BrokerError>> {
        let _ = (group, reads);
        Box::pin(std::future::ready(Ok(())))
    }

    /// Opens a reader of explicitly assigned partitions.
    fn reader(&self, isolation: Isolation) -> Result<Box<dyn Reader>, BrokerError>;

    /// Opens a producer without transactions.
    fn producer(&self) -> Result<Box<dyn Producer>, BrokerError>;

    /// Opens a producer with transactions. It fences every earlier producer with the same
    /// `transactional_id`.
    fn transactional_producer<'a>(
        &'a self,
        transactional_id: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn TransactionalProducer>, BrokerError>>;

    /// Joins a group. The first assignment comes from [`Membership::next`].
    ///
    /// # Errors
    /// [`BrokerError::UnknownTopic`] when one of the group's topics does not exist.
    fn join(&self, config: GroupConfig) -> BoxFuture<'_, Result<Box<dyn Membership>, BrokerError>>;
}

/// A broker that all parts of a worker share.
pub type SharedBroker = Arc<dyn Broker>;
