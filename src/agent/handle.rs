//! The handle [`Agent`], and its forms inside and outside of shards, which send events to the
//! agent.

use std::cell::RefCell;
use std::fmt;
use std::future::{Pending, pending};
use std::rc::Rc;
use std::sync::Arc;

use marlowe_broker::{Cleanup, Timestamp, Unread};
use parking_lot::RwLock;

use super::asking::{Answering, AskClient, OpenAnswers};
use super::sink::{OpenSink, Sink};
use crate::codec::{Codec, TopicKey};
use crate::outbound::{AskError, SendError, Sent};
use crate::scope::{ClientWith, ShardScope, ShardWith, Use, Uses, WorkerScope, WorkerWith};
use crate::topic::{DeclaredTopicSettings, ProducerRecord, Stream, Topic, TopicClient, TopicSender};

/// An agent: a handler of the events of a stream. Made by [`App::agent`](crate::App::agent).
///
/// The handle is small and `Copy`. Declared with `.with(...)`, it becomes an [`AgentSender`] in a
/// shard and an [`AgentClient`] outside of shards. Both cast events to the agent.
pub struct Agent<K: 'static, V: 'static, R: 'static = ()>(pub(crate) &'static AgentShared<K, V, R>);

pub(crate) struct AgentShared<K, V, R> {
    pub(crate) name: Arc<str>,
    /// The topic that the agent reads.
    pub(crate) topic: Arc<str>,
    /// The topic of replies to callers that wait for them.
    replies: Arc<str>,
    settings: DeclaredTopicSettings<V>,
    sinks: RwLock<Vec<Sink<R>>>,
    /// The codec of answers, if the agent answers.
    answers: RwLock<Option<Arc<dyn Codec<R>>>>,
    /// Topics to which a request may have the reply sent.
    targets: RwLock<Vec<Sink<R>>>,
    key: std::marker::PhantomData<fn() -> K>,
}

impl<K, V, R> AgentShared<K, V, R> {
    pub(crate) fn new(name: Arc<str>, topic: Arc<str>, replies: Arc<str>, stream: &Stream<K, V>) -> Self {
        Self {
            name,
            topic,
            replies,
            settings: DeclaredTopicSettings {
                codec: stream.codec.clone(),
                partitioner: stream.partitioner,
                partitions: None,
                cleanup: Cleanup::Delete { retention: None },
                unread: Unread::Keep,
                transactional: false,
            },
            sinks: RwLock::default(),
            answers: RwLock::default(),
            targets: RwLock::default(),
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

    /// Returns true if the agent can be asked.
    pub(crate) fn answers(&self) -> bool {
        self.answers.read().is_some()
    }

    pub(crate) fn answer_with(&self, codec: Arc<dyn Codec<R>>) {
        *self.answers.write() = Some(codec);
    }

    pub(crate) fn answer_codec(&self) -> Arc<dyn Codec<R>> {
        match &*self.answers.read() {
            Some(codec) => codec.clone(),
            None => unreachable!("agent `{}` was declared to answer", self.name),
        }
    }

    /// Allows requests to have the reply sent to the topic of `target`.
    pub(crate) fn add_target(&self, target: Sink<R>) {
        let mut targets = self.targets.write();
        if !targets.iter().any(|known| known.topic == target.topic) {
            targets.push(target);
        }
    }

    pub(crate) fn target_topics(&self) -> Vec<Arc<str>> {
        self.targets.read().iter().map(|target| target.topic.clone()).collect()
    }

    pub(crate) fn open_answering(&self, shard: &ShardScope) -> Option<Answering<R>> {
        let codec = self.answers.read().clone()?;
        let open = OpenAnswers::new(self.name.clone(), self.replies.clone(), shard);
        let targets = self.targets.read().iter().map(|target| (target.topic.clone(), target.open(shard))).collect();
        Some(Answering { open: Rc::new(open), codec, targets, buffer: RefCell::default() })
    }
}

impl<K: TopicKey, V: 'static, R: 'static> AgentShared<K, V, R> {
    pub(crate) fn sender(&self, shard: &ShardScope) -> TopicSender<K, V> {
        TopicSender::new(self.topic.clone(), self.settings.clone(), shard)
    }

    pub(crate) fn client(&self, worker: &WorkerScope) -> TopicClient<K, V> {
        TopicClient::new(self.topic.clone(), self.settings.clone(), worker)
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
    /// Returns the agent's name.
    pub fn name(&self) -> &'static str {
        &self.0.name
    }

    /// Returns the name of the topic that the agent reads.
    pub fn topic(&self) -> &'static str {
        &self.0.topic
    }

    /// Sends each reply to `topic`, in the event's transaction. The reply is the value that the
    /// handler returns. It keeps the event's key, headers and timestamp.
    ///
    /// An agent may have several sinks. The agent of a [`stream`](crate::app::AgentBuilder::stream)
    /// returns no replies, so a sink of it is refused at the start. It can send to any topic that
    /// it was declared `with`.
    pub fn sink<K2: TopicKey>(self, topic: Topic<K2, R>) -> Self {
        self.0.sinks.write().push(Sink::to(topic));
        self
    }
}

/// Handles that can ask an agent and wait for the answer.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot ask an agent and wait for its answer",
    label = "no answer can be awaited here",
    note = "inside an event, requests are sent when the event commits, so no answer can come before that; declare `.with(agent.reply_to(topic))`, and handle the answers in an agent",
    note = "outside of shards, an agent can be asked if it was declared with `.answers()`"
)]
pub trait WaitsForAnswers {}

