//! [`Program`]: everything that an app has declared, without its types, and the graph that follows
//! from it.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Cleanup, Unread};

use crate::agent::{AgentSettings, AnyAgent, FailurePolicy, RepartitionAgent};
use crate::scope::Uses;
use crate::table::{AnyTable, Keyspace};
use crate::timer::{AnyPartitionTimer, AnyWorkerTimer};
use crate::topic::{AnyTopic, StreamSource};
use crate::topology::{AgentNode, AgentRole, Beginning, Graph, TableNode, TopicNode, TopicRole, TopologyError};

/// The declarations of an app.
pub(crate) struct Program {
    pub(crate) app: Arc<str>,
    pub(crate) default_partitions: u32,
    pub(crate) guarantee: Guarantee,
    pub(crate) topics: Vec<&'static dyn AnyTopic>,
    pub(crate) tables: Vec<&'static dyn AnyTable>,
    pub(crate) agents: Vec<&'static dyn AnyAgent>,
    pub(crate) partition_timers: Vec<&'static dyn AnyPartitionTimer>,
    pub(crate) worker_timers: Vec<&'static dyn AnyWorkerTimer>,
    repartitions: Vec<Repartition>,
    /// Errors in declarations, which are reported at the start.
    pub(crate) errors: Vec<TopologyError>,
}

/// A topic of records under another key, which a `group_by` needs.
struct Repartition {
    topic: Arc<str>,
    /// The topic that its records come from.
    reads: Arc<str>,
    /// The agent that sends the records.
    agent: Arc<str>,
    /// The place where that agent begins: the first record, unless all readers of the topic begin
    /// at the end.
    begins: Beginning,
    name: RepartitionName,
}

/// The source of the name of such a topic.
#[derive(Clone, PartialEq, Eq)]
enum RepartitionName {
    /// The name of the agent that reads the stream.
    Agent(Arc<str>),
    /// The name that the program gave the stream. Agents that read streams of one name share the
    /// topic.
    Given(Arc<str>),
}

impl RepartitionName {
    /// Describes the topic, for an error: "the topic of a group_by of agent `count`".
    fn said(&self) -> String {
        match self {
            RepartitionName::Agent(agent) => format!("the topic of a group_by of agent `{agent}`"),
            RepartitionName::Given(name) => format!("the topic of the stream named `{name}`"),
        }
    }
}

/// The effect that a crash can have on results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Guarantee {
    /// No effect: positions, table changes and output become visible together, or not at all.
    #[default]
    ExactlyOnce,
    /// Sent records may be there twice. Rows are exact. See
    /// [`App::at_least_once`](crate::App::at_least_once).
    AtLeastOnce,
}

/// The retention of answers. No caller waits for longer, and one that was away for longer finds its
/// deadlines passed.
const REPLIES_KEPT: Duration = Duration::from_secs(60 * 60);

