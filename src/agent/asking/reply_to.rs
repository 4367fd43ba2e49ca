//! Requests whose answers go to a topic: the handle [`ReplyTo`], and its forms inside and outside
//! of shards.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use crate::agent::handle::AgentShared;
use crate::codec::TopicKey;
use crate::outbound::{ASKS, REPLY_KEY, REPLY_TO, SendError, Sent};
use crate::scope::{ClientWith, ShardScope, ShardWith, Use, Uses, WorkerScope, WorkerWith};
use crate::topic::{TopicClient, TopicSender};

/// An agent whose answers go to a topic. Made by
/// [`AnsweringAgent::reply_to`](crate::agent::AnsweringAgent::reply_to).
///
/// In a shard it becomes a [`RequestSender`], outside of shards a [`RequestClient`].
pub struct ReplyTo<K: 'static, V: 'static, R: 'static, K2> {
    agent: &'static AgentShared<K, V, R>,
    topic: &'static str,
    key: std::marker::PhantomData<fn(K2)>,
}

impl<K, V, R, K2> Clone for ReplyTo<K, V, R, K2> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V, R, K2> Copy for ReplyTo<K, V, R, K2> {}

impl<K, V, R, K2> fmt::Debug for ReplyTo<K, V, R, K2> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplyTo({} to {})", self.agent.name, self.topic)
    }
}

impl<K, V, R, K2> ReplyTo<K, V, R, K2> {
    pub(crate) fn new(agent: &'static AgentShared<K, V, R>, topic: &'static str) -> Self {
        Self { agent, topic, key: std::marker::PhantomData }
    }
}

/// A sender of requests to an agent from inside an event, in its transaction. The answers go to a
/// topic.
pub struct RequestSender<K, V, K2> {
    sender: TopicSender<K, V>,
    agent: Arc<str>,
    reply_to: &'static str,
    buffer: RefCell<Vec<u8>>,
    key: std::marker::PhantomData<fn(K2)>,
}

impl<K, V, K2> Clone for RequestSender<K, V, K2> {
    fn clone(&self) -> Self {
        let (sender, agent) = (self.sender.clone(), self.agent.clone());
        Self { sender, agent, reply_to: self.reply_to, buffer: RefCell::default(), key: self.key }
    }
}

impl<K: TopicKey, V: 'static, K2: TopicKey> RequestSender<K, V, K2> {
    /// Sends a request. Its answer will have the key `reply_key`.
    pub fn send(&self, key: &K, value: &V, reply_key: &K2) {
        let mut buffer = self.buffer.borrow_mut();
        buffer.clear();
        let has_key = reply_key.encode_key(&mut buffer);
        let headers = [(ASKS, self.agent.as_bytes()), (REPLY_TO, self.reply_to.as_bytes()), (REPLY_KEY, &buffer)];
        self.sender.send_with(key, value, if has_key { &headers } else { &headers[..2] });
    }
}

/// A sender of requests to an agent from outside of shards. The answers go to a topic.
pub struct RequestClient<K, V, K2> {
    client: TopicClient<K, V>,
    agent: Arc<str>,
    reply_to: &'static str,
    key: std::marker::PhantomData<fn(K2)>,
}

impl<K, V, K2> Clone for RequestClient<K, V, K2> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), agent: self.agent.clone(), reply_to: self.reply_to, key: self.key }
    }
}

impl<K: TopicKey, V: 'static, K2: TopicKey> RequestClient<K, V, K2> {
    /// Sends a request, and returns once the broker has it. Its answer will have the key
    /// `reply_key`.
    ///
    /// # Errors
    /// If the value does not encode, or the broker does not take the request.
    pub async fn send(&self, key: &K, value: &V, reply_key: &K2) -> Result<Sent, SendError> {
        let mut record = self.client.encode_now(key, value)?;
        let mut headers = vec![(ASKS, self.agent.as_bytes().to_vec()), (REPLY_TO, self.reply_to.into())];
        let mut bytes = Vec::new();
        if reply_key.encode_key(&mut bytes) {
            headers.push((REPLY_KEY, bytes));
        }
        record.headers = headers.into_iter().map(|(name, value)| (name.to_owned(), Some(value))).collect();
        self.client.produce(record).await
    }
}

impl<K: TopicKey, V: 'static, R: 'static, K2: TopicKey> ShardWith for ReplyTo<K, V, R, K2> {
    type Opened = RequestSender<K, V, K2>;

    fn declare(&self, uses: &mut Uses) {
        uses.0.push(Use::Topic(self.agent.topic.clone()));
    }

    #[allow(private_interfaces)]
    fn open_in_shard(&self, shard: &ShardScope) -> RequestSender<K, V, K2> {
        RequestSender {
            sender: self.agent.sender(shard),
            agent: self.agent.name.clone(),
            reply_to: self.topic,
            buffer: RefCell::default(),
            key: std::marker::PhantomData,
        }
    }
}

impl<K: TopicKey, V: 'static, R: 'static, K2: TopicKey> WorkerWith for ReplyTo<K, V, R, K2> {
    type Opened = RequestClient<K, V, K2>;

    fn declare(&self, uses: &mut Uses) {
        <Self as ShardWith>::declare(self, uses);
    }

    #[allow(private_interfaces)]
    fn open_on_worker(&self, worker: &WorkerScope) -> RequestClient<K, V, K2> {
        RequestClient {
            client: self.agent.client(worker),
            agent: self.agent.name.clone(),
            reply_to: self.topic,
            key: std::marker::PhantomData,
        }
    }
}

impl<K: TopicKey, V: 'static, R: 'static, K2: TopicKey> ClientWith for ReplyTo<K, V, R, K2> {}
