//! A broker that tests watch, and whose answers they can hold up. It counts bytes read, readers and
//! lookups, and holds up lookups, reads, transactional producers and their commits.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use marlowe::broker::{Broker, BrokerError, Offset, Partition};
use marlowe_broker::{
    BoxFuture, CommittedOffset, Fetched, Isolation, OffsetSpec, Producer, Reader, Source, TopicPartition,
    TransactionalProducer, Written, pass_on,
};
use tokio::sync::watch;

type Answer<'a, T> = BoxFuture<'a, Result<T, BrokerError>>;

/// A gate at which callers pass or wait.
#[derive(Clone)]
pub(crate) struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    fn open_at_first() -> Self {
        Self(Arc::new(watch::Sender::new(true)))
    }

    pub(crate) fn close(&self) {
        self.0.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    /// Returns whether a caller waits at the gate.
    pub(crate) fn is_waited_at(&self) -> bool {
        self.0.receiver_count() > 0
    }

    async fn pass(&self) {
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

#[derive(Clone)]
pub(crate) struct WatchedBroker {
    broker: Arc<dyn Broker>,
    counted: Option<TopicPartition>,
    /// The bytes that were read from the counted partition.
    pub(crate) read: Arc<AtomicUsize>,
    /// The number of readers that were opened.
    pub(crate) readers: Arc<AtomicUsize>,
    /// The number of partitions of each topic whose beginning or end was looked up. A partition
    /// that is looked up twice counts twice.
    looked_up: Arc<Mutex<HashMap<String, usize>>>,
    /// The number of requests for a group's positions, each of any number of partitions.
    pub(crate) position_requests: Arc<AtomicUsize>,
    held: HashSet<TopicPartition>,
    /// The gate of requests for a group's positions.
    pub(crate) lookups: Gate,
    /// The gate of readers of the partitions in `held`.
    pub(crate) reads: Gate,
    /// The gate of callers that have opened a transactional producer.
    pub(crate) producers: Gate,
    /// The gate of callers that wait for what they sent in a transaction.
    pub(crate) outputs: Gate,
}

impl WatchedBroker {
    pub(crate) fn new(broker: &Arc<dyn Broker>) -> Self {
        Self {
            broker: broker.clone(),
            counted: None,
            read: Arc::default(),
            readers: Arc::default(),
            looked_up: Arc::default(),
            position_requests: Arc::default(),
            held: HashSet::new(),
            lookups: Gate::open_at_first(),
            reads: Gate::open_at_first(),
            producers: Gate::open_at_first(),
            outputs: Gate::open_at_first(),
        }
    }

    /// Returns the number of partitions of a topic whose beginning or end was looked up.
    pub(crate) fn looked_up(&self, topic: &str) -> usize {
        self.looked_up.lock().unwrap().get(topic).copied().unwrap_or_default()
    }

    /// Counts the bytes that are read from a partition.
    pub(crate) fn counts(mut self, topic: &str, partition: u32) -> Self {
        self.counted = Some(TopicPartition::new(topic, Partition::new(partition)));
        self
    }

    /// Holds up readers of these partitions while the gate `reads` is closed.
    pub(crate) fn may_hold(mut self, topic: &str, partitions: impl IntoIterator<Item = u32>) -> Self {
        self.held = partitions.into_iter().map(|each| TopicPartition::new(topic, Partition::new(each))).collect();
        self
    }
}

struct WatchedReader {
    reader: Box<dyn Reader>,
    broker: WatchedBroker,
    counted: Option<Source>,
    held: HashSet<Source>,
    /// Batches that were read and are held up.
    waiting: Option<Vec<Fetched>>,
}

impl Reader for WatchedReader {
    pass_on!(to reader: pause, resume);

    fn assign(&mut self, partition: &TopicPartition, offset: Offset) -> Result<Source, BrokerError> {
        let source = self.reader.assign(partition, offset)?;
        if Some(partition) == self.broker.counted.as_ref() {
            self.counted = Some(source);
        }
        if self.broker.held.contains(partition) {
            self.held.insert(source);
        }
        Ok(source)
    }

    fn unassign(&mut self, source: Source) {
        self.held.remove(&source);
        self.reader.unassign(source);
    }

    fn poll(&mut self) -> Answer<'_, Vec<Fetched>> {
        Box::pin(async {
            if self.waiting.is_none() {
                self.waiting = Some(self.reader.poll().await?);
            }
            let fetched = self.waiting.iter().flatten();
            if fetched.clone().any(|fetched| self.held.contains(&fetched.source)) {
                self.broker.reads.pass().await;
            }
            for fetched in fetched.filter(|fetched| Some(fetched.source) == self.counted) {
                self.broker.read.fetch_add(fetched.batch.size(), Ordering::Relaxed);
            }
            Ok(self.waiting.take().unwrap_or_default())
        })
    }
}

struct WatchedProducer {
    producer: Box<dyn TransactionalProducer>,
    outputs: Gate,
}

impl Producer for WatchedProducer {
    pass_on!(to producer: destination, send);

    fn flush(&mut self) -> Answer<'_, Written> {
        Box::pin(async {
            self.outputs.pass().await;
            self.producer.flush().await
        })
    }
}

impl TransactionalProducer for WatchedProducer {
    pass_on!(to producer: begin, send_offsets, abort);

    fn commit(&mut self) -> Answer<'_, Written> {
        Box::pin(async {
            self.outputs.pass().await;
            self.producer.commit().await
        })
    }
}

impl Broker for WatchedBroker {
    pass_on!(to broker: location, create_topic, delete_topic, topic, topics, delete_records, commit_offsets);
    pass_on!(to broker: delete_group, declare_reads, producer, join);

    fn offsets<'a>(&'a self, topic: &'a str, partitions: &'a [Partition], spec: OffsetSpec) -> Answer<'a, Vec<Offset>> {
        Box::pin(async move {
            let offsets = self.broker.offsets(topic, partitions, spec).await;
            *self.looked_up.lock().unwrap().entry(topic.to_owned()).or_default() += partitions.len();
            offsets
        })
    }

    fn committed<'a>(
        &'a self,
        group: &'a str,
        partitions: &'a [TopicPartition],
    ) -> Answer<'a, Vec<Option<CommittedOffset>>> {
        Box::pin(async move {
            self.position_requests.fetch_add(1, Ordering::Relaxed);
            self.lookups.pass().await;
            // A network takes about this long. Callers that ask meanwhile are in the next request.
            tokio::time::sleep(Duration::from_millis(10)).await;
            self.broker.committed(group, partitions).await
        })
    }

    fn reader(&self, isolation: Isolation) -> Result<Box<dyn Reader>, BrokerError> {
        let (reader, broker) = (self.broker.reader(isolation)?, self.clone());
        self.readers.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(WatchedReader { reader, broker, counted: None, held: HashSet::new(), waiting: None }))
    }

    fn transactional_producer<'a>(&'a self, id: &'a str) -> Answer<'a, Box<dyn TransactionalProducer>> {
        Box::pin(async move {
            let opened = self.broker.transactional_producer(id).await;
            self.producers.pass().await;
            let watched = |producer| Box::new(WatchedProducer { producer, outputs: self.outputs.clone() });
            opened.map(|producer| watched(producer) as Box<dyn TransactionalProducer>)
        })
    }
}
