//! The handle of a topic, and its settings.

use std::fmt;
use std::time::Duration;

use marlowe_broker::{Partitioner, Unread};

use super::declaration::TopicDeclaration;
use super::sender::{TopicClient, TopicSender};
use super::stream::{IntoStream, Stream};
use crate::codec::{Codec, TopicKey};
use crate::scope::{ClientWith, ShardScope, ShardWith, Use, Uses, WorkerScope, WorkerWith};

/// A topic: a log of keyed records in partitions. [`App::topic`](crate::App::topic) makes it.
///
/// A handle is small and `Copy`. Agents read it. In `.with(...)` it becomes a [`TopicSender`] in a
/// shard and a [`TopicClient`] outside.
pub struct Topic<K: 'static, V: 'static>(pub(crate) &'static TopicDeclaration<K, V>);

impl<K, V> Clone for Topic<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Topic<K, V> {}

impl<K, V> fmt::Debug for Topic<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({})", self.0.name)
    }
}

impl<K: TopicKey, V: 'static> Topic<K, V> {
    /// Returns the topic's name.
    pub fn name(&self) -> &'static str {
        &self.0.name
    }

    /// Sets how many partitions the topic is created with (default: the app's number, which is 8 if
    /// it is not set). A topic that exists keeps its number.
    pub fn partitions(self, partitions: u32) -> Self {
        self.0.settings.write().partitions = Some(partitions);
        self
    }

    /// Removes records that are older than `retention`, by their timestamps (default: records are
    /// kept).
    ///
    /// Records that this program has not read yet must not be lost. The embedded broker keeps them,
    /// however old their timestamps are. Kafka goes by the timestamps alone. If records are removed
    /// before the program's agents have read them, the worker stops and says which records are
    /// missing, unless the topic is declared [`skip_expired`](Self::skip_expired).
    pub fn retention(self, retention: Duration) -> Self {
        self.0.retain(retention);
        self
    }

    /// Skips records that retention removed before this program's agents have read them. The agents
    /// continue at the first record that exists, with a warning. The missing records are counted in
    /// `marlowe_records_expired_total`. By default the worker stops and says which records are
    /// missing.
    ///
    /// On the embedded broker, this topic's retention then does not wait for this program.
    pub fn skip_expired(self) -> Self {
        self.0.settings.write().unread = Unread::Expire;
        self
    }

    /// Sends records to this topic in the transaction of the commit, under each guarantee. So a
    /// reader of committed records sees each of them once, and finds the rows of the event that
    /// sent it.
    ///
    /// This makes a difference in an app that is
    /// [`at_least_once`](crate::App::at_least_once). There, records leave as soon as their event
    /// has finished, unless their topic is transactional.
    pub fn transactional(self) -> Self {
        self.0.settings.write().transactional = true;
        self
    }

    /// Keeps only the last record of each key.
    pub fn compacted(self) -> Self {
        self.0.compact();
        self
    }

    /// Sets how values become bytes (default: [`Json`](crate::codec::Json)).
    pub fn codec(self, codec: impl Codec<V>) -> Self {
        self.0.settings.write().codec = std::sync::Arc::new(codec);
        self
    }

    /// Sets how records that this program sends find their partition (default: Kafka's murmur2 of
    /// the key).
    pub fn partitioner(self, partitioner: Partitioner) -> Self {
        self.0.settings.write().partitioner = partitioner;
        self
    }

    /// Returns a stream of the topic's records under another key, so that an agent can own the rows
    /// of that key: see [`Stream::group_by`].
    pub fn group_by<K2: TopicKey>(self, key: impl Fn(&V) -> K2 + Send + Sync + 'static) -> Stream<K2, V> {
        self.into_stream().group_by(key)
    }

    /// Returns a stream of the records whose values pass `keep`: see [`Stream::filter`].
    pub fn filter(self, keep: impl Fn(&V) -> bool + Send + Sync + 'static) -> Stream<K, V> {
        self.into_stream().filter(keep)
    }
}

impl<K: TopicKey, V: 'static> IntoStream<K, V> for Topic<K, V> {
    fn into_stream(self) -> Stream<K, V> {
        let settings = self.0.settings();
        Stream::of_topic(self.0.name.clone(), settings.codec, settings.partitioner)
    }
}

impl<K: TopicKey, V: 'static> ShardWith for Topic<K, V> {
    type Opened = TopicSender<K, V>;

    fn declare(&self, uses: &mut Uses) {
        uses.0.push(Use::Topic(self.0.name.clone()));
    }

    #[allow(private_interfaces)]
    fn open_in_shard(&self, shard: &ShardScope) -> TopicSender<K, V> {
        TopicSender::new(self.0.name.clone(), self.0.settings(), shard)
    }
}

impl<K: TopicKey, V: 'static> ClientWith for Topic<K, V> {}

impl<K: TopicKey, V: 'static> WorkerWith for Topic<K, V> {
    type Opened = TopicClient<K, V>;

    fn declare(&self, uses: &mut Uses) {
        <Self as ShardWith>::declare(self, uses);
    }

    #[allow(private_interfaces)]
    fn open_on_worker(&self, worker: &WorkerScope) -> TopicClient<K, V> {
        TopicClient::new(self.0.name.clone(), self.0.settings(), worker)
    }
}
