//! A broker whose calls panic on one thread of the worker, once the test wants that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use marlowe::broker::{Broker, BrokerError, Offset, Partition};
use marlowe_broker::{
    BoxFuture, CommittedOffset, Destination, Fetched, GroupConfig, GroupMetadata, Isolation, Membership, NewRecord,
    OffsetSpec, Producer, Reader, Source, TopicPartition, TransactionalProducer, Written, pass_on,
};

type Answer<'a, T> = BoxFuture<'a, Result<T, BrokerError>>;

/// A switch that panics on threads whose name contains `thread`, while it is armed.
#[derive(Clone)]
pub(crate) struct Trip {
    thread: Arc<str>,
    armed: Arc<AtomicBool>,
}

impl Trip {
    pub(crate) fn on(thread: &str) -> Self {
        Self { thread: thread.into(), armed: Arc::default() }
    }

    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn pass(&self) {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        assert!(!(self.armed.load(Ordering::SeqCst) && name.contains(&*self.thread)), "tripped on {}", self.thread);
    }
}

#[derive(Clone)]
pub(crate) struct TrippingBroker {
    broker: Arc<dyn Broker>,
    trip: Trip,
}

impl TrippingBroker {
    pub(crate) fn over(broker: &Arc<dyn Broker>, trip: &Trip) -> Arc<dyn Broker> {
        Arc::new(Self { broker: broker.clone(), trip: trip.clone() })
    }
}

/// A reader or producer of the tripping broker.
struct Tripping<T> {
    inner: T,
    trip: Trip,
}

impl Reader for Tripping<Box<dyn Reader>> {
    pass_on!(to inner: unassign, pause, resume);

    fn assign(&mut self, partition: &TopicPartition, offset: Offset) -> Result<Source, BrokerError> {
        self.trip.pass();
        self.inner.assign(partition, offset)
    }

    fn poll(&mut self) -> Answer<'_, Vec<Fetched>> {
        self.trip.pass();
        self.inner.poll()
    }
}

impl Producer for Tripping<Box<dyn Producer>> {
    pass_on!(to inner: destination);

    fn send(&mut self, to: Destination, record: NewRecord<'_>) -> Result<(), BrokerError> {
        self.trip.pass();
        self.inner.send(to, record)
    }

    fn flush(&mut self) -> Answer<'_, Written> {
        self.trip.pass();
        self.inner.flush()
    }
}

impl Broker for TrippingBroker {
    pass_on!(to broker: location, record_limit, create_topic, delete_topic, topic, topics, topic_ids);
    pass_on!(to broker: delete_group);

    fn offsets<'a>(&'a self, topic: &'a str, partitions: &'a [Partition], spec: OffsetSpec) -> Answer<'a, Vec<Offset>> {
        self.trip.pass();
        self.broker.offsets(topic, partitions, spec)
    }

    fn committed<'a>(
        &'a self,
        group: &'a str,
        partitions: &'a [TopicPartition],
    ) -> Answer<'a, Vec<Option<CommittedOffset>>> {
        self.trip.pass();
        self.broker.committed(group, partitions)
    }

    fn commit_offsets<'a>(
        &'a self,
        group: &'a str,
        member: Option<&'a GroupMetadata>,
        offsets: &'a [(TopicPartition, CommittedOffset)],
    ) -> Answer<'a, ()> {
        self.trip.pass();
        self.broker.commit_offsets(group, member, offsets)
    }

    fn reader(&self, isolation: Isolation) -> Result<Box<dyn Reader>, BrokerError> {
        self.trip.pass();
        Ok(Box::new(Tripping { inner: self.broker.reader(isolation)?, trip: self.trip.clone() }))
    }

    fn producer(&self) -> Result<Box<dyn Producer>, BrokerError> {
        Ok(Box::new(Tripping { inner: self.broker.producer()?, trip: self.trip.clone() }))
    }

    fn transactional_producer<'a>(&'a self, id: &'a str) -> Answer<'a, Box<dyn TransactionalProducer>> {
        self.trip.pass();
        self.broker.transactional_producer(id)
    }

    fn join(&self, config: GroupConfig) -> Answer<'_, Box<dyn Membership>> {
        self.trip.pass();
        self.broker.join(config)
    }
}
