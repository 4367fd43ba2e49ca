//! The builder of an agent: its stream, what its handler uses, what happens when the handler fails,
//! and the handler itself.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::HandlerError;
use crate::agent::{
    Agent, AgentSettings, AgentShared, AnyAgent, EachAgent, Event, Events, FailurePolicy, StreamAgent, Take,
    TakesEvents, TakesValues, Then, ValueReader,
};
use crate::codec::TopicKey;
use crate::limits::{LONGEST, MOST_IN_HAND, SHORTEST, wrong_interval};
use crate::program::Program;
use crate::scope::{ShardWith, Uses};
use crate::topic::{Stream, Topic};
use crate::topology::{AgentRole, Beginning, TopologyError};

/// A builder of an agent. Made by [`App::agent`](crate::App::agent), and finished by
/// [`each`](Self::each), [`each_event`](Self::each_event) or [`stream`](Self::stream).
///
/// ```
/// # let mut app = marlowe::App::new("shop");
/// let orders = app.topic::<String, u64>("orders");
/// let broken = app.topic::<String, u64>("broken-orders");
/// let pieces = app.table::<String, u64>("pieces");
///
/// app.agent("count", orders).with(pieces).retries(1).dead_letter(broken).each_event(
///     async |pieces, order| {
///         if order.value == 0 {
///             return Err("an order of nothing".into());
///         }
///         pieces.update(order.key, |count| *count += order.value);
///         Ok(())
///     },
/// );
/// ```
#[must_use = "an agent is declared by `.each(...)`, `.each_event(...)` or `.stream(...)`"]
pub struct AgentBuilder<'a, K: 'static, V: 'static, W = ()> {
    program: &'a mut Program,
    name: Arc<str>,
    stream: Stream<K, V>,
    with: W,
    begins: Beginning,
    concurrency: u32,
    policy: FailurePolicy,
}

impl<'a, K: TopicKey, V: 'static> AgentBuilder<'a, K, V> {
    pub(crate) fn new(program: &'a mut Program, name: &str, stream: Stream<K, V>) -> Self {
        let (begins, policy) = (Beginning::default(), FailurePolicy::default());
        Self { program, name: name.into(), stream, with: (), begins, concurrency: 1, policy }
    }

    /// Declares what the handler uses: a table, a global table, a view, an inbox, a topic, another
    /// agent, or a tuple of them. The handler gets each of them opened for its shard, and nothing
    /// else.
    pub fn with<W: ShardWith>(self, with: W) -> AgentBuilder<'a, K, V, W> {
        AgentBuilder {
            program: self.program,
            name: self.name,
            stream: self.stream,
            with,
            begins: self.begins,
            concurrency: self.concurrency,
            policy: self.policy,
        }
    }
}

impl<K: TopicKey, V: 'static, W: ShardWith> AgentBuilder<'_, K, V, W> {
    /// Allows up to `events` events of one partition, with different keys, to be in flight at the
    /// same time (default: 1; at most 4,096). Use it for handlers that wait for something slow.
    ///
    /// Events of one key keep their order. A handler is still a transaction: each event works on
    /// its own overlay, and the overlays are applied in the order of the events. If another event
    /// has changed a row that a handler used, the handler runs again. After a few such conflicts it
    /// runs alone. So a handler may run more than once for an event, as it may after a crash.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let mut app = marlowe::App::new("shop");
    /// # let orders = app.topic::<String, u64>("orders");
    /// # let paid = app.table::<String, u64>("paid");
    /// app.agent("pay", orders).with(paid).concurrency(16).each_event(async |paid, order| {
    ///     tokio::time::sleep(Duration::from_millis(20)).await; // a call to the bank
    ///     paid.update(order.key, |total| *total += order.value);
    ///     Ok(())
    /// });
    /// ```
    pub fn concurrency(mut self, events: u32) -> Self {
        if events == 0 || events > MOST_IN_HAND {
            self.refuse(format!("concurrency({events}) is out of bounds: use 1 to {MOST_IN_HAND}"));
        }
        self.concurrency = events;
        self
    }

    /// Notes an invalid setting. The start of the program reports it.
    fn refuse(&mut self, reason: String) {
        self.program.errors.push(TopologyError::OutOfBounds { what: format!("agent `{}`", self.name), reason });
    }

    /// Lets a new agent begin at the first record that its topic still has (default). So an agent
    /// that is added to a program handles everything that the topic has kept.
    ///
    /// An agent is new in a partition if no agent of its name has read that partition in this app.
    /// This is so when the agent is added, and also when it is renamed. Any other agent continues
    /// where it was, and this setting does not affect it. The alternative is
    /// [`from_now`](Self::from_now).
    pub fn from_start(mut self) -> Self {
        self.begins = Beginning::Start;
        self
    }

    /// Lets a new agent begin at the end of its topic, so that it does not handle older records.
    ///
    /// The end is taken at the moment when a worker first opens the agent in a partition. It is
    /// committed before the agent handles anything. So later records are handled, even if no worker
    /// runs when they arrive. An agent that repartitions the stream for a
    /// [`group_by`](crate::topic::Stream::group_by) begins in the same way, unless another agent
    /// that shares it is [`from_start`](Self::from_start). That method also says when an agent is
    /// new.
    ///
    /// ```
    /// # let mut app = marlowe::App::new("shop");
    /// # let orders = app.topic::<String, u64>("orders");
    /// app.agent("notify", orders).from_now().each_event(async |(), order| {
    ///     println!("a new order of {}", order.key); // not called for the orders of last year
    ///     Ok(())
    /// });
    /// ```
    pub fn from_now(mut self) -> Self {
        self.begins = Beginning::Now;
        self
    }

