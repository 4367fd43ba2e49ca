use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::HandlerError;
use crate::agent::{
    Agent, AgentSettings, AgentShared, AnyAgent, EachAgent, Event, Events, FailurePolicy, KeyedStreamAgent,
    PassesEvent, StreamAgent, Then, ValueReader, Values,
};
use crate::codec::TopicKey;
use crate::limits::{LONGEST, MOST_IN_HAND, SHORTEST, wrong_interval};
use crate::program::Program;
use crate::scope::{ShardWith, Uses};
use crate::topic::{Stream, Topic};
use crate::topology::{AgentRole, Beginning, TopologyError};

/// An agent that is being declared. Made by [`App::agent`](crate::App::agent); finished by [`each`](Self::each),
/// [`each_event`](Self::each_event) or [`stream`](Self::stream).
///
/// ```
/// # let mut app = marlowe::App::new("shop");
/// let orders = app.topic::<String, u64>("orders");
/// let broken = app.topic::<String, u64>("broken-orders");
/// let pieces = app.table::<String, u64>("pieces");
///
/// app.agent("count", orders).with(pieces).retries(1).dead_letter(broken).each_event(async |pieces, order| {
///     if order.value == 0 {
///         return Err("an order of nothing".into());
///     }
///     pieces.update(order.key, |count| *count += order.value);
///     Ok(())
/// });
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

    /// Declares what the handler uses: a table, a global table, a view, an inbox, a topic, another agent, or a tuple of
    /// them. The handler gets them opened for its shard, and nothing else.
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
    /// Lets up to `events` events of different keys of one partition be in hand at a time, for handlers that wait for
    /// something slow (default: 1, at most 4,096).
    ///
    /// Events of one key keep their order, and a handler is still a transaction: each works on an overlay of its own,
    /// they are applied in the order they came, and one that used a row which was changed meanwhile is run again (after
    /// a few times, alone). So a handler may run more than once, as it may after a crash.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let mut app = marlowe::App::new("shop");
    /// # let orders = app.topic::<String, u64>("orders");
    /// # let paid = app.table::<String, u64>("paid");
    /// app.agent("pay", orders).with(paid).concurrency(16).each_event(async |paid, order| {
    ///     tokio::time::sleep(Duration::from_millis(20)).await; // a call to the bank; other orders go on
    ///     paid.update(order.key, |total| *total += order.value);
    ///     Ok(())
    /// });
    /// ```
    pub fn concurrency(mut self, events: u32) -> Self {
        if events == 0 || events > MOST_IN_HAND {
            self.refuse(format!("concurrency({events}) cannot be: use 1 to {MOST_IN_HAND}"));
        }
        self.concurrency = events;
        self
    }

    /// Notes a setting that cannot be meant, for the start to tell.
    fn refuse(&mut self, reason: String) {
        self.program.errors.push(TopologyError::OutOfBounds { what: format!("agent `{}`", self.name), reason });
    }

    /// Begins at the first record that is there, when the agent is new (default): an agent that is added to a program handles
    /// what the topic has kept, and nothing is lost.
    ///
    /// An agent is new in a partition that no agent of its name has read in this app: when it is added, and also when it is
    /// renamed. Any other goes on where it was, whatever is said here. [`from_now`](Self::from_now) is the other choice.
    pub fn from_start(mut self) -> Self {
        self.begins = Beginning::Start;
        self
    }

    /// Begins at the end of its topic, when the agent is new: what was there before is not for it.
    ///
    /// The end is that of the moment at which a worker first opens the agent in a partition. It is committed before the agent
    /// handles anything, so what comes afterwards is handled, also if no worker runs when it comes. What stands before a
    /// [`group_by`](crate::Stream::group_by) begins in the same way, unless another agent shares it that is
    /// [`from_start`](Self::from_start), which also says when an agent is new.
    ///
    /// ```
    /// # let mut app = marlowe::App::new("shop");
    /// # let orders = app.topic::<String, u64>("orders");
    /// app.agent("notify", orders).from_now().each_event(async |(), order| {
    ///     println!("a new order of {}", order.key); // not for the orders of last year
    ///     Ok(())
    /// });
    /// ```
    pub fn from_now(mut self) -> Self {
        self.begins = Beginning::Now;
        self
    }

    /// How often a failed event is tried again (default: 3).
    pub fn retries(mut self, retries: u32) -> Self {
        self.policy.retries = retries;
        self
    }

    /// How long to wait before the first retry (default: 100 ms; zero tries again at once); it doubles each time, up to
    /// 30 s.
    pub fn backoff(mut self, first: Duration) -> Self {
        if let Some(reason) = wrong_interval(first.max(SHORTEST), LONGEST) {
            self.refuse(format!("its backoff of {reason}"));
        }
        self.policy.backoff = first;
        self
    }

    /// Passes over events that failed every time, instead of stopping the worker. Whoever [asked](crate::AskClient) is told.
    pub fn skip(mut self) -> Self {
        self.policy.then = Then::Skip;
        self
    }

    /// Sends events that failed every time to `topic`, instead of stopping the worker: the original key, value and
    /// headers, with the headers `marlowe-error`, `marlowe-agent`, `marlowe-topic`, `marlowe-partition` and
    /// `marlowe-offset` besides. They are spread by murmur2 of the key, whatever the topic's own partitioner is. Whoever
    /// [asked](crate::AskClient) is told.
    ///
    /// Dead letters must not lead back to where the event came from: neither into the agent's own input nor by the dead
    /// letters of other agents, or the event would go round for ever. Such a program is refused at the start. To try events
    /// again later, read the dead letters with an agent that sends them back from its handler.
    pub fn dead_letter<K2: TopicKey, V2: 'static>(mut self, topic: Topic<K2, V2>) -> Self {
        self.policy.then = Then::DeadLetter(topic.0.name.clone(), topic.0.settings().partitioner);
        self
    }

    /// Handles each value. What the handler does applies, all together, when it returns `Ok`; its value is the reply,
    /// which goes to the agent's [`sink`](Agent::sink)s, and to whoever asked if the agent [answers](Agent::answers).
    ///
    /// ```
    /// # let mut app = marlowe::App::new("weather");
    /// let celsius = app.topic::<String, f64>("celsius");
    /// let fahrenheit = app.topic::<String, f64>("fahrenheit");
    /// app.agent("convert", celsius).each(async |(), degrees| Ok(degrees * 1.8 + 32.0)).sink(fahrenheit);
    /// ```
    pub fn each<R, F>(self, handler: F) -> Agent<K, V, R>
    where
        R: 'static,
        F: AsyncFn(W::Opened, V) -> Result<R, HandlerError> + Send + Sync + 'static,
    {
        self.finish(|settings, shared, reader, with| {
            Box::leak(Box::new(EachAgent { settings, shared, reader, with, handler, mode: PhantomData::<Values> }))
        })
    }

    /// Handles each event, with its key, timestamp, headers and offset.
    pub fn each_event<R, F>(self, handler: F) -> Agent<K, V, R>
    where
        R: 'static,
        F: AsyncFn(W::Opened, Event<K, V>) -> Result<R, HandlerError> + Send + Sync + 'static,
    {
        self.finish(|settings, shared, reader, with| {
            Box::leak(Box::new(EachAgent { settings, shared, reader, with, handler, mode: PhantomData::<PassesEvent> }))
        })
    }

    /// Handles the stream itself: the handler asks for one event after the other, and is begun anew if it ends.
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
    /// A stream takes its events in turn; [`concurrency`](Self::concurrency) is for `each`.
    pub fn stream<F>(mut self, handler: F) -> Agent<K, V>
    where
        F: AsyncFn(W::Opened, Events<K, V>) -> Result<(), HandlerError> + Send + Sync + 'static,
    {
        self.concurrency = 1;
        self.finish(|settings, shared, reader, with| {
            let agent = StreamAgent { settings, reader, with, handler };
            Box::leak(Box::new(KeyedStreamAgent(agent, shared)))
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