impl<K, V, R> WaitsForAnswers for AskClient<K, V, R> {}

/// A sender of events to an agent from inside an event, in its transaction.
///
/// It cannot ask. What an event sends is sent with the event's commit, so the handler would wait
/// for an answer to a request that nobody has received. The answer is an event of its own, which
/// another agent handles: see [`AnsweringAgent::reply_to`](crate::agent::AnsweringAgent::reply_to).
pub struct AgentSender<K, V>(pub(crate) TopicSender<K, V>);

impl<K, V> Clone for AgentSender<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: TopicKey, V: 'static> AgentSender<K, V> {
    /// Sends the agent an event. Does not wait for the reply.
    pub fn cast(&self, key: &K, value: &V) {
        self.0.send(key, value);
    }

    /// Sends the agent an event as [`cast`](Self::cast) does. Topics have the method under this
    /// name.
    pub fn send(&self, key: &K, value: &V) {
        self.0.send(key, value);
    }

    /// Sends the agent an event with its own timestamp, headers or partition, or without a value.
    /// See [`TopicSender::send_record`].
    pub fn send_record(&self, record: ProducerRecord<'_, K, V>) {
        self.0.send_record(record);
    }

    /// Exists so that the compiler explains why the agent cannot be asked here, and not only that
    /// there is no such method.
    #[doc(hidden)]
    pub fn ask(&self, _: &K, _: &V) -> Pending<Result<(), AskError>>
    where
        Self: WaitsForAnswers,
    {
        pending()
    }
}

/// A client that casts events to an agent from outside of shards.
pub struct AgentClient<K, V>(TopicClient<K, V>);

impl<K, V> Clone for AgentClient<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: TopicKey, V: 'static> AgentClient<K, V> {
    /// Sends the agent an event, and returns once the broker has it. Does not wait for the reply.
    ///
    /// # Errors
    /// If the value does not encode, or the broker does not take the event.
    pub async fn cast(&self, key: &K, value: &V) -> Result<Sent, SendError> {
        self.0.send(key, value).await
    }

    /// Sends the agent an event as [`cast`](Self::cast) does. Topics have the method under this
    /// name.
    ///
    /// # Errors
    /// As [`cast`](Self::cast).
    pub async fn send(&self, key: &K, value: &V) -> Result<Sent, SendError> {
        self.0.send(key, value).await
    }

    /// Sends the agent an event with its own timestamp, headers or partition, or without a value.
    ///
    /// # Errors
    /// As [`TopicClient::send_record`].
    pub async fn send_record(&self, record: ProducerRecord<'_, K, V>) -> Result<Sent, SendError> {
        self.0.send_record(record).await
    }

    /// Sends the agent an event with the timestamp `timestamp`.
    ///
    /// # Errors
    /// As [`cast`](Self::cast).
    pub async fn cast_at(&self, key: &K, value: &V, timestamp: Timestamp) -> Result<Sent, SendError> {
        self.0.send_at(key, value, timestamp).await
    }

    /// Exists so that the compiler explains why the agent cannot be asked here, and not only that
    /// there is no such method.
    #[doc(hidden)]
    pub fn ask(&self, _: &K, _: &V) -> Pending<Result<(), AskError>>
    where
        Self: WaitsForAnswers,
    {
        pending()
    }
}

impl<K: TopicKey, V: 'static, R: 'static> ShardWith for Agent<K, V, R> {
    type Opened = AgentSender<K, V>;

    fn declare(&self, uses: &mut Uses) {
        uses.0.push(Use::Topic(self.0.topic.clone()));
    }

    #[allow(private_interfaces)]
    fn open_in_shard(&self, shard: &ShardScope) -> AgentSender<K, V> {
        AgentSender(self.0.sender(shard))
    }
}

impl<K: TopicKey, V: 'static, R: 'static> ClientWith for Agent<K, V, R> {}

impl<K: TopicKey, V: 'static, R: 'static> WorkerWith for Agent<K, V, R> {
    type Opened = AgentClient<K, V>;

    fn declare(&self, uses: &mut Uses) {
        <Self as ShardWith>::declare(self, uses);
    }

    #[allow(private_interfaces)]
    fn open_on_worker(&self, worker: &WorkerScope) -> AgentClient<K, V> {
        AgentClient(self.0.client(worker))
    }
}
