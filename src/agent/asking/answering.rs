//! Agents that can be asked: the declaration [`AnsweringAgent`], and its guarantees.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ask_client::AskClient;
use super::reply_to::ReplyTo;
use crate::agent::handle::{Agent, AgentSender, AgentShared};
use crate::agent::sink::Sink;
use crate::codec::{Codec, Json, TopicKey};
use crate::scope::{ClientWith, ShardScope, ShardWith, Use, Uses, WorkerScope, WorkerWith};
use crate::topic::Topic;

/// An agent that can be asked for an answer. Made by [`Agent::answers`].
///
/// Outside of shards it becomes an [`AskClient`], which asks and waits for the answer. That is so
/// in timers, tasks and web handlers, and in other programs through a
/// [`Client`](crate::client::Client). In an agent or partition timer it becomes an [`AgentSender`],
/// which sends events and cannot wait.
///
/// ```
/// use marlowe::{App, Config};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut app = App::new("shop");
/// let orders = app.topic::<String, u32>("orders"); // by item: pieces
/// let stock = app.table::<String, u32>("stock");
/// let sell = app
///     .agent("sell", orders)
///     .with(stock)
///     .each_event(async |stock, order| {
///         let left = stock.get(&order.key).unwrap_or(10);
///         let sold = left.min(order.value);
///         stock.insert(order.key, left - sold);
///         Ok(sold)
///     })
///     .answers();
///
/// let running = app.start(Config::default().without_web()).await?;
/// let sell = running.open(sell);
/// assert_eq!(sell.ask(&"tea".to_owned(), &7).await?, 7);
/// assert_eq!(sell.ask(&"tea".to_owned(), &7).await?, 3);
/// # running.stop().await?;
/// # Ok(())
/// # }
/// ```
///
/// # What is guaranteed
///
/// A request is an ordinary event. It is handled once, in the order of its partition, whether or
/// not a caller still waits for the answer. The answer is sent in the event's transaction: it is
/// delivered if and only if the handler's changes are committed. An ask therefore takes until the
/// next commit: a few milliseconds at low load, and at most about
/// [`Config::commit_interval`](crate::Config::commit_interval).
///
/// - **If the answering worker crashes**, the answer is delayed. Another worker handles the
///   request, once.
/// - **If the asking process crashes**, the answer is lost, but not the request: it is handled
///   once, and its effects stay. The same holds for an ask whose deadline passed. So ask again only
///   if the work may be done twice. Otherwise number the requests, and let the agent keep the
///   numbers that it has seen in a table.
/// - **If a request cannot be handled** and the agent [skips](crate::app::AgentBuilder::skip) it or
///   sends it to its [dead-letter topic](crate::app::AgentBuilder::dead_letter), the caller gets
///   [`AskError::Failed`](crate::agent::AskError::Failed) with the reason at once. If the request
///   stops the worker, there is no answer, and the ask ends at its deadline.
/// - All of this holds with [`at_least_once`](crate::App::at_least_once), too. Only an answer that
///   is sent to a topic may be there twice, unless the topic is
///   [`transactional`](crate::Topic::transactional).
///
/// An agent that must not lose the answer does not wait for it. It has the answer sent to a topic.
/// Then the request is in the transaction of the asking event, and the answer is in the transaction
/// of the answering event. See [`reply_to`](Self::reply_to).
///
/// # Requests from other programs
///
/// A request is a record in the topic that the agent reads, with three headers: `marlowe-asks` (the
/// agent's name), `marlowe-reply-to` (`{app}-replies/{partition}`) and `marlowe-correlation` (any
/// text that the caller chooses). The answer is a record in that partition with the same
/// `marlowe-correlation`. If the request was not handled, the answer has the header `marlowe-error`
/// and no value. So programs in other languages can ask on Kafka.
pub struct AnsweringAgent<K: 'static, V: 'static, R: 'static>(pub(crate) &'static AgentShared<K, V, R>);

impl<K, V, R> Clone for AnsweringAgent<K, V, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V, R> Copy for AnsweringAgent<K, V, R> {}

impl<K, V, R> fmt::Debug for AnsweringAgent<K, V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnsweringAgent({})", self.0.name)
    }
}

/// The default deadline of an ask.
const WITHIN: Duration = Duration::from_secs(10);

