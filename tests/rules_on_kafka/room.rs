//! A room: a part of a shared cluster that looks like a cluster of its own. Tests in different
//! rooms may use the same names of topics and groups, because in the cluster these names begin with
//! the room's name.

use std::sync::Arc;

use marlowe_broker::{
    BoxFuture, Broker, BrokerError, CommittedOffset, Destination, Entropy, GroupConfig, GroupEvent, GroupMetadata,
    Isolation, Membership, Offset, OffsetSpec, Partition, Producer, Reader, SharedBroker, Source, SystemEntropy,
    TopicConfig, TopicDescription, TopicPartition, TransactionalProducer, pass_on,
};

type Answer<'a, T> = BoxFuture<'a, Result<T, BrokerError>>;

/// The broker that a test sees.
pub(crate) struct Room {
    cluster: SharedBroker,
    name: Name,
}

/// The prefix of the room's names in the cluster.
#[derive(Clone)]
struct Name(Arc<str>);

impl Name {
    /// Returns the name that the cluster has for a name of the room.
    fn outside(&self, name: &str) -> Arc<str> {
        format!("{}{name}", self.0).into()
    }

    /// Returns the name that the room has for a name of the cluster, if it belongs to the room.
    fn inside(&self, name: &str) -> Option<Arc<str>> {
        name.strip_prefix(&*self.0).map(Arc::from)
    }

    fn partition_outside(&self, at: &TopicPartition) -> TopicPartition {
        TopicPartition { topic: self.outside(&at.topic), partition: at.partition }
    }

    fn partitions_inside(&self, partitions: Vec<TopicPartition>) -> Vec<TopicPartition> {
        let inside =
            |at: TopicPartition| Some(TopicPartition { topic: self.inside(&at.topic)?, partition: at.partition });
        partitions.into_iter().filter_map(inside).collect()
    }

    fn offsets_outside(&self, offsets: &[(TopicPartition, CommittedOffset)]) -> Vec<(TopicPartition, CommittedOffset)> {
        offsets.iter().map(|(at, committed)| (self.partition_outside(at), committed.clone())).collect()
    }

    fn described(&self, topic: TopicDescription) -> Option<TopicDescription> {
        Some(TopicDescription { name: self.inside(&topic.name)?, ..topic })
    }
}

impl Room {
    pub(crate) fn new(cluster: SharedBroker) -> Self {
        Self { cluster, name: Name(format!("room-{:016x}-", SystemEntropy.next()).into()) }
    }
}

impl Broker for Room {
    pass_on!(to cluster: location, record_limit);

