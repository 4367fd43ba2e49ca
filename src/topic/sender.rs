//! Senders to a topic: inside a shard, where a record is part of the event's transaction, and
//! outside.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use marlowe_broker::{BrokerError, Clock, Header, NewRecord, Partition, Partitioner, RecordLimit, Timestamp};
use marlowe_state::TxnSlot;

use super::declaration::DeclaredTopicSettings;
use super::record::ProducerRecord;
use crate::codec::{Codec, CodecError, TopicKey, encode_value};
use crate::outbound::{ClientProducer, Outgoing, SendError, Sent};
use crate::scope::{ShardScope, WorkerScope};
use crate::turn::{OutTopic, Turn};

/// A topic that a shard writes to, without its type parameters.
#[derive(Clone)]
pub(crate) struct OutTopicSettings {
    name: Arc<str>,
    limit: RecordLimit,
    pub(crate) topic: OutTopic,
    pub(crate) partitions: u32,
    pub(crate) partitioner: Partitioner,
    /// True if the topic is compacted, which is by key.
    compacted: bool,
}

pub(crate) fn open_out_topic(name: &Arc<str>, partitioner: Partitioner, shard: &ShardScope) -> OutTopicSettings {
    OutTopicSettings {
        name: name.clone(),
        limit: shard.worker.record_limit,
        topic: shard.out_topic(name),
        partitions: shard.worker.partitions(name),
        partitioner,
        compacted: shard.worker.topology.is_compacted(name),
    }
}

/// Checks that the topic can have such a record. Refuses a partition that does not exist, and a
/// record without a key in a compacted topic.
pub(super) fn check_place(
    topic: &Arc<str>,
    partitions: u32,
    compacted: bool,
    partition: Partition,
    key: Option<&[u8]>,
) -> Result<(), BrokerError> {
    if partition.get() >= partitions {
        return Err(BrokerError::UnknownPartition { topic: topic.clone(), partition });
    }
    if compacted && key.is_none() {
        return Err(BrokerError::InvalidState(format!(
            "topic `{topic}` is compacted, so each of its records must have a key: send one"
        )));
    }
    Ok(())
}

impl OutTopicSettings {
    /// Returns the partition for a record with `key`. Records without a key go to the partitions in
    /// turn.
    pub(crate) fn partition(&self, key: Option<&[u8]>, turn: &Turn) -> Partition {
        match key {
            Some(key) => self.partitioner.partition(key, self.partitions),
            None => turn.next_partition(self.partitions),
        }
    }

    /// Sends a record of the event in flight. If the topic cannot take the record, the event fails.
    pub(crate) fn send(&self, turn: &Turn, txn: TxnSlot, record: NewRecord<'_>) {
        self.send_to(turn, txn, self.partition(record.key, turn), record);
    }

    /// Returns `true` if the record is within the broker's size limit.
    pub(crate) fn fits(&self, record: &NewRecord<'_>) -> bool {
        self.limit.check(&self.name, record).is_ok()
    }

    /// Sends a record to `partition`, whatever its key is. If the topic cannot take it, the event
    /// fails.
    pub(crate) fn send_to(&self, turn: &Turn, txn: TxnSlot, partition: Partition, record: NewRecord<'_>) {
        let checked = check_place(&self.name, self.partitions, self.compacted, partition, record.key);
        match checked.and_then(|()| self.limit.check(&self.name, &record)) {
            Ok(()) => turn.send(txn, self.topic, partition, record),
            Err(error) => turn.fail(txn, error.into()),
        }
    }
}

/// Sends to a topic from inside an event. The record becomes visible if and when the event's
/// transaction commits.
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

impl<K, V: 'static> ProducerRecord<'_, K, V> {
    /// Encodes the record's value into `buffer`, which is emptied first. Returns `None` for a
    /// tombstone.
    fn encode_value<'b>(&self, codec: &dyn Codec<V>, buffer: &'b mut Vec<u8>) -> Result<Option<&'b [u8]>, CodecError> {
        self.value.map_or(Ok(None), |value| encode_value(codec, value, buffer))
    }
}