impl Program {
    pub(crate) fn new(app: &str) -> Self {
        Self {
            app: app.into(),
            default_partitions: 8,
            guarantee: Guarantee::default(),
            topics: Vec::new(),
            tables: Vec::new(),
            agents: Vec::new(),
            partition_timers: Vec::new(),
            worker_timers: Vec::new(),
            repartitions: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Returns the topic from which `agent` reads the stream `source`. If the stream has a
    /// `group_by`, declares a topic of its own and an agent that feeds it. That agent fails and
    /// begins as the agent that reads the stream does.
    pub(crate) fn repartition(
        &mut self,
        agent: &Arc<str>,
        source: &StreamSource,
        policy: &FailurePolicy,
        begins: Beginning,
    ) -> Arc<str> {
        self.repartition_named(RepartitionName::Agent(agent.clone()), agent, source, policy, begins)
    }

    /// Does the work of [`repartition`](Self::repartition), for a stream that is called `name` if
    /// it was given no name. A chain of `group_by`s is named from its end: the last topic has the
    /// name of the agent that reads it.
    fn repartition_named(
        &mut self,
        named: RepartitionName,
        name: &Arc<str>,
        source: &StreamSource,
        policy: &FailurePolicy,
        begins: Beginning,
    ) -> Arc<str> {
        let step = match source {
            StreamSource::Topic(topic) => return topic.clone(),
            StreamSource::Repartition(step) => step,
        };
        let named = step.name.clone().map_or(named, RepartitionName::Given);
        let name = step.name.as_ref().unwrap_or(name);
        let to: Arc<str> = format!("{}-{name}-repartition", self.app).into();
        let reads = self.repartition_named(named.clone(), &format!("{name}-before").into(), &step.from, policy, begins);
        if let Some(known) = self.repartitions.iter_mut().find(|known| known.topic == to) {
            if begins == Beginning::Start {
                known.begins = begins;
            }
            if known.name != named {
                let (first, second) = (known.name.said(), named.said());
                self.errors.push(TopologyError::TopicNameTaken { topic: to.clone(), first, second });
            } else if known.reads != reads {
                let (name, first, second) = (name.clone(), known.reads.clone(), reads);
                self.errors.push(TopologyError::RepartitionSources { name, first, second });
            }
            return to;
        }
        let settings = AgentSettings {
            name: format!("{name}-repartition").into(),
            role: AgentRole::Repartition,
            reads: reads.clone(),
            begins,
            concurrency: 1,
            policy: policy.clone(),
            uses: Uses::default(),
        };
        let agent = settings.name.clone();
        self.repartitions.push(Repartition { topic: to.clone(), reads, agent, begins, name: named });
        let (partitioner, rekey) = (step.partitioner, step.rekey.clone());
        self.agents.push(Box::leak(Box::new(RepartitionAgent { settings, to: to.clone(), partitioner, rekey })));
        to
    }

    /// Returns the declared graph.
    pub(crate) fn graph(&self) -> Graph {
        let mut topics: Vec<TopicNode> = Vec::new();
        let mut add = |name: &Arc<str>, role, partitions, cleanup| {
            // A topic may be declared more than once, as with two types. The first declaration
            // counts. An internal topic with the same name is refused.
            let is_known = role == TopicRole::Declared && topics.iter().any(|topic| topic.name == *name);
            if !is_known {
                let declared =
                    || self.topics.iter().filter(|topic| role == TopicRole::Declared && *topic.name() == *name);
                let unread = declared().map(|topic| topic.unread()).find(|unread| *unread == Unread::Expire);
                // The asker of an answer may read the rows next. Records of a `group_by` are on
                // their way to other rows.
                let leaves_at_once = match role {
                    TopicRole::Declared => !declared().any(|topic| topic.transactional()),
                    TopicRole::Repartition => true,
                    _ => false,
                };
                topics.push(TopicNode {
                    name: name.clone(),
                    role,
                    partitions,
                    cleanup,
                    unread: unread.unwrap_or_default(),
                    transactional: self.guarantee == Guarantee::ExactlyOnce || !leaves_at_once,
                });
            }
        };
        let keep = Cleanup::Delete { retention: None };
        for topic in &self.topics {
            add(topic.name(), TopicRole::Declared, topic.partitions(), topic.cleanup());
        }
        for Repartition { topic, .. } in &self.repartitions {
            add(topic, TopicRole::Repartition, None, keep);
        }
        for table in &self.tables {
            add(&table.identity().changelog, TopicRole::Changelog, None, Cleanup::Compact);
            if let Some(inbox) = inbox(*table) {
                add(&inbox, TopicRole::Inbox, None, keep);
            }
        }
        add(&self.workers_topic(), TopicRole::Workers, Some(1), Cleanup::Compact);
        if self.answers() {
            add(&self.replies_topic(), TopicRole::Replies, None, Cleanup::Delete { retention: Some(REPLIES_KEPT) });
        }
        Graph {
            app: self.app.clone(),
            default_partitions: self.default_partitions,
            topics,
            tables: self
                .tables
                .iter()
                .map(|table| TableNode {
                    name: table.name().clone(),
                    kind: table.identity().kind,
                    partitions: table.declared_partitions(),
                    cache_rows: table.cache_rows(),
                    changelog: table.identity().changelog.clone(),
                    inbox: inbox(*table),
                })
                .collect(),
            agents: self
                .agents
                .iter()
                .map(|agent| self.with_beginning(agent.node()))
                .filter(|node| node.role != AgentRole::Inbox || self.has_inbox(&node.edges.slices))
                .collect(),
            timers: self
                .partition_timers
                .iter()
                .map(|timer| timer.node())
                .chain(self.worker_timers.iter().map(|timer| timer.node()))
                .collect(),
        }
    }

    /// Returns a node of the graph with its beginning. A `group_by` that several agents share
    /// begins at the start if one of them does.
    fn with_beginning(&self, node: AgentNode) -> AgentNode {
        let step = self.repartitions.iter().find(|step| step.agent == node.name);
        AgentNode { begins: step.map_or(node.begins, |step| step.begins), ..node }
    }

    /// Returns the name of the topic in which each worker announces what it has.
    pub(crate) fn workers_topic(&self) -> Arc<str> {
        format!("{}-workers", self.app).into()
    }

    /// Returns the name of the topic of answers to callers that wait for them.
    pub(crate) fn replies_topic(&self) -> Arc<str> {
        format!("{}-replies", self.app).into()
    }

    /// Returns true if some agent can be asked.
    pub(crate) fn answers(&self) -> bool {
        self.agents.iter().any(|agent| agent.node().answers)
    }

    pub(crate) fn table(&self, name: &str) -> Option<&'static dyn AnyTable> {
        self.tables.iter().copied().find(|table| &**table.name() == name)
    }

    /// Returns the Faust app from which tables are taken over, if there is one.
    pub(crate) fn takes_over(&self) -> Option<Arc<str>> {
        self.tables.iter().find_map(|table| table.takes_over())
    }

    fn has_inbox(&self, tables: &[Arc<str>]) -> bool {
        tables.iter().all(|name| self.table(name).is_some_and(|table| inbox(table).is_some()))
    }
}

/// Returns the topic of changes that are sent to a table. A table whose rows have no home has none.
fn inbox(table: &dyn AnyTable) -> Option<Arc<str>> {
    (table.keyspace() == Keyspace::Partitioned).then(|| table.identity().inbox.clone())
}
