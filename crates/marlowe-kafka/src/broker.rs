//! Marlowe's `Broker` on a Kafka cluster. Each operation is implemented in a module of its own.

use std::fmt;
use std::sync::Arc;

use marlowe_broker::{
    BoxFuture, Broker, BrokerError, CommittedOffset, GroupConfig, GroupMetadata, Isolation, Membership, Offset,
    OffsetSpec, Partition, Producer, Reader, RecordLimit, SharedBroker, TopicConfig, TopicDescription, TopicPartition,
    TransactionalProducer,
};

use crate::KafkaConfig;
use crate::cluster::Cluster;
use crate::membership::KafkaMembership;
use crate::producer::KafkaProducer;
use crate::reader::KafkaReader;
use crate::transactional::KafkaTransactionalProducer;
use crate::writer::Writer;

/// A Kafka cluster, as a Marlowe [`Broker`].
pub struct KafkaBroker {
    cluster: Arc<Cluster>,
}

impl KafkaBroker {
    /// Connects to the cluster. While no broker answers, waits for the configuration's
    /// [patience](KafkaConfig::patience) (default: 60 s), and logs a warning every 5 s.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`] when no broker answers in time, [`BrokerError::Refused`] when
    /// the cluster refuses this client, and [`BrokerError::InvalidState`] when a setting is not
    /// valid.
    pub async fn connect(config: KafkaConfig) -> Result<SharedBroker, BrokerError> {
        Ok(Arc::new(Self { cluster: Cluster::connect(config).await? }))
    }
}

impl fmt::Debug for KafkaBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaBroker").field("config", &self.cluster.config).finish()
    }
}

impl Broker for KafkaBroker {
    fn location(&self) -> String {
        self.cluster.location()
    }

    fn record_limit(&self) -> RecordLimit {
        Writer::record_limit(&self.cluster)
    }

    fn create_topic(&self, config: TopicConfig) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(self.cluster.create_topic(config))
    }

    fn delete_topic<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(self.cluster.delete_topic(topic))
    }

    fn topic<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Option<TopicDescription>, BrokerError>> {
        Box::pin(self.cluster.topic(topic))
    }

    fn topics(&self) -> BoxFuture<'_, Result<Vec<TopicDescription>, BrokerError>> {
        Box::pin(self.cluster.topics())
    }

    fn topic_ids<'a>(&'a self, topics: &'a [Arc<str>]) -> BoxFuture<'a, Result<Vec<Option<Arc<str>>>, BrokerError>> {
        Box::pin(self.cluster.topic_ids(topics))
    }

    fn offsets<'a>(
        &'a self,
        topic: &'a str,
        partitions: &'a [Partition],
        spec: OffsetSpec,
    ) -> BoxFuture<'a, Result<Vec<Offset>, BrokerError>> {
        Box::pin(self.cluster.offsets(topic, partitions, spec))
    }

    fn delete_records<'a>(&'a self, before: &'a [(TopicPartition, Offset)]) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(self.cluster.delete_records(before))
    }

    fn committed<'a>(
        &'a self,
        group: &'a str,
        partitions: &'a [TopicPartition],
    ) -> BoxFuture<'a, Result<Vec<Option<CommittedOffset>>, BrokerError>> {
        Box::pin(self.cluster.committed(group, partitions))
    }

    fn commit_offsets<'a>(
        &'a self,
        group: &'a str,
        member: Option<&'a GroupMetadata>,
        offsets: &'a [(TopicPartition, CommittedOffset)],
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(self.cluster.commit_offsets(group, member, offsets))
    }

    fn delete_group<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(self.cluster.delete_group(group))
    }

    fn reader(&self, isolation: Isolation) -> Result<Box<dyn Reader>, BrokerError> {
        Ok(Box::new(KafkaReader::open(&self.cluster, isolation)?))
    }

    fn producer(&self) -> Result<Box<dyn Producer>, BrokerError> {
        Ok(Box::new(KafkaProducer::open(&self.cluster)?))
    }

    fn transactional_producer<'a>(
        &'a self,
        transactional_id: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn TransactionalProducer>, BrokerError>> {
        Box::pin(async move {
            let producer = KafkaTransactionalProducer::open(&self.cluster, transactional_id).await?;
            Ok(Box::new(producer) as Box<dyn TransactionalProducer>)
        })
    }

    fn join(&self, config: GroupConfig) -> BoxFuture<'_, Result<Box<dyn Membership>, BrokerError>> {
        Box::pin(async move {
            let membership = KafkaMembership::join(&self.cluster, config).await?;
            Ok(Box::new(membership) as Box<dyn Membership>)
        })
    }
}
