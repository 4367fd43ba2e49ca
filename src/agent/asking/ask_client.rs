//! Asking an agent from outside of shards: [`AskClient`], and the pending answers that it returns.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, Stream};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use crate::codec::{Codec, TopicKey, decode_value};
use crate::limits::after;
use crate::outbound::{AskError, Asker, Outgoing, Pending, SendError, Sent};
use crate::topic::{ProducerRecord, TopicClient};

/// The most requests of a `map` or `join` that wait for their answers at the same time.
const AT_A_TIME: usize = 1024;

/// A client that asks an agent from outside of shards. An
/// [`AnsweringAgent`](crate::agent::AnsweringAgent) becomes one there.
///
/// Each ask has a deadline, which is 10 seconds after the request is sent unless
/// [`within`](Self::within) sets another one. The deadline ends the wait and not the request, which
/// may still be handled. An answer that comes later is dropped and counted.
///
/// ```
/// use std::time::Duration;
///
/// # let mut app = marlowe::App::new("shop");
/// let questions = app.topic::<String, u32>("questions");
/// let double = app.agent("double", questions).each(async |(), number| Ok(2 * number)).answers();
/// app.timer("ask", Duration::from_secs(60)).with(double).run(async |double| {
///     let double = double.within(Duration::from_secs(2));
///     let ada = double.ask(&"ada".to_owned(), &1).await?; // one answer
///     let later = double.ask_nowait(&"bob".to_owned(), &2).await?; // sent now, awaited below
///     let all = double.join((3..6).map(|number| (number.to_string(), number))).await?; // in order
///     let mut replies = double.map((6..9).map(|number| (number.to_string(), number)));
///     while let Some((key, reply)) = replies.next().await {
///         println!("{key}: {:?}", reply?); // each as it comes
///     }
///     println!("{ada} {} {all:?}", later.await?);
///     Ok(())
/// });
/// ```
pub struct AskClient<K, V, R> {
    agent: Arc<str>,
    topic: TopicClient<K, V>,
    codec: Arc<dyn Codec<R>>,
    asker: Asker,
    within: Duration,
}

impl<K, V, R> Clone for AskClient<K, V, R> {
    fn clone(&self) -> Self {
        Self {
            agent: self.agent.clone(),
            topic: self.topic.clone(),
            codec: self.codec.clone(),
            asker: self.asker.clone(),
            within: self.within,
        }
    }
}

impl<K, V, R> fmt::Debug for AskClient<K, V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AskClient({})", self.agent)
    }
}

impl<K: TopicKey, V: 'static, R: Send + 'static> AskClient<K, V, R> {
    pub(crate) fn new(
        agent: Arc<str>,
        topic: TopicClient<K, V>,
        codec: Arc<dyn Codec<R>>,
        asker: Asker,
        within: Duration,
    ) -> Self {
        Self { agent, topic, codec, asker, within }
    }

    /// Returns the client with another deadline for its asks (default: 10 seconds).
    pub fn within(mut self, deadline: Duration) -> Self {
        self.within = deadline;
        self
    }

    /// Sends the agent an event, and returns once the broker has it. Does not wait for the reply.
    ///
    /// # Errors
    /// If the value does not encode, or the broker does not take the event.
    pub async fn cast(&self, key: &K, value: &V) -> Result<Sent, SendError> {
        self.topic.send(key, value).await
    }

    /// Sends the agent an event as [`cast`](Self::cast) does. Topics have the method under this
    /// name.
    ///
    /// # Errors
    /// As [`cast`](Self::cast).
    pub async fn send(&self, key: &K, value: &V) -> Result<Sent, SendError> {
        self.cast(key, value).await
    }

    /// Sends the agent an event with its own timestamp, headers or partition, or without a value.
    /// Does not wait for the reply.
    ///
    /// # Errors
    /// As [`TopicClient::send_record`].
    pub async fn send_record(&self, record: ProducerRecord<'_, K, V>) -> Result<Sent, SendError> {
        self.topic.send_record(record).await
    }

    /// Asks the agent, and waits for its answer: the value that its handler returned, once that is
    /// committed.
    ///
    /// # Errors
    /// [`AskError::Failed`] if the agent could not handle the request and skipped it.
    /// [`AskError::TimedOut`] if no answer came before the deadline.
    pub async fn ask(&self, key: &K, value: &V) -> Result<R, AskError> {
        self.asking(key, value).await
    }

    /// Asks the agent, and returns once the broker has the request. The answer can be awaited
    /// later.
    ///
    /// # Errors
    /// If the value does not encode, or the broker does not take the request before the deadline.
    pub async fn ask_nowait(&self, key: &K, value: &V) -> Result<PendingReply<R>, AskError> {
        let request = self.encode(key, value);
        let pending = self.asker.ask(&self.agent, request?, self.within).await?;
        Ok(PendingReply { pending, codec: self.codec.clone() })
    }

