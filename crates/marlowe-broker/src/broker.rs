use std::sync::Arc;

use futures_core::future::BoxFuture;

use crate::{
    BrokerError, CommittedOffset, GroupConfig, Isolation, Membership, Offset, Partition, Producer, Reader, Reads,
    RecordLimit, Timestamp, TopicConfig, TopicDescription, TopicPartition, TransactionalProducer,
};

/// A place in a partition, said without its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first record still there.
    Earliest,
    /// After the last record (and marker) that is visible to [`Isolation::ReadUncommitted`].
    Latest,
    /// The first record whose timestamp is this or later; the end when there is none.
    At(Timestamp),
}

/// What Marlowe asks of a broker. Kafka's model, and no more of it than is used.
///
/// Every implementation passes the same suite, `marlowe_broker::conformance`.
pub trait Broker: Send + Sync + 'static {
    /// Where it is, for people: `memory`, a folder, `kafka://127.0.0.1:9092`.
    fn location(&self) -> String;

    /// The largest record that its producers take. What is larger is refused when it is sent; who knows before can say more
    /// of where it came from.
    fn record_limit(&self) -> RecordLimit {
        RecordLimit { bytes: usize::MAX, setting: "nothing" }
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// [`BrokerError::TopicExists`], [`BrokerError::InvalidTopic`] for a bad name or no partitions.
    fn create_topic(&self, config: TopicConfig) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Deletes a topic, its records and the groups' positions in it.
    ///
    /// # Errors
    /// [`BrokerError::UnknownTopic`].
    fn delete_topic<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// The topic named `topic`, if there is one.
    fn topic<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Option<TopicDescription>, BrokerError>>;

    /// All topics, by name.
    fn topics(&self) -> BoxFuture<'_, Result<Vec<TopicDescription>, BrokerError>>;

    /// What tells each of `topics` from others of its name, that were there before or are elsewhere; `None` for one that is
    /// not there, and for all where topics have no such mark (which is what this gives if it is not implemented).
    fn topic_ids<'a>(&'a self, topics: &'a [Arc<str>]) -> BoxFuture<'a, Result<Vec<Option<Arc<str>>>, BrokerError>> {
        Box::pin(std::future::ready(Ok(vec![None; topics.len()])))
    }

    /// The offset that `spec` says, in each of `partitions` of `topic`.
    ///
    /// # Errors
    /// [`BrokerError::UnknownTopic`] or [`BrokerError::UnknownPartition`].
    fn offsets<'a>(
        &'a self,
        topic: &'a str,
        partitions: &'a [Partition],
        spec: OffsetSpec,
    ) -> BoxFuture<'a, Result<Vec<Offset>, BrokerError>>;

    /// Deletes the records that lie before an offset, of each of the partitions: they begin there from then on, and all
    /// offsets stay as they are. Where a partition begins there already, or later, nothing is done. (Kafka: `DeleteRecords`.)
    ///
    /// # Errors
    /// [`BrokerError::UnknownTopic`], [`BrokerError::UnknownPartition`]; [`BrokerError::OffsetOutOfRange`] for an offset
    /// after the end; and [`BrokerError::InvalidState`] for a topic that is compacted only, and from a broker that cannot
    /// delete (which is what this gives if it is not implemented). What was deleted before stays so.
    fn delete_records<'a>(&'a self, before: &'a [(TopicPartition, Offset)]) -> BoxFuture<'a, Result<(), BrokerError>> {
        let refused = format!("the broker at {} deletes no records", self.location());
        let answer = if before.is_empty() { Ok(()) } else { Err(BrokerError::InvalidState(refused)) };
        Box::pin(std::future::ready(answer))
    }

    /// The group's committed positions, in the order of `partitions`; `None` where it has none.
    fn committed<'a>(
        &'a self,
        group: &'a str,
        partitions: &'a [TopicPartition],
    ) -> BoxFuture<'a, Result<Vec<Option<CommittedOffset>>, BrokerError>>;

    /// Commits positions outside any transaction. With `member`, a generation that
    /// is over is refused; without, it is an administrator's act (`kafka-consumer-groups --reset-offsets`).
    ///
    /// # Errors
    /// [`BrokerError::Fenced`].
    fn commit_offsets<'a>(
        &'a self,
        group: &'a str,
        member: Option<&'a crate::GroupMetadata>,
        offsets: &'a [(TopicPartition, CommittedOffset)],
    ) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Forgets a group's positions.
    ///
    /// # Errors
    /// [`BrokerError::GroupNotEmpty`] while it has members.
    fn delete_group<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Tells the broker which topics a group reads, in the place of what was told before. A broker that removes records by
    /// their timestamps alone (Kafka) does nothing with it, and that is what this does if it is not implemented. The embedded
    /// broker keeps what the group has not read.
    ///
    /// # Errors
    /// When the broker cannot keep it.
    fn declare_reads<'a>(&'a self, group: &'a str, reads: &'a [Reads]) -> BoxFuture<'a, Result<(), BrokerError>> {
        let _ = (group, reads);
        Box::pin(std::future::ready(Ok(())))
    }

    /// A reader of explicitly assigned partitions.
    fn reader(&self, isolation: Isolation) -> Result<Box<dyn Reader>, BrokerError>;

    /// A producer without transactions.
    fn producer(&self) -> Result<Box<dyn Producer>, BrokerError>;

    /// A producer with transactions; it fences every earlier one of the same `transactional_id`.
    fn transactional_producer<'a>(
        &'a self,
        transactional_id: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn TransactionalProducer>, BrokerError>>;

    /// Joins a group. The first assignment comes from [`Membership::next`].
    ///
    /// # Errors
    /// [`BrokerError::UnknownTopic`].
    fn join(&self, config: GroupConfig) -> BoxFuture<'_, Result<Box<dyn Membership>, BrokerError>>;
}

/// A broker shared by everything in a worker.
pub type SharedBroker = Arc<dyn Broker>;
