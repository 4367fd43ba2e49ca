//! The producer for everything in a worker that is not a shard.

use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{
    BrokerError, Destination, Header, NewRecord, Offset, Partition, Producer, Timestamp, TopicPartition,
};
use tokio::sync::{mpsc, oneshot};

use super::sent::Sent;
use crate::codec::{CodecError, KeyTooLong};

/// The number of records that may wait for the producer. When it is reached, senders wait too.
const WAITING: usize = 4096;

/// Sends records for everything in a worker that is not a shard. Records that wait at the same time
/// are flushed together.
#[derive(Clone)]
pub(crate) struct ClientProducer {
    requests: mpsc::Sender<SendRequest>,
}

/// A record to send. It owns its parts because it waits in a queue.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: Partition,
    pub(crate) timestamp: Timestamp,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Outgoing {
    /// Returns the headers by reference.
    pub(crate) fn headers(&self) -> Vec<Header<'_>> {
        self.headers.iter().map(|(name, value)| Header { name, value: value.as_deref() }).collect()
    }
}

struct SendRequest {
    record: Outgoing,
    reply: oneshot::Sender<Result<Sent, BrokerError>>,
}

/// The error of a record that could not be sent.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The broker did not take the record.
    #[error("topic `{topic}`: {source}")]
    Broker {
        /// The topic.
        topic: Arc<str>,
        /// The broker's error.
        source: BrokerError,
    },
    /// The value does not encode.
    #[error("topic `{topic}`: {source}")]
    Codec {
        /// The topic.
        topic: Arc<str>,
        /// The codec's error.
        source: CodecError,
    },
    /// The key is too long for a row of a table.
    #[error(transparent)]
    KeyTooLong(#[from] KeyTooLong),
    /// The worker or client has stopped.
    #[error("topic `{topic}`: the worker or client that sends has stopped: use one that runs")]
    Stopped {
        /// The topic.
        topic: Arc<str>,
    },
}

impl ClientProducer {
    /// Makes the sender, and the task that sends its records.
    pub(crate) fn new(producer: Box<dyn Producer>) -> (Self, impl Future<Output = ()>) {
        let (requests, waiting) = mpsc::channel(WAITING);
        (Self { requests }, run(producer, waiting))
    }

    pub(crate) async fn send(&self, record: Outgoing) -> Result<Sent, SendError> {
        let topic = record.topic.clone();
        let (reply, answer) = oneshot::channel();
        let stopped = || SendError::Stopped { topic: topic.clone() };
        self.requests.send(SendRequest { record, reply }).await.map_err(|_| stopped())?;
        match answer.await {
            Ok(sent) => sent.map_err(|source| SendError::Broker { topic, source }),
            Err(_) => Err(stopped()),
        }
    }
}

async fn run(mut producer: Box<dyn Producer>, mut waiting: mpsc::Receiver<SendRequest>) {
    let mut destinations: BTreeMap<TopicPartition, Destination> = BTreeMap::new();
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, WAITING).await > 0 {
        let mut sent = Vec::with_capacity(batch.len());
        for request in batch.drain(..) {
            match send(&mut *producer, &mut destinations, &request.record) {
                Ok(to) => sent.push((to, request.reply)),
                Err(error) => drop(request.reply.send(Err(error))),
            }
        }
        let written = producer.flush().await;
        for ((partition, destination), reply) in sent {
            let answer = match &written {
                Ok(written) => match written.end(destination) {
                    Some(end) => Ok(Sent {
                        topic: partition.topic,
                        partition: partition.partition,
                        offset: Offset::new(end.get().saturating_sub(1)),
                    }),
                    None => Err(BrokerError::Unknown {
                        operation: "send",
                        reason: format!("the broker did not tell the offset of the record in {partition}"),
                    }),
                },
                Err(error) => Err(error.clone()),
            };
            // The caller may have stopped waiting.
            drop(reply.send(answer));
        }
    }
}

fn send(
    producer: &mut dyn Producer,
    destinations: &mut BTreeMap<TopicPartition, Destination>,
    record: &Outgoing,
) -> Result<(TopicPartition, Destination), BrokerError> {
    let partition = TopicPartition { topic: record.topic.clone(), partition: record.partition };
    let destination = match destinations.get(&partition) {
        Some(destination) => *destination,
        None => {
            let destination = producer.destination(&partition)?;
            destinations.insert(partition.clone(), destination);
            destination
        }
    };
    let new = NewRecord {
        timestamp: record.timestamp,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        headers: &record.headers(),
    };
    producer.send(destination, new)?;
    Ok((partition, destination))
}