    fn create_topic(&self, config: TopicConfig) -> Answer<'_, ()> {
        let name = self.name.outside(&config.name);
        self.cluster.create_topic(TopicConfig { name, ..config })
    }

    fn topic_ids<'a>(&'a self, topics: &'a [Arc<str>]) -> Answer<'a, Vec<Option<Arc<str>>>> {
        Box::pin(async move {
            let outside: Vec<Arc<str>> = topics.iter().map(|topic| self.name.outside(topic)).collect();
            self.cluster.topic_ids(&outside).await
        })
    }

    fn delete_topic<'a>(&'a self, topic: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.cluster.delete_topic(&self.name.outside(topic)).await })
    }

    fn topic<'a>(&'a self, topic: &'a str) -> Answer<'a, Option<TopicDescription>> {
        Box::pin(async move {
            let found = self.cluster.topic(&self.name.outside(topic)).await?;
            Ok(found.and_then(|topic| self.name.described(topic)))
        })
    }

    fn topics(&self) -> Answer<'_, Vec<TopicDescription>> {
        Box::pin(async move {
            let topics = self.cluster.topics().await?;
            Ok(topics.into_iter().filter_map(|topic| self.name.described(topic)).collect())
        })
    }

    fn offsets<'a>(&'a self, topic: &'a str, partitions: &'a [Partition], spec: OffsetSpec) -> Answer<'a, Vec<Offset>> {
        Box::pin(async move { self.cluster.offsets(&self.name.outside(topic), partitions, spec).await })
    }

    fn delete_records<'a>(&'a self, before: &'a [(TopicPartition, Offset)]) -> Answer<'a, ()> {
        Box::pin(async move {
            let outside = |(at, offset): &(TopicPartition, Offset)| (self.name.partition_outside(at), *offset);
            let before: Vec<_> = before.iter().map(outside).collect();
            self.cluster.delete_records(&before).await
        })
    }

    fn committed<'a>(
        &'a self,
        group: &'a str,
        partitions: &'a [TopicPartition],
    ) -> Answer<'a, Vec<Option<CommittedOffset>>> {
        Box::pin(async move {
            let partitions: Vec<_> = partitions.iter().map(|at| self.name.partition_outside(at)).collect();
            self.cluster.committed(&self.name.outside(group), &partitions).await
        })
    }

    fn commit_offsets<'a>(
        &'a self,
        group: &'a str,
        member: Option<&'a GroupMetadata>,
        offsets: &'a [(TopicPartition, CommittedOffset)],
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let offsets = self.name.offsets_outside(offsets);
            self.cluster.commit_offsets(&self.name.outside(group), member, &offsets).await
        })
    }

    fn delete_group<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.cluster.delete_group(&self.name.outside(group)).await })
    }

    fn reader(&self, isolation: Isolation) -> Result<Box<dyn Reader>, BrokerError> {
        Ok(Box::new(Inside { inner: self.cluster.reader(isolation)?, name: self.name.clone() }))
    }

    fn producer(&self) -> Result<Box<dyn Producer>, BrokerError> {
        Ok(Box::new(Inside { inner: self.cluster.producer()?, name: self.name.clone() }))
    }

    fn transactional_producer<'a>(&'a self, id: &'a str) -> Answer<'a, Box<dyn TransactionalProducer>> {
        Box::pin(async move {
            let inner = self.cluster.transactional_producer(&self.name.outside(id)).await?;
            Ok(Box::new(Inside { inner, name: self.name.clone() }) as Box<dyn TransactionalProducer>)
        })
    }

    fn join(&self, config: GroupConfig) -> Answer<'_, Box<dyn Membership>> {
        let group = self.name.outside(&config.group);
        let topics = config.topics.iter().map(|topic| self.name.outside(topic)).collect();
        let config = GroupConfig { group, topics, ..config };
        Box::pin(async move {
            let inner = self.cluster.join(config).await?;
            Ok(Box::new(Inside { inner, name: self.name.clone() }) as Box<dyn Membership>)
        })
    }
}

/// A reader, producer or membership of the cluster, as the room sees it.
struct Inside<T: ?Sized> {
    name: Name,
    inner: Box<T>,
}

impl Reader for Inside<dyn Reader> {
    pass_on!(to inner: unassign, pause, resume, poll);

    fn assign(&mut self, partition: &TopicPartition, offset: Offset) -> Result<Source, BrokerError> {
        self.inner.assign(&self.name.partition_outside(partition), offset)
    }
}

impl<T: Producer + ?Sized> Producer for Inside<T> {
    pass_on!(to inner: send, flush);

    fn destination(&mut self, partition: &TopicPartition) -> Result<Destination, BrokerError> {
        self.inner.destination(&self.name.partition_outside(partition))
    }
}

impl TransactionalProducer for Inside<dyn TransactionalProducer> {
    pass_on!(to inner: begin, commit, abort);

    fn send_offsets(
        &mut self,
        offsets: &[(TopicPartition, CommittedOffset)],
        group: &GroupMetadata,
    ) -> Result<(), BrokerError> {
        self.inner.send_offsets(&self.name.offsets_outside(offsets), group)
    }
}

impl Membership for Inside<dyn Membership> {
    pass_on!(to inner: metadata, leave);

    fn next(&mut self) -> Answer<'_, GroupEvent> {
        Box::pin(async move {
            let inside = |partitions| self.name.partitions_inside(partitions);
            Ok(match self.inner.next().await? {
                GroupEvent::Assigned(partitions) => GroupEvent::Assigned(inside(partitions)),
                GroupEvent::Revoked(partitions) => GroupEvent::Revoked(inside(partitions)),
                GroupEvent::Lost(partitions) => GroupEvent::Lost(inside(partitions)),
            })
        })
    }

    fn acknowledge(&mut self, partitions: &[TopicPartition]) -> Answer<'_, ()> {
        let partitions: Vec<_> = partitions.iter().map(|at| self.name.partition_outside(at)).collect();
        Box::pin(async move { self.inner.acknowledge(&partitions).await })
    }
}