impl<K: TopicKey, V: 'static> TopicSender<K, V> {
    pub(crate) fn new(name: Arc<str>, settings: DeclaredTopicSettings<V>, shard: &ShardScope) -> Self {
        let out = open_out_topic(&name, settings.partitioner, shard);
        let open =
            OpenTopic { name, out, codec: settings.codec, turn: shard.turn.clone(), buffers: RefCell::default() };
        Self { open: Rc::new(open), key: std::marker::PhantomData }
    }

    /// Sends a record with the timestamp of the event in flight.
    pub fn send(&self, key: &K, value: &V) {
        self.send_record(ProducerRecord::new(key, value));
    }

    /// Sends a record with headers.
    pub fn send_with(&self, key: &K, value: &V, headers: &[(&str, &[u8])]) {
        let headers = headers.iter().map(|(name, value)| Header::new(name, value)).collect();
        self.send_record(ProducerRecord { headers, ..ProducerRecord::new(key, value) });
    }

    /// Sends a tombstone: a record without a value. In a compacted topic it means that the key is
    /// removed.
    pub fn send_tombstone(&self, key: &K) {
        self.send_record(ProducerRecord::tombstone(key));
    }

    /// Sends a record with its own timestamp, headers or partition. The event fails if the topic
    /// cannot have the record: the value does not encode, the record is too large, the partition
    /// does not exist, or the topic is compacted and the record has no key.
    pub fn send_record(&self, record: ProducerRecord<'_, K, V>) {
        let OpenTopic { name, out, codec, turn, buffers } = &*self.open;
        let txn = turn.txn(|| format!("topic `{name}`"));
        let (mut key_bytes, mut value_bytes) = buffers.take();
        key_bytes.clear();
        let key = record.key.encode_key(&mut key_bytes).then_some(key_bytes.as_slice());
        match record.encode_value(&**codec, &mut value_bytes) {
            Ok(value) => {
                let timestamp = record.timestamp.unwrap_or_else(|| turn.timestamp(txn));
                let new = NewRecord { timestamp, key, value, headers: &record.headers };
                out.send_to(turn, txn, record.partition.unwrap_or_else(|| out.partition(key, turn)), new);
            }
            Err(error) => turn.fail(txn, format!("topic `{name}`: {error}").into()),
        }
        buffers.replace((key_bytes, value_bytes));
    }
}

/// Sends to a topic from outside shards. Each send returns when the broker has the record.
pub struct TopicClient<K, V> {
    name: Arc<str>,
    partitions: u32,
    partitioner: Partitioner,
    /// True if the topic is compacted, which is by key.
    compacted: bool,
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
            compacted: self.compacted,
            codec: self.codec.clone(),
            producer: self.producer.clone(),
            clock: self.clock.clone(),
            round_robin: self.round_robin.clone(),
            key: self.key,
        }
    }
}

impl<K: TopicKey, V: 'static> TopicClient<K, V> {
    pub(crate) fn new(name: Arc<str>, settings: DeclaredTopicSettings<V>, worker: &WorkerScope) -> Self {
        Self {
            partitions: worker.partitions(&name),
            compacted: worker.topology.is_compacted(&name),
            name,
            partitioner: settings.partitioner,
            codec: settings.codec,
            producer: worker.producer.clone(),
            clock: worker.clock.clone(),
            round_robin: Arc::default(),
            key: std::marker::PhantomData,
        }
    }

    /// Sends a record with the present time as its timestamp.
    ///
    /// # Errors
    /// If the value does not encode, the broker does not take the record, or the worker or client
    /// has stopped.
    pub async fn send(&self, key: &K, value: &V) -> Result<Sent, SendError> {
        self.send_at(key, value, self.clock.now()).await
    }

    /// Sends a record with `timestamp` as its timestamp.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_at(&self, key: &K, value: &V, timestamp: Timestamp) -> Result<Sent, SendError> {
        self.send_record(ProducerRecord::new(key, value).timestamp(timestamp)).await
    }

    /// Sends a tombstone: a record without a value. In a compacted topic it means that the key is
    /// removed.
    ///
    /// # Errors
    /// If the broker does not take the record, or the worker or client has stopped.
    pub async fn send_tombstone(&self, key: &K) -> Result<Sent, SendError> {
        self.send_record(ProducerRecord::tombstone(key)).await
    }

    /// Sends a record with its own timestamp, headers or partition.
    ///
    /// # Errors
    /// As [`send`](Self::send). Also if the topic cannot have the record: the partition does not
    /// exist, or the topic is compacted and the record has no key.
    pub async fn send_record(&self, record: ProducerRecord<'_, K, V>) -> Result<Sent, SendError> {
        let record = self.encode(&record)?;
        self.produce(record).await
    }

    pub(crate) async fn produce(&self, record: Outgoing) -> Result<Sent, SendError> {
        self.producer.send(record).await
    }

    /// Encodes a record with the present time as its timestamp.
    pub(crate) fn encode_now(&self, key: &K, value: &V) -> Result<Outgoing, SendError> {
        self.encode(&ProducerRecord::new(key, value))
    }

    pub(crate) fn encode(&self, record: &ProducerRecord<'_, K, V>) -> Result<Outgoing, SendError> {
        let mut key_bytes = Vec::new();
        let key = record.key.encode_key(&mut key_bytes).then_some(key_bytes);
        let mut value_bytes = Vec::new();
        let value = record.encode_value(&*self.codec, &mut value_bytes);
        let value = value.map_err(|source| SendError::Codec { topic: self.name.clone(), source })?.is_some();
        let partition = match (record.partition, &key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => self.partitioner.partition(key, self.partitions),
            (None, None) => Partition::new(self.round_robin.fetch_add(1, Ordering::Relaxed) % self.partitions),
        };
        check_place(&self.name, self.partitions, self.compacted, partition, key.as_deref())
            .map_err(|source| SendError::Broker { topic: self.name.clone(), source })?;
        let headers = record.headers.iter();
        Ok(Outgoing {
            topic: self.name.clone(),
            partition,
            timestamp: record.timestamp.unwrap_or_else(|| self.clock.now()),
            key,
            value: value.then_some(value_bytes),
            headers: headers.map(|header| (header.name.to_owned(), header.value.map(<[u8]>::to_vec))).collect(),
        })
    }
}
