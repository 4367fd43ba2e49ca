use std::fmt;
use std::sync::Arc;

use marlowe_broker::{Cleanup, Timestamp};
use parking_lot::RwLock;

use super::sink::{OpenSink, Sink};
use crate::client::{SendError, Sent};
use crate::codec::TopicKey;
use crate::scope::{ShardScope, ShardWith, Use, Uses, WorkerScope, WorkerWith};
use crate::topic::{Stream, Topic, TopicClient, TopicSender, TopicSettings};

/// An agent: a handler of the events of a stream. Made by [`App::agent`](crate::App::agent).
///
/// A handle is small and `Copy`. Declared with `.with(...)` it becomes an [`AgentSender`] in a shard and an
/// [`AgentClient`] outside, by which others cast events to it.
pub struct Agent<K: 'static, V: 'static, R: 'static = ()>(pub(crate) &'static AgentShared<K, V, R>);

pub(crate) struct AgentShared<K, V, R> {
    name: Arc<str>,
    /// The topic it reads.
    topic: Arc<str>,
    settings: TopicSettings<V>,
    sinks: RwLock<Vec<Sink<R>>>,
    key: std::marker::PhantomData<fn() -> K>,
}

impl<K, V, R> AgentShared<K, V, R> {
    pub(crate) fn new(name: Arc<str>, topic: Arc<str>, stream: &Stream<K, V>) -> Self {
        Self {
            name,
            topic,
            settings: TopicSettings {
                codec: stream.codec.clone(),
                partitioner: stream.partitioner,
                partitions: None,
                cleanup: Cleanup::Delete { retention: None },
            },
            sinks: RwLock::default(),
            key: std::marker::PhantomData,
        }
    }
}

impl<K, V, R: 'static> AgentShared<K, V, R> {
    pub(crate) fn sink_topics(&self) -> Vec<Arc<str>> {
        self.sinks.read().iter().map(|sink| sink.topic.clone()).collect()
    }

    pub(crate) fn open_sinks(&self, shard: &ShardScope) -> Vec<OpenSink<R>> {
        self.sinks.read().iter().map(|sink| sink.open(shard)).collect()
    }
}

impl<K, V, R> Clone for Agent<K, V, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V, R> Copy for Agent<K, V, R> {}

impl<K, V, R> fmt::Debug for Agent<K, V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Agent({})", self.0.name)
    }
}

impl<K: TopicKey, V: 'static, R: 'static> Agent<K, V, R> {
    /// The agent's name.
    pub fn name(&self) -> &'static str {
        &self.0.name
    }

    /// The topic it reads.
    pub fn topic(&self) -> &'static str {
        &self.0.topic
    }

    /// Sends each reply, which is what the handler returns, to `topic`, with the event's key, headers and timestamp, in
    /// the event's transaction. An agent may have several sinks.
    pub fn sink<K2: TopicKey>(self, topic: Topic<K2, R>) -> Self {
        self.0.sinks.write().push(Sink::to(topic));
        self
    }
}

/// Casts events to an agent from inside an event, in its transaction.
pub struct AgentSender<K, V>(TopicSender<K, V>);

impl<K, V> Clone for AgentSender<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: TopicKey, V: 'static> AgentSender<K, V> {
    /// Sends the agent an event and does not wait for its reply.
    pub fn cast(&self, key: &K, value: &V) {
        self.0.send(key, value);
    }

    /// The same, under the name that topics have for it.
    pub fn send(&self, key: &K, value: &V) {
        self.0.send(key, value);
    }
}

/// Casts events to an agent from outside any shard.
pub struct AgentClient<K, V>(TopicClient<K, V>);

impl<K, V> Clone for AgentClient<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: TopicKey, V: 'static> AgentClient<K, V> {
    /// Sends the agent an event and does not wait for its reply: only for the broker to have it.
    ///
    /// # Errors
    /// When the value does not encode, or the broker does not take it.
    pub async fn cast(&self, key: &K, value: &V) -> Result<Sent, SendError> {
        self.0.send(key, value).await
    }

    /// The same, under the name that topics have for it.
    ///
    /// # Errors
    /// As [`cast`](Self::cast).
    pub async fn send(&self, key: &K, value: &V) -> Result<Sent, SendError> {
        self.0.send(key, value).await
    }

    /// Sends the agent an event stamped `timestamp`.
    ///
    /// # Errors
    /// As [`cast`](Self::cast).
    pub async fn cast_at(&self, key: &K, value: &V, timestamp: Timestamp) -> Result<Sent, SendError> {
        self.0.send_at(key, value, timestamp).await
    }
}

impl<K: TopicKey, V: 'static, R: 'static> ShardWith for Agent<K, V, R> {
    type Opened = AgentSender<K, V>;

    fn declare(&self, uses: &mut Uses) {
        uses.0.push(Use::Topic(self.0.topic.clone()));
    }

    #[allow(private_interfaces)]
    fn open_in_shard(&self, shard: &ShardScope) -> AgentSender<K, V> {
        AgentSender(TopicSender::new(self.0.topic.clone(), self.0.settings.clone(), shard))
    }
}

impl<K: TopicKey, V: 'static, R: 'static> WorkerWith for Agent<K, V, R> {
    type Opened = AgentClient<K, V>;

    fn declare(&self, uses: &mut Uses) {
        <Self as ShardWith>::declare(self, uses);
    }

    #[allow(private_interfaces)]
    fn open_on_worker(&self, worker: &WorkerScope) -> AgentClient<K, V> {
        AgentClient(TopicClient::new(self.0.topic.clone(), self.0.settings.clone(), worker))
    }
}
