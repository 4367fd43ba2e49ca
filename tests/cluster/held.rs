//! A broker that a test can make wait: for events of members, for changelogs, for joins, and for
//! committed positions.

use std::sync::Arc;

use marlowe::broker::{Broker, BrokerError, Offset, Partition};
use marlowe_broker::{
    BoxFuture, CommittedOffset, Fetched, GroupConfig, GroupEvent, GroupMetadata, Isolation, Membership, MetadataSource,
    OffsetSpec, Producer, Reader, Reads, Source, TopicConfig, TopicDescription, TopicPartition, TransactionalProducer,
};
use tokio::sync::watch;

/// A broker that passes every call on to another one, and can hold up some of them.
pub(crate) struct Held {
    inner: Arc<dyn Broker>,
    /// While true, members get no events, and the embedded broker hears nothing of them.
    pub(crate) members: watch::Sender<bool>,
    /// While true, readers of changelogs get no records.
    pub(crate) changelogs: watch::Sender<bool>,
    /// While true, joins wait.
    pub(crate) joins: watch::Sender<bool>,
    /// While true, requests for the committed offsets of a group wait.
    pub(crate) positions: watch::Sender<bool>,
}

impl Held {
    /// Returns a broker over `inner` that does not hold anything up yet.
    pub(crate) fn over(inner: Arc<dyn Broker>) -> Arc<Self> {
        let [members, changelogs, joins, positions] = std::array::from_fn(|_| watch::Sender::new(false));
        Arc::new(Self { inner, members, changelogs, joins, positions })
    }
}

async fn until_let_go(held: &watch::Sender<bool>) {
    let _ = held.subscribe().wait_for(|held| !held).await;
}

struct HeldReader {
    inner: Box<dyn Reader>,
    held: watch::Receiver<bool>,
    reads_changelogs: bool,
}

impl Reader for HeldReader {
    fn assign(&mut self, partition: &TopicPartition, offset: Offset) -> Result<Source, BrokerError> {
        self.reads_changelogs |= partition.topic.ends_with("-changelog");
        self.inner.assign(partition, offset)
    }

    fn unassign(&mut self, source: Source) {
        self.inner.unassign(source);
    }

    fn pause(&mut self, source: Source) {
        self.inner.pause(source);
    }

    fn resume(&mut self, source: Source) {
        self.inner.resume(source);
    }

    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<Fetched>, BrokerError>> {
        Box::pin(async move {
            if self.reads_changelogs {
                let _ = self.held.wait_for(|held| !held).await;
            }
            self.inner.poll().await
        })
    }
}

struct HeldMembership {
    inner: Box<dyn Membership>,
    held: watch::Receiver<bool>,
}

impl Membership for HeldMembership {
    fn next(&mut self) -> BoxFuture<'_, Result<GroupEvent, BrokerError>> {
        Box::pin(async move {
            loop {
                let _ = self.held.wait_for(|held| !held).await;
                tokio::select! {
                    event = self.inner.next() => return event,
                    _ = self.held.wait_for(|held| *held) => {}
                }
            }
        })
    }

    fn acknowledge(&mut self, partitions: &[TopicPartition]) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.inner.acknowledge(partitions)
    }

    fn metadata(&self) -> Arc<dyn MetadataSource> {
        self.inner.metadata()
    }

    fn leave(self: Box<Self>) -> BoxFuture<'static, Result<(), BrokerError>> {
        self.inner.leave()
    }
}

impl Broker for Held {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn create_topic(&self, config: TopicConfig) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.inner.create_topic(config)
    }

    fn delete_topic<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.inner.delete_topic(topic)
    }

    fn topic<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Option<TopicDescription>, BrokerError>> {
        self.inner.topic(topic)
    }

    fn topics(&self) -> BoxFuture<'_, Result<Vec<TopicDescription>, BrokerError>> {
        self.inner.topics()
    }

    fn offsets<'a>(
        &'a self,
        topic: &'a str,
        partitions: &'a [Partition],
        spec: OffsetSpec,
    ) -> BoxFuture<'a, Result<Vec<Offset>, BrokerError>> {
        self.inner.offsets(topic, partitions, spec)
    }

    fn delete_records<'a>(&'a self, before: &'a [(TopicPartition, Offset)]) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.inner.delete_records(before)
    }

    fn committed<'a>(
        &'a self,
        group: &'a str,
        partitions: &'a [TopicPartition],
    ) -> BoxFuture<'a, Result<Vec<Option<CommittedOffset>>, BrokerError>> {
        Box::pin(async move {
            until_let_go(&self.positions).await;
            self.inner.committed(group, partitions).await
        })
    }

    fn commit_offsets<'a>(
        &'a self,
        group: &'a str,
        member: Option<&'a GroupMetadata>,
        offsets: &'a [(TopicPartition, CommittedOffset)],
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.inner.commit_offsets(group, member, offsets)
    }

    fn delete_group<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.inner.delete_group(group)
    }

    fn declare_reads<'a>(&'a self, group: &'a str, reads: &'a [Reads]) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.inner.declare_reads(group, reads)
    }

    fn reader(&self, isolation: Isolation) -> Result<Box<dyn Reader>, BrokerError> {
        let (inner, held) = (self.inner.reader(isolation)?, self.changelogs.subscribe());
        Ok(Box::new(HeldReader { inner, held, reads_changelogs: false }))
    }

    fn producer(&self) -> Result<Box<dyn Producer>, BrokerError> {
        self.inner.producer()
    }

    fn transactional_producer<'a>(
        &'a self,
        transactional_id: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn TransactionalProducer>, BrokerError>> {
        self.inner.transactional_producer(transactional_id)
    }

    fn join(&self, config: GroupConfig) -> BoxFuture<'_, Result<Box<dyn Membership>, BrokerError>> {
        Box::pin(async move {
            until_let_go(&self.joins).await;
            let inner = self.inner.join(config).await?;
            let membership: Box<dyn Membership> = Box::new(HeldMembership { inner, held: self.members.subscribe() });
            Ok(membership)
        })
    }
}
