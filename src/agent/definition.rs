//! The declaration of an agent, with and without its types, and its opening in a shard.

use std::marker::PhantomData;
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
use super::open::{OpenAgent, RunningAgent};
use super::runner::Runner;
use super::serial::serial;
use super::sink::OpenSink;
use super::stream::{Events, stream};
use crate::HandlerError;
use crate::codec::{CodecError, TopicKey};
use crate::scope::{ShardScope, ShardWith, Uses};
use crate::topic::open_out_topic;
use crate::topology::{AgentNode, AgentRole, Beginning};
use crate::turn::{Cursor, Doer, RecordQueue, ShardLink, Strand};

/// An agent without its types: the interface that the topology and the shards need.
pub(crate) trait AnyAgent: Send + Sync {
    fn node(&self) -> AgentNode;

    /// Opens the agent in a shard.
    fn open(&'static self, opening: Opening<'_>) -> RunningAgent;
}

/// The shard in which an agent is opened.
pub(crate) struct Opening<'a> {
    pub(crate) scope: &'a ShardScope,
    /// The agent's number among the agents of its strand.
    pub(crate) who: usize,
    /// The agent's number among all agents and timers of the shard.
    pub(crate) number: Doer,
    pub(crate) input: Rc<RecordQueue>,
    pub(crate) link: Rc<ShardLink>,
    pub(crate) strand: Rc<Strand>,
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
    ) -> RunningAgent {
        let Opening { scope, who, number, input, link, strand } = opening;
        let agent = Rc::new(OpenAgent::new(self.name.clone(), input));
        let dead_letter = match &self.policy.then {
            Then::DeadLetter(topic, partitioner) => Some(open_out_topic(topic, *partitioner, scope)),
            Then::Stop | Then::Skip => None,
        };
        let runner = Runner {
            agent: agent.clone(),
            who,
            number,
            link,
            strand,
            participants: scope.take_used(),
            policy: self.policy.clone(),
            dead_letter,
            clock: scope.worker.clock.clone(),
            answers,
        };
        RunningAgent { agent, work: work(runner) }
    }
}

/// The part of a record that an agent's handler takes: its value, or the whole event.
pub(crate) trait Take<K, V>: Send + Sync + 'static {
    type Taken;

    /// Reads what the handler takes. Returns `None` if the record does not pass the filters.
    fn take(
        reader: &ValueReader<V>,
        at: &RecordRef<'_>,
        record: &Cursor,
        input: &RecordQueue,
    ) -> Result<Option<Self::Taken>, CodecError>;
}

/// The handler takes values.
pub(crate) struct TakesValues;

impl<K, V: 'static> Take<K, V> for TakesValues {
    type Taken = V;

    // Otherwise the compiler does not inline the handler's future, which costs about fifty
    // instructions for each event.
    #[inline(always)]
    fn take(reader: &ValueReader<V>, at: &RecordRef<'_>, _: &Cursor, _: &RecordQueue) -> Result<Option<V>, CodecError> {
        reader.read(at)
    }
}

/// The handler takes whole events.
pub(crate) struct TakesEvents;

impl<K: TopicKey, V: 'static> Take<K, V> for TakesEvents {
    type Taken = Event<K, V>;

    #[inline]
    fn take(
        reader: &ValueReader<V>,
        _: &RecordRef<'_>,
        record: &Cursor,
        input: &RecordQueue,
    ) -> Result<Option<Event<K, V>>, CodecError> {
        reader.read_event(record, &input.source)
    }
}

/// An agent whose handler gets one event at a time, as `T` takes it.
pub(crate) struct EachAgent<K: 'static, V: 'static, R: 'static, W, F, T> {
    pub(crate) settings: AgentSettings,
    pub(crate) shared: &'static AgentShared<K, V, R>,
    pub(crate) reader: ValueReader<V>,
    pub(crate) with: W,
    pub(crate) handler: F,
    pub(crate) takes: PhantomData<T>,
}