impl<K: TopicKey, V: 'static, R: Send + 'static> AnsweringAgent<K, V, R> {
    /// Returns the agent's name.
    pub fn name(&self) -> &'static str {
        &self.0.name
    }

    /// Returns the name of the topic that the agent reads.
    pub fn topic(&self) -> &'static str {
        &self.0.topic
    }

    /// Sends each reply to `topic` as well: see [`Agent::sink`].
    pub fn sink<K2: TopicKey>(self, topic: Topic<K2, R>) -> Self {
        Agent(self.0).sink(topic);
        self
    }

    /// Sets the codec of the answers (default: [`Json`](crate::codec::Json)).
    pub fn codec(self, codec: impl Codec<R>) -> Self {
        self.0.answer_with(Arc::new(codec));
        self
    }

    /// Declares that the answers to some requests go to `topic`, each under a key that its request
    /// names. (Faust: `reply_to`.) This is for agents that ask: an agent cannot wait for an answer,
    /// because the request is sent with the commit of its event. Another agent, or the same one,
    /// reads the answers from `topic`.
    ///
    /// ```
    /// # let mut app = marlowe::App::new("shop");
    /// let orders = app.topic::<u64, String>("orders"); // by number: item
    /// let questions = app.topic::<String, ()>("questions"); // by item
    /// let answers = app.topic::<u64, f64>("answers"); // by the number of the order
    /// let prices = app.table::<String, f64>("prices");
    /// let bills = app.table::<u64, f64>("bills");
    ///
    /// let price = app
    ///     .agent("price", questions)
    ///     .with(prices)
    ///     .each_event(async |prices, question| Ok(prices.get(&question.key).ok_or("no price")?))
    ///     .answers();
    /// app.agent("order", orders).with(price.reply_to(answers)).each_event(async |price, order| {
    ///     price.send(&order.value, &(), &order.key); // in this transaction
    ///     Ok(())
    /// });
    /// app.agent("bill", answers).with(bills).each_event(async |bills, answer| {
    ///     bills.insert(answer.key, answer.value);
    ///     Ok(())
    /// });
    /// ```
    ///
    /// The request, its handling and the answer are each part of a transaction, so none of them is
    /// lost or done twice. The answer has the request's timestamp, and the request's headers except
    /// those of Marlowe. A request that is skipped or dead-lettered has no answer.
    ///
    /// This call is part of the program's declaration: an answer goes only to topics that were
    /// declared this way before the start.
    pub fn reply_to<K2: TopicKey>(self, topic: Topic<K2, R>) -> ReplyTo<K, V, R, K2> {
        self.0.add_target(Sink::to(topic));
        ReplyTo::new(self.0, topic.name())
    }
}

impl<K: TopicKey, V: 'static, R: Send + 'static> ShardWith for AnsweringAgent<K, V, R> {
    type Opened = AgentSender<K, V>;

    fn declare(&self, uses: &mut Uses) {
        uses.0.push(Use::Topic(self.0.topic.clone()));
    }

    #[allow(private_interfaces)]
    fn open_in_shard(&self, shard: &ShardScope) -> AgentSender<K, V> {
        AgentSender(self.0.sender(shard))
    }
}

impl<K: TopicKey, V: 'static, R: Send + 'static> WorkerWith for AnsweringAgent<K, V, R> {
    type Opened = AskClient<K, V, R>;

    fn declare(&self, uses: &mut Uses) {
        <Self as ShardWith>::declare(self, uses);
    }

    #[allow(private_interfaces)]
    fn open_on_worker(&self, worker: &WorkerScope) -> AskClient<K, V, R> {
        AskClient::new(self.0.name.clone(), self.0.client(worker), self.0.answer_codec(), worker.asker(), WITHIN)
    }
}

impl<K: TopicKey, V: 'static, R: Send + 'static> ClientWith for AnsweringAgent<K, V, R> {}

impl<K: TopicKey, V: 'static, R: 'static> Agent<K, V, R> {
    /// Lets callers ask the agent: the value that its handler returns for a request goes to the
    /// caller. An agent without this declaration answers nobody, and does not look at headers. The
    /// agent of a [`stream`](crate::app::AgentBuilder::stream) answers `()` when it has
    /// acknowledged the request.
    ///
    /// [`AnsweringAgent`] describes who can ask, and what is guaranteed.
    pub fn answers(self) -> AnsweringAgent<K, V, R>
    where
        R: Serialize + DeserializeOwned + Send,
    {
        self.0.answer_with(Arc::new(Json));
        AnsweringAgent(self.0)
    }
}
