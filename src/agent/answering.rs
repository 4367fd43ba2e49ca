use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ask_client::AskClient;
use super::handle::{Agent, AgentSender, AgentShared};
use super::reply_to::ReplyTo;
use super::sink::Sink;
use crate::codec::{Codec, Json, TopicKey};
use crate::scope::{ClientWith, ShardScope, ShardWith, Use, Uses, WorkerScope, WorkerWith};
use crate::topic::Topic;

/// An agent that can be asked. Made by [`Agent::answers`].
///
/// Outside of shards it becomes an [`AskClient`], which asks and waits for the answer: in timers, tasks, web handlers, and in
/// other programs by a [`Client`](crate::Client).
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
/// A request is an ordinary event: it is handled once, in the order of its partition, whoever waits for the answer. The
/// answer is sent in the event's transaction, so it is there when, and only when, what the handler did is committed. An
/// ask takes as long as it takes to commit, about [`Config::commit_interval`](crate::Config::commit_interval).
///
/// - **A crash of who answers** delays the answer. Another worker handles the request, once.
/// - **A crash of who asks** loses the answer, not the request: it is handled once, and what it did stays. The same holds
///   for an ask whose deadline passed. So ask again only for what may be done twice, or give requests numbers of their own
///   and let the agent keep those it has seen in a table.
/// - **A request that cannot be handled**: if the agent [skips](crate::AgentBuilder::skip) it, or sends it to its
///   [dead-letter topic](crate::AgentBuilder::dead_letter), whoever asked gets
///   [`AskError::Failed`](crate::AskError::Failed) with the reason at once. If it stops the worker, there is no answer, and
///   the ask ends by its deadline.
/// - With [`at_least_once`](crate::App::at_least_once) a request may be handled, and answered, twice after a crash of who
///   answers. The first answer counts.
///
/// An agent that must not lose the answer does not wait for it: it has it sent to a topic, in the transaction of its own
/// event and of the one that answers. See [`reply_to`](Self::reply_to).
///
/// # Others that ask
///
/// A request is a record in the topic that the agent reads, with the headers `marlowe-asks` (the agent's name),
/// `marlowe-reply-to` (`{app}-replies/{partition}`) and `marlowe-correlation` (any text of the asker's own). The answer is
/// a record in that partition with the same `marlowe-correlation`; if the request was not handled, it has the header
/// `marlowe-error` and no value. So programs in other languages can ask on Kafka.
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

/// How long an ask waits, if nothing else is said.
const WITHIN: Duration = Duration::from_secs(10);

impl<K: TopicKey, V: 'static, R: Send + 'static> AnsweringAgent<K, V, R> {
    /// The agent's name.
    pub fn name(&self) -> &'static str {
        &self.0.name
    }

    /// The topic it reads.
    pub fn topic(&self) -> &'static str {
        &self.0.topic
    }

    /// Sends each reply to `topic` too: see [`Agent::sink`].
    pub fn sink<K2: TopicKey>(self, topic: Topic<K2, R>) -> Self {
        Agent(self.0).sink(topic);
        self
    }

    /// How answers become bytes (default: [`Json`](crate::codec::Json)).
    pub fn codec(self, codec: impl Codec<R>) -> Self {
        self.0.answer_with(Arc::new(codec));
        self
    }

    /// The agent, asked in such a way that the answer goes to `topic`, under a key that the request says. (Faust:
    /// `reply_to`.) For agents, which cannot wait for answers: what one sends is sent with its commit. Another agent,
    /// or the same, attends to the answers.
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
    /// Request, handling and answer are each in a transaction, so none is lost or done twice. The answer has the request's
    /// headers that are not Marlowe's, and its timestamp. A request that is skipped or dead-lettered has no answer.
    ///
    /// It is part of the declaration of the program: an answer goes only to topics that were declared so before the start.
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
    /// Lets the agent be asked: what its handler returns for a request goes to whoever asked for it. An agent that does not
    /// say so answers nobody, and looks at no headers. (The agent of a [`stream`](crate::AgentBuilder::stream) answers `()`,
    /// when it has acknowledged the request.)
    ///
    /// [`AnsweringAgent`] tells who can ask and what is guaranteed.
    pub fn answers(self) -> AnsweringAgent<K, V, R>
    where
        R: Serialize + DeserializeOwned + Send,
    {
        self.0.answer_with(Arc::new(Json));
        AnsweringAgent(self.0)
    }
}
