//! A broker that counts the bytes which are read of one partition.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use marlowe::{Broker, BrokerError, Offset, Partition};
use marlowe_broker::{
    BoxFuture, CommittedOffset, Fetched, GroupConfig, GroupMetadata, Isolation, Membership, OffsetSpec, Producer,
    Reader, Source, TopicConfig, TopicDescription, TopicPartition, TransactionalProducer,
};

type Answer<'a, T> = BoxFuture<'a, Result<T, BrokerError>>;

pub(crate) struct CountedBroker {
    broker: Arc<dyn Broker>,
    counted: TopicPartition,
    pub(crate) read: Arc<AtomicUsize>,
}

impl CountedBroker {
    pub(crate) fn new(broker: Arc<dyn Broker>, topic: &str, partition: u32) -> Self {
        Self { broker, counted: TopicPartition::new(topic, Partition::new(partition)), read: Arc::default() }
    }
}

struct CountedReader {
    reader: Box<dyn Reader>,
    counted: TopicPartition,
    source: Option<Source>,
    read: Arc<AtomicUsize>,
}

impl Reader for CountedReader {
    fn assign(&mut self, partition: &TopicPartition, offset: Offset) -> Result<Source, BrokerError> {
        let source = self.reader.assign(partition, offset)?;
        if *partition == self.counted {
            self.source = Some(source);
        }
        Ok(source)
    }

    fn unassign(&mut self, source: Source) {
        self.reader.unassign(source);
    }

    fn pause(&mut self, source: Source) {
        self.reader.pause(source);
    }

    fn resume(&mut self, source: Source) {
        self.reader.resume(source);
    }

    fn poll(&mut self) -> Answer<'_, Vec<Fetched>> {
        Box::pin(async {
            let fetched = self.reader.poll().await?;
            for fetched in fetched.iter().filter(|fetched| Some(fetched.source) == self.source) {
                self.read.fetch_add(fetched.batch.size(), Ordering::Relaxed);
            }
            Ok(fetched)
        })
    }
}

impl Broker for CountedBroker {
    fn location(&self) -> String {
        self.broker.location()
    }

    fn create_topic(&self, config: TopicConfig) -> Answer<'_, ()> {
        self.broker.create_topic(config)
    }

    fn delete_topic<'a>(&'a self, topic: &'a str) -> Answer<'a, ()> {
        self.broker.delete_topic(topic)
    }

    fn topic<'a>(&'a self, topic: &'a str) -> Answer<'a, Option<TopicDescription>> {
        self.broker.topic(topic)
    }

    fn topics(&self) -> Answer<'_, Vec<TopicDescription>> {
        self.broker.topics()
    }

    fn offsets<'a>(&'a self, topic: &'a str, partitions: &'a [Partition], spec: OffsetSpec) -> Answer<'a, Vec<Offset>> {
        self.broker.offsets(topic, partitions, spec)
    }

    fn committed<'a>(
        &'a self,
        group: &'a str,
        partitions: &'a [TopicPartition],
    ) -> Answer<'a, Vec<Option<CommittedOffset>>> {
        self.broker.committed(group, partitions)
    }

    fn commit_offsets<'a>(
        &'a self,
        group: &'a str,
        member: Option<&'a GroupMetadata>,
        offsets: &'a [(TopicPartition, CommittedOffset)],
    ) -> Answer<'a, ()> {
        self.broker.commit_offsets(group, member, offsets)
    }

    fn delete_group<'a>(&'a self, group: &'a str) -> Answer<'a, ()> {
        self.broker.delete_group(group)
    }

    fn reader(&self, isolation: Isolation) -> Result<Box<dyn Reader>, BrokerError> {
        let reader = self.broker.reader(isolation)?;
        let (counted, read) = (self.counted.clone(), self.read.clone());
        Ok(Box::new(CountedReader { reader, counted, source: None, read }))
    }

    fn producer(&self) -> Result<Box<dyn Producer>, BrokerError> {
        self.broker.producer()
    }

    fn transactional_producer<'a>(&'a self, id: &'a str) -> Answer<'a, Box<dyn TransactionalProducer>> {
        self.broker.transactional_producer(id)
    }

    fn join(&self, config: GroupConfig) -> Answer<'_, Box<dyn Membership>> {
        self.broker.join(config)
    }
}
