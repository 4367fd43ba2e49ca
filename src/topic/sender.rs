use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use marlowe_broker::{Clock, Header, NewRecord, Partition, Partitioner, RecordLimit, Timestamp};
use marlowe_state::Hand;

use super::declaration::TopicSettings;
use crate::client::{ClientProducer, Outgoing, SendError, Sent};
use crate::codec::{Codec, TopicKey};
use crate::scope::{ShardScope, WorkerScope};
use crate::turn::{OutTopic, Turn};

/// A topic as a shard writes to it, without its types.
#[derive(Clone)]
pub(crate) struct OutTopicSettings {
    name: Arc<str>,
    limit: RecordLimit,
    pub(crate) topic: OutTopic,
    pub(crate) partitions: u32,
    pub(crate) partitioner: Partitioner,
}

pub(crate) fn open_out_topic(name: &Arc<str>, partitioner: Partitioner, shard: &ShardScope) -> OutTopicSettings {
    OutTopicSettings {
        name: name.clone(),
        limit: shard.worker.record_limit,
        topic: shard.out_topic(name),
        partitions: shard.worker.partitions(name),
        partitioner,
    }
}

impl OutTopicSettings {
    /// Where a record with such a key goes.
    pub(crate) fn partition(&self, key: Option<&[u8]>, turn: &Turn) -> Partition {
        match key {
            Some(key) => self.partitioner.partition(key, self.partitions),
            None => turn.next_partition(self.partitions),
        }
    }

    /// Sends a record of the event in hand, which fails if the broker takes none as large.
    pub(crate) fn send(&self, turn: &Turn, hand: Hand, record: NewRecord<'_>) {
        self.send_to(turn, hand, self.partition(record.key, turn), record);
    }

    /// The same to a partition, whatever the key is.
    pub(crate) fn send_to(&self, turn: &Turn, hand: Hand, partition: Partition, record: NewRecord<'_>) {
        match self.limit.check(&self.name, &record) {
            Ok(()) => turn.send(hand, self.topic, partition, record),
            Err(error) => turn.fail(hand, error.into()),
        }
    }
}

/// Sends to a topic from inside an event: the record is visible if and when the event's transaction commits.
pub struct TopicSender<K, V> {
    open: Rc<OpenTopic<V>>,
    key: std::marker::PhantomData<fn(K)>,
}

struct OpenTopic<V> {
    name: Arc<str>,
    out: OutTopicSettings,
    codec: Arc<dyn Codec<V>>,
    turn: Rc<Turn>,
    buffers: RefCell<(Vec<u8>, Vec<u8>)>,
}

impl<K, V> Clone for TopicSender<K, V> {
    fn clone(&self) -> Self {
        Self { open: self.open.clone(), key: self.key }
    }
}

impl<K: TopicKey, V: 'static> TopicSender<K, V> {
    pub(crate) fn new(name: Arc<str>, settings: TopicSettings<V>, shard: &ShardScope) -> Self {
        let out = open_out_topic(&name, settings.partitioner, shard);
        let open =
            OpenTopic { name, out, codec: settings.codec, turn: shard.turn.clone(), buffers: RefCell::default() };
        Self { open: Rc::new(open), key: std::marker::PhantomData }
    }

    /// Sends a record, with the timestamp of the event in hand.
    pub fn send(&self, key: &K, value: &V) {
        self.send_with(key, value, &[]);
    }

    /// Sends a record with headers.
    pub fn send_with(&self, key: &K, value: &V, headers: &[(&str, &[u8])]) {
        let OpenTopic { name, out, codec, turn, buffers } = &*self.open;
        let hand = turn.hand(|| format!("topic `{name}`"));
        let (mut key_bytes, mut value_bytes) = buffers.take();
        key_bytes.clear();
        value_bytes.clear();
        let key = key.encode_key(&mut key_bytes).then_some(key_bytes.as_slice());
        match codec.encode(value, &mut value_bytes) {
            Ok(()) => {
                let headers: Vec<Header<'_>> = headers.iter().map(|(name, value)| Header { name, value }).collect();
                let timestamp = turn.timestamp(hand);
                let record = NewRecord { timestamp, key, value: Some(&value_bytes), headers: &headers };
                out.send(turn, hand, record);
            }
            Err(error) => turn.fail(hand, format!("topic `{name}`: {error}").into()),
        }
        buffers.replace((key_bytes, value_bytes));
    }
}

/// Sends to a topic from outside any shard. Each send returns once the broker has the record.
pub struct TopicClient<K, V> {
    name: Arc<str>,
    partitions: u32,
    partitioner: Partitioner,
    codec: Arc<dyn Codec<V>>,
    producer: ClientProducer,
    clock: Arc<dyn Clock>,
    round_robin: Arc<AtomicU32>,
    key: std::marker::PhantomData<fn(K)>,
}

impl<K, V> Clone for TopicClient<K, V> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            partitions: self.partitions,
            partitioner: self.partitioner,
            codec: self.codec.clone(),
            producer: self.producer.clone(),
            clock: self.clock.clone(),
            round_robin: self.round_robin.clone(),
            key: self.key,
        }
    }
}

impl<K: TopicKey, V: 'static> TopicClient<K, V> {
    pub(crate) fn new(name: Arc<str>, settings: TopicSettings<V>, worker: &WorkerScope) -> Self {
        Self {
            partitions: worker.partitions(&name),
            name,
            partitioner: settings.partitioner,
            codec: settings.codec,
            producer: worker.producer.clone(),
            clock: worker.clock.clone(),
            round_robin: Arc::default(),
            key: std::marker::PhantomData,
        }
    }

    /// Sends a record stamped now.
    ///
    /// # Errors
    /// When the value does not encode, or the broker does not take the record.
    pub async fn send(&self, key: &K, value: &V) -> Result<Sent, SendError> {
        self.send_at(key, value, self.clock.now()).await
    }

    /// Sends a record stamped `timestamp`.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_at(&self, key: &K, value: &V, timestamp: Timestamp) -> Result<Sent, SendError> {
        let record = self.encode(key, value, timestamp)?;
        self.produce(record).await
    }

    pub(crate) async fn produce(&self, record: Outgoing) -> Result<Sent, SendError> {
        self.producer.send(record).await
    }

    /// A record stamped now.
    pub(crate) fn encode_now(&self, key: &K, value: &V) -> Result<Outgoing, SendError> {
        self.encode(key, value, self.clock.now())
    }

    pub(crate) fn encode(&self, key: &K, value: &V, timestamp: Timestamp) -> Result<Outgoing, SendError> {
        let mut key_bytes = Vec::new();
        let key = key.encode_key(&mut key_bytes).then_some(key_bytes);
        let mut bytes = Vec::new();
        self.codec.encode(value, &mut bytes).map_err(|source| SendError::Codec { topic: self.name.clone(), source })?;
        let partition = match &key {
            Some(key) => self.partitioner.partition(key, self.partitions),
            None => Partition::new(self.round_robin.fetch_add(1, Ordering::Relaxed) % self.partitions),
        };
        Ok(Outgoing { topic: self.name.clone(), partition, timestamp, key, value: Some(bytes), headers: Vec::new() })
    }
}