struct EachHandler<K, V: 'static, R, O, F: 'static, T> {
    handler: &'static F,
    opened: O,
    reader: ValueReader<V>,
    sinks: Vec<OpenSink<R>>,
    answering: Option<Answering<R>>,
    link: Rc<ShardLink>,
    input: Rc<RecordQueue>,
    takes: PhantomData<(fn() -> K, T)>,
}

impl<K, V, R, O, F, T> Handler for EachHandler<K, V, R, O, F, T>
where
    V: 'static,
    R: 'static,
    O: Clone,
    T: Take<K, V>,
    F: AsyncFn(O, T::Taken) -> Result<R, HandlerError>,
{
    type Reply = R;

    #[inline]
    async fn handle(&self, at: &RecordRef<'_>, record: &Cursor) -> Result<Option<R>, Unhandled> {
        let Some(taken) = T::take(&self.reader, at, record, &self.input)? else { return Ok(None) };
        Ok(Some((self.handler)(self.opened.clone(), taken).await?))
    }

    fn replies(&self) -> bool {
        !self.sinks.is_empty() || self.answering.is_some()
    }

    fn reply(&self, record: &Cursor, reply: R) -> Result<(), HandlerError> {
        for sink in &self.sinks {
            sink.send(&self.link.turn, record, &reply)?;
        }
        if let Some(answering) = &self.answering {
            answering.send(record, &reply)?;
        }
        Ok(())
    }
}

impl<K, V, R, W, F, T> AnyAgent for EachAgent<K, V, R, W, F, T>
where
    K: TopicKey,
    V: 'static,
    R: 'static,
    W: ShardWith,
    T: Take<K, V>,
    F: AsyncFn(W::Opened, T::Taken) -> Result<R, HandlerError> + Send + Sync + 'static,
{
    fn node(&self) -> AgentNode {
        AgentNode {
            answers: self.shared.answers(),
            ..self.settings.node([self.shared.sink_topics(), self.shared.target_topics()].concat())
        }
    }

    fn open(&'static self, opening: Opening<'_>) -> RunningAgent {
        let handler = EachHandler {
            handler: &self.handler,
            opened: self.with.open_in_shard(opening.scope),
            reader: self.reader.clone(),
            sinks: self.shared.open_sinks(opening.scope),
            answering: self.shared.open_answering(opening.scope),
            link: opening.link.clone(),
            input: opening.input.clone(),
            takes: PhantomData::<(fn() -> K, T)>,
        };
        let answers = handler.answering.as_ref().map(|answering| answering.open.clone());
        self.settings.open(opening, answers, |runner| match self.settings.concurrency {
            0 | 1 => Box::pin(serial(runner, handler)),
            limit => Box::pin(concurrent(runner, handler, limit as usize)),
        })
    }
}

/// An agent whose handler gets the stream itself.
pub(crate) struct StreamAgent<K: 'static, V: 'static, W, F> {
    pub(crate) settings: AgentSettings,
    pub(crate) shared: &'static AgentShared<K, V, ()>,
    pub(crate) reader: ValueReader<V>,
    pub(crate) with: W,
    pub(crate) handler: F,
}

impl<K, V, W, F> AnyAgent for StreamAgent<K, V, W, F>
where
    K: TopicKey,
    V: 'static,
    W: ShardWith,
    F: AsyncFn(W::Opened, Events<K, V>) -> Result<(), HandlerError> + Send + Sync + 'static,
{
    fn node(&self) -> AgentNode {
        AgentNode {
            answers: self.shared.answers(),
            unfed_sink: self.shared.sink_topics().into_iter().next(),
            ..self.settings.node(self.shared.target_topics())
        }
    }

    fn open(&'static self, opening: Opening<'_>) -> RunningAgent {
        let opened = self.with.open_in_shard(opening.scope);
        let reader = self.reader.clone();
        let answering = self.shared.open_answering(opening.scope);
        let answers = answering.as_ref().map(|answering| answering.open.clone());
        self.settings.open(opening, answers, |runner| {
            Box::pin(async move {
                stream(runner, reader, answering, |events| (self.handler)(opened.clone(), events)).await;
            })
        })
    }
}