    /// Sets how often a failed event is retried (default: 3).
    pub fn retries(mut self, retries: u32) -> Self {
        self.policy.retries = retries;
        self
    }

    /// Sets the wait before the first retry (default: 100 ms). The wait doubles with each retry, up
    /// to 30 s. Zero retries at once.
    pub fn backoff(mut self, first: Duration) -> Self {
        if let Some(reason) = wrong_interval(first.max(SHORTEST), LONGEST) {
            self.refuse(format!("its backoff of {reason}"));
        }
        self.policy.backoff = first;
        self
    }

    /// Skips events that failed every time, instead of stopping the worker. A caller that
    /// [asked](crate::agent::AskClient) is told of the failure.
    pub fn skip(mut self) -> Self {
        self.policy.then = Then::Skip;
        self
    }

    /// Sends events that failed every time to `topic`, instead of stopping the worker. The dead
    /// letter has the original key, value and headers, and also the headers `marlowe-error`,
    /// `marlowe-agent`, `marlowe-topic`, `marlowe-partition` and `marlowe-offset`. The partitioner
    /// of `topic` chooses its partition by the key. A caller that [asked](crate::agent::AskClient)
    /// is told of the failure.
    ///
    /// Dead letters must not lead back to the agent's own input, neither directly nor through the
    /// dead letters of other agents. Otherwise an event could circulate forever. Such a program is
    /// refused at the start. To retry events later, read the dead letters with an agent that sends
    /// them back from its handler.
    pub fn dead_letter<K2: TopicKey, V2: 'static>(mut self, topic: Topic<K2, V2>) -> Self {
        self.policy.then = Then::DeadLetter(topic.0.name.clone(), topic.0.settings().partitioner);
        self
    }

    /// Handles each value. The effects of the handler are applied together when it returns `Ok`.
    /// The returned value is the reply. It goes to the agent's [`sink`](Agent::sink)s, and to the
    /// caller if the agent [answers](Agent::answers).
    ///
    /// ```
    /// # let mut app = marlowe::App::new("weather");
    /// let celsius = app.topic::<String, f64>("celsius");
    /// let fahrenheit = app.topic::<String, f64>("fahrenheit");
    /// app.agent("convert", celsius)
    ///     .each(async |(), degrees| Ok(degrees * 1.8 + 32.0))
    ///     .sink(fahrenheit);
    /// ```
    pub fn each<R, F>(self, handler: F) -> Agent<K, V, R>
    where
        R: 'static,
        F: AsyncFn(W::Opened, V) -> Result<R, HandlerError> + Send + Sync + 'static,
    {
        self.finish_each::<TakesValues, R, F>(handler)
    }

    /// Handles each event, with its key, timestamp, headers and offset. Everything else is as for
    /// [`each`](Self::each).
    pub fn each_event<R, F>(self, handler: F) -> Agent<K, V, R>
    where
        R: 'static,
        F: AsyncFn(W::Opened, Event<K, V>) -> Result<R, HandlerError> + Send + Sync + 'static,
    {
        self.finish_each::<TakesEvents, R, F>(handler)
    }

    /// Handles the stream itself: the handler asks for one event after the other. If the handler
    /// ends, it is started again.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let mut app = marlowe::App::new("weather");
    /// # let celsius = app.topic::<String, f64>("celsius");
    /// # let warmest = app.table::<String, f64>("warmest").partition_local();
    /// app.agent("maximum", celsius).with(warmest).stream(async |warmest, mut values| {
    ///     loop {
    ///         let batch = values.take(100, Duration::from_secs(1)).await; // one transaction
    ///         let most = batch.into_iter().fold(f64::NEG_INFINITY, f64::max);
    ///         warmest.update_with("here", |row| *row = Some(row.unwrap_or(most).max(most)));
    ///     }
    /// });
    /// ```
    ///
    /// A stream handles its events one after the other. [`concurrency`](Self::concurrency) has no
    /// effect on it.
    pub fn stream<F>(mut self, handler: F) -> Agent<K, V>
    where
        F: AsyncFn(W::Opened, Events<K, V>) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        self.concurrency = 1;
        self.finish(|settings, shared, reader, with| {
            Box::leak(Box::new(StreamAgent { settings, shared, reader, with, handler }))
        })
    }

    fn finish_each<T, R, F>(self, handler: F) -> Agent<K, V, R>
    where
        T: Take<K, V>,
        R: 'static,
        F: AsyncFn(W::Opened, T::Taken) -> Result<R, HandlerError> + Send + Sync + 'static,
    {
        self.finish(|settings, shared, reader, with| {
            Box::leak(Box::new(EachAgent { settings, shared, reader, with, handler, takes: PhantomData::<T> }))
        })
    }

    fn finish<R: 'static>(
        self,
        agent: impl FnOnce(AgentSettings, &'static AgentShared<K, V, R>, ValueReader<V>, W) -> &'static dyn AnyAgent,
    ) -> Agent<K, V, R> {
        let Self { program, name, stream, with, begins, concurrency, policy } = self;
        let reads = program.repartition(&name, &stream.source, &policy, begins);
        let mut uses = Uses::default();
        with.declare(&mut uses);
        let shared =
            &*Box::leak(Box::new(AgentShared::new(name.clone(), reads.clone(), program.replies_topic(), &stream)));
        let settings = AgentSettings { name, role: AgentRole::Declared, reads, begins, concurrency, policy, uses };
        let reader = ValueReader { codec: stream.codec, filters: stream.filters };
        program.agents.push(agent(settings, shared, reader, with));
        Agent(shared)
    }
}
