//! The declaration of an agent, with and without its types, and its opening in a shard.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use marlowe_broker::RecordRef;

use super::asking::{Answering, OpenAnswers};
use super::concurrent::concurrent;
use super::event::Event;
use super::failure::{FailurePolicy, Then};
use super::handle::AgentShared;
use super::handler::{Handler, Unhandled, ValueReader};
use super::runner::Runner;
use super::serial::serial;
use super::sink::OpenSink;
use super::stream::{Events, stream};
use crate::HandlerError;
use crate::codec::TopicKey;
use crate::scope::{ShardScope, ShardWith, Uses};
use crate::topic::open_out_topic;
use crate::topology::{AgentNode, AgentRole, Beginning};
use crate::turn::{Counters, Cursor, Doer, RecordQueue, ShardLink, Strand};

/// An agent without its types: the interface that the topology and the shards need.
pub(crate) trait AnyAgent: Send + Sync {
    fn node(&self) -> AgentNode;

    /// Opens the agent in a shard. The returned future is the agent's work. It ends only after it
    /// has told the link of a failure.
    fn open(&'static self, opening: Opening<'_>) -> OpenAgent;
}

/// The shard in which an agent is opened.
pub(crate) struct Opening<'a> {
    pub(crate) scope: &'a ShardScope,
    /// The agent's number among the agents and timers of its strand.
    pub(crate) who: usize,
    /// The agent's number among all agents and timers of the shard.
    pub(crate) number: Doer,
    pub(crate) input: Rc<RecordQueue>,
    pub(crate) link: Rc<ShardLink>,
    pub(crate) strand: Rc<Strand>,
}

/// An agent that is open in a shard.
pub(crate) struct OpenAgent {
    pub(crate) name: Arc<str>,
    pub(crate) input: Rc<RecordQueue>,
    pub(crate) counters: Rc<Counters>,
    pub(crate) asks: Rc<Cell<bool>>,
    pub(crate) in_hand: Rc<Cell<usize>>,
    pub(crate) work: LocalBoxFuture<'static, ()>,
}

/// The settings that all kinds of agents have.
#[derive(Clone)]
pub(crate) struct AgentSettings {
    pub(crate) name: Arc<str>,
    pub(crate) role: AgentRole,
    pub(crate) reads: Arc<str>,
    pub(crate) begins: Beginning,
    pub(crate) concurrency: u32,
    pub(crate) policy: FailurePolicy,
    pub(crate) uses: Uses,
}

impl AgentSettings {
    pub(crate) fn node(&self, sinks: Vec<Arc<str>>) -> AgentNode {
        let mut edges = self.uses.edges();
        edges.topics.extend(sinks);
        let dead_letter = match &self.policy.then {
            Then::DeadLetter(topic, _) => Some(topic.clone()),
            Then::Stop | Then::Skip => None,
        };
        edges.topics.extend(dead_letter.clone());
        AgentNode {
            name: self.name.clone(),
            role: self.role,
            reads: self.reads.clone(),
            begins: self.begins,
            concurrency: self.concurrency,
            answers: false,
            unfed_sink: None,
            dead_letter,
            edges,
        }
    }

    /// Opens the agent and calls `work` with its runner. The handles that its handler uses must
    /// have been opened before, because the runner takes the participants that were used since the
    /// last agent.
    pub(crate) fn open(
        &self,
        opening: Opening<'_>,
        answers: Option<Rc<OpenAnswers>>,
        work: impl FnOnce(Runner) -> LocalBoxFuture<'static, ()>,
    ) -> OpenAgent {
        let Opening { scope, who, number, input, link, strand } = opening;
        let counters = Rc::new(Counters::default());
        let asks = Rc::new(Cell::new(false));
        let in_hand = Rc::new(Cell::new(0));
        let dead_letter = match &self.policy.then {
            Then::DeadLetter(topic, partitioner) => Some(open_out_topic(topic, *partitioner, scope)),
            Then::Stop | Then::Skip => None,
        };
        let runner = Runner {
            name: self.name.clone(),
            who,
            number,
            input: input.clone(),
            link,
            strand,
            participants: scope.take_used(),
            counters: counters.clone(),
            policy: self.policy.clone(),
            dead_letter,
            clock: scope.worker.clock.clone(),
            answers,
            asks: asks.clone(),
            in_hand: in_hand.clone(),
        };
        OpenAgent { name: self.name.clone(), input, counters, asks, in_hand, work: work(runner) }
    }
}

/// An agent whose handler gets one event at a time. `M` says whether it gets the value ([`Values`])
/// or the whole event ([`PassesEvent`]).
pub(crate) struct EachAgent<K: 'static, V: 'static, R: 'static, W, F, M> {
    pub(crate) settings: AgentSettings,
    pub(crate) shared: &'static AgentShared<K, V, R>,
    pub(crate) reader: ValueReader<V>,
    pub(crate) with: W,
    pub(crate) handler: F,
    pub(crate) mode: std::marker::PhantomData<M>,
}

/// A mode in which the handler gets values.
pub(crate) struct Values;

/// A mode in which the handler gets whole events.
pub(crate) struct PassesEvent;

struct EachHandler<V: 'static, R, O, F: 'static, M> {
    handler: &'static F,
    opened: O,
    reader: ValueReader<V>,
    sinks: Vec<OpenSink<R>>,
    answering: Option<Answering<R>>,
    link: Rc<ShardLink>,
    input: Rc<RecordQueue>,
    mode: std::marker::PhantomData<M>,
}

