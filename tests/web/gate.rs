use std::sync::Arc;

use marlowe::{Broker, BrokerError, EmbeddedBroker, EmbeddedConfig, Offset, Partition};
use marlowe_broker::{
    BoxFuture, CommittedOffset, GroupConfig, GroupMetadata, Isolation, Membership, OffsetSpec, Producer, Reader,
    TopicConfig, TopicDescription, TopicPartition, TransactionalProducer,
};
use tokio::sync::watch;

/// A broker that lets a worker join, or look up where its shards were, only when it may.
pub(crate) struct Gate {
    inner: EmbeddedBroker,
    pub(crate) joins: watch::Sender<bool>,
    pub(crate) positions: watch::Sender<bool>,
}

impl Gate {
    pub(crate) fn closed() -> Arc<Self> {
        let inner = EmbeddedBroker::in_memory(EmbeddedConfig::default());
        Arc::new(Self { inner, joins: watch::Sender::new(false), positions: watch::Sender::new(false) })
    }
}

async fn passed(gate: &watch::Sender<bool>) {
    let _ = gate.subscribe().wait_for(|open| *open).await;
}

impl Broker for Gate {
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

    fn committed<'a>(
        &'a self,
        group: &'a str,
        partitions: &'a [TopicPartition],
    ) -> BoxFuture<'a, Result<Vec<Option<CommittedOffset>>, BrokerError>> {
        Box::pin(async move {
            passed(&self.positions).await;
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

    fn reader(&self, isolation: Isolation) -> Result<Box<dyn Reader>, BrokerError> {
        self.inner.reader(isolation)
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
            passed(&self.joins).await;
            self.inner.join(config).await
        })
    }
}