    /// Asks for each of `requests`, and returns the answers as they come, each with the key of its
    /// request. Requests are sent in their order, at most 1024 ahead of the answers. Each has its
    /// own deadline.
    ///
    /// Nothing is asked before the first answer is awaited. If the stream is dropped, the remaining
    /// requests are never sent.
    pub fn map<I>(&self, requests: I) -> Replies<K, R>
    where
        I: IntoIterator<Item = (K, V), IntoIter: Send + 'static>,
    {
        let client = self.clone();
        let requests = requests.into_iter().map(move |(key, value)| {
            let reply = client.asking(&key, &value);
            reply.map(|reply| (key, reply))
        });
        let heard = self.hears();
        // If listening fails, each ask reports that itself.
        let replies = heard.map(|_| stream::iter(requests).buffer_unordered(AT_A_TIME)).flatten_stream();
        Replies { replies: replies.boxed() }
    }

    /// Asks for each of `requests`, and returns all answers in the order of the requests. Requests
    /// are sent in their order, at most 1024 ahead of the answers. Each has its own deadline.
    ///
    /// # Errors
    /// The first failure in the order of the requests. Other requests may have been handled, and
    /// those that were sent may still be.
    pub async fn join<I>(&self, requests: I) -> Result<Vec<R>, AskError>
    where
        I: IntoIterator<Item = (K, V)>,
    {
        let client = self.clone();
        let requests = requests.into_iter().map(move |(key, value)| client.asking(&key, &value));
        self.hears().await?;
        stream::iter(requests).buffered(AT_A_TIME).try_collect().await
    }

    /// Waits until the asker listens for answers. After that, requests are sent in the order in
    /// which they are begun.
    fn hears(&self) -> impl Future<Output = Result<(), AskError>> + Send + use<K, V, R> {
        let (asker, agent, within) = (self.asker.clone(), self.agent.clone(), self.within);
        async move { asker.hears(&agent, after(within), within).await }
    }

    /// Returns an ask that borrows nothing from this client.
    fn asking(&self, key: &K, value: &V) -> impl Future<Output = Result<R, AskError>> + Send + use<K, V, R> {
        let request = self.encode(key, value);
        let (asker, agent, codec, within) = (self.asker.clone(), self.agent.clone(), self.codec.clone(), self.within);
        async move { decode(asker.ask(&agent, request?, within).await?, &*codec).await }
    }

    fn encode(&self, key: &K, value: &V) -> Result<Outgoing, AskError> {
        self.topic.encode_now(key, value).map_err(|source| AskError::Send { agent: self.agent.clone(), source })
    }
}

async fn decode<R: 'static>(pending: Pending, codec: &dyn Codec<R>) -> Result<R, AskError> {
    let agent = pending.agent.clone();
    let (value, request) = pending.reply().await?;
    decode_value(codec, value.as_deref()).map_err(|source| AskError::Codec { agent, request, source })
}

/// An answer that can be awaited. Made by [`AskClient::ask_nowait`]. Dropping it gives up the
/// answer, not the request.
#[must_use = "await it to get the answer; to send a request without an answer, use `cast`"]
pub struct PendingReply<R> {
    pending: Pending,
    codec: Arc<dyn Codec<R>>,
}

impl<R> PendingReply<R> {
    /// Returns the place of the request in the agent's topic.
    pub fn sent(&self) -> &Sent {
        &self.pending.request
    }
}

impl<R> fmt::Debug for PendingReply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingReply({} to {})", self.pending.agent, self.pending.request)
    }
}

impl<R: Send + 'static> IntoFuture for PendingReply<R> {
    type Output = Result<R, AskError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { decode(self.pending, &*self.codec).await })
    }
}

/// Answers in the order in which they come. Made by [`AskClient::map`]. It is also a `Stream` of
/// the `futures` crates.
#[must_use = "the first request is sent when the first answer is awaited"]
pub struct Replies<K, R> {
    replies: BoxStream<'static, (K, Result<R, AskError>)>,
}

impl<K, R> Replies<K, R> {
    /// Returns the next answer and the key of its request, or `None` after the last one.
    pub async fn next(&mut self) -> Option<(K, Result<R, AskError>)> {
        self.replies.next().await
    }
}

impl<K, R> fmt::Debug for Replies<K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Replies")
    }
}

impl<K, R> Stream for Replies<K, R> {
    type Item = (K, Result<R, AskError>);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.replies.poll_next_unpin(context)
    }
}