impl<V, R: 'static, O, F, M> EachHandler<V, R, O, F, M> {
    fn has_use_for_replies(&self) -> bool {
        !self.sinks.is_empty() || self.answering.is_some()
    }

    fn send_reply(&self, record: &Cursor, reply: R) -> Result<(), HandlerError> {
        for sink in &self.sinks {
            sink.send(&self.link.turn, record, &reply)?;
        }
        if let Some(answering) = &self.answering {
            answering.send(record, &reply)?;
        }
        Ok(())
    }
}

/// A mode with the key type. The key type matters only to whole events.
struct KeyedMode<K, M>(std::marker::PhantomData<(fn() -> K, M)>);

impl<K, V, R, O, F> Handler for EachHandler<V, R, O, F, KeyedMode<K, Values>>
where
    R: 'static,
    O: Clone,
    F: AsyncFn(O, V) -> Result<R, HandlerError>,
{
    type Reply = R;

    #[inline]
    async fn handle(&self, at: &RecordRef<'_>, _: &Cursor) -> Result<Option<R>, Unhandled> {
        let Some(value) = self.reader.read(at)? else { return Ok(None) };
        Ok(Some((self.handler)(self.opened.clone(), value).await?))
    }

    fn replies(&self) -> bool {
        self.has_use_for_replies()
    }

    fn reply(&self, record: &Cursor, reply: R) -> Result<(), HandlerError> {
        self.send_reply(record, reply)
    }
}

impl<K, V, R, O, F> Handler for EachHandler<V, R, O, F, KeyedMode<K, PassesEvent>>
where
    R: 'static,
    K: TopicKey,
    O: Clone,
    F: AsyncFn(O, Event<K, V>) -> Result<R, HandlerError>,
{
    type Reply = R;

    async fn handle(&self, _: &RecordRef<'_>, record: &Cursor) -> Result<Option<R>, Unhandled> {
        let Some(event) = self.reader.read_event(record, &self.input.source)? else { return Ok(None) };
        Ok(Some((self.handler)(self.opened.clone(), event).await?))
    }

    fn replies(&self) -> bool {
        self.has_use_for_replies()
    }

    fn reply(&self, record: &Cursor, reply: R) -> Result<(), HandlerError> {
        self.send_reply(record, reply)
    }
}

impl<K, V, R, W, F, M> AnyAgent for EachAgent<K, V, R, W, F, M>
where
    K: TopicKey,
    V: 'static,
    R: 'static,
    W: ShardWith,
    F: Send + Sync + 'static,
    M: Send + Sync + 'static,
    EachHandler<V, R, W::Opened, F, KeyedMode<K, M>>: Handler,
{
    fn node(&self) -> AgentNode {
        AgentNode {
            answers: self.shared.answers(),
            ..self.settings.node([self.shared.sink_topics(), self.shared.target_topics()].concat())
        }
    }

    fn open(&'static self, opening: Opening<'_>) -> OpenAgent {
        let handler = EachHandler {
            handler: &self.handler,
            opened: self.with.open_in_shard(opening.scope),
            reader: self.reader.clone(),
            sinks: self.shared.open_sinks(opening.scope),
            answering: self.shared.open_answering(opening.scope),
            link: opening.link.clone(),
            input: opening.input.clone(),
            mode: std::marker::PhantomData::<KeyedMode<K, M>>,
        };
        let answers = handler.answering.as_ref().map(|answering| answering.open.clone());
        self.settings.open(opening, answers, |runner| match self.settings.concurrency {
            0 | 1 => Box::pin(serial(runner, handler)),
            limit => Box::pin(concurrent(runner, handler, limit as usize)),
        })
    }
}

/// An agent whose handler gets the stream itself.
pub(crate) struct StreamAgent<V: 'static, W, F> {
    pub(crate) settings: AgentSettings,
    pub(crate) reader: ValueReader<V>,
    pub(crate) with: W,
    pub(crate) handler: F,
}

/// A stream agent with the type of its keys and its declared handle.
pub(crate) struct KeyedStreamAgent<K: 'static, V: 'static, W, F>(
    pub(crate) StreamAgent<V, W, F>,
    pub(crate) &'static AgentShared<K, V, ()>,
);

impl<K, V, W, F> AnyAgent for KeyedStreamAgent<K, V, W, F>
where
    K: TopicKey,
    V: 'static,
    W: ShardWith,
    F: AsyncFn(W::Opened, Events<K, V>) -> Result<(), HandlerError> + Send + Sync + 'static,
{
    fn node(&self) -> AgentNode {
        AgentNode {
            answers: self.1.answers(),
            unfed_sink: self.1.sink_topics().into_iter().next(),
            ..self.0.settings.node(self.1.target_topics())
        }
    }

    fn open(&'static self, opening: Opening<'_>) -> OpenAgent {
        let agent = &self.0;
        let opened = agent.with.open_in_shard(opening.scope);
        let reader = agent.reader.clone();
        let answering = self.1.open_answering(opening.scope);
        let answers = answering.as_ref().map(|answering| answering.open.clone());
        agent.settings.open(opening, answers, |runner| {
            Box::pin(async move {
                stream(runner, reader, answering, |events| (agent.handler)(opened.clone(), events)).await;
            })
        })
    }
}
