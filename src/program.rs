use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Cleanup, Unread};

use crate::agent::{AgentSettings, AnyAgent, FailurePolicy, RepartitionAgent};
use crate::scope::Uses;
use crate::table::{AnyTable, Keyspace};
use crate::timer::{AnyPartitionTimer, AnyWorkerTimer};
use crate::topic::{AnyTopic, StreamSource};
use crate::topology::{AgentNode, AgentRole, Beginning, Graph, TableNode, TopicNode, TopicRole, TopologyError};

/// What an app declared.
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
    /// What was wrong with a declaration, told at the start.
    pub(crate) errors: Vec<TopologyError>,
}

/// A topic of records under another key.
struct Repartition {
    topic: Arc<str>,
    /// Where its records come from.
    reads: Arc<str>,
    /// The agent that sends them.
    agent: Arc<str>,
    /// Where that begins: at the start, unless all who read the topic begin now.
    begins: Beginning,
    name: RepartitionName,
}

/// What a topic of records under another key is named after.
#[derive(Clone, PartialEq, Eq)]
enum RepartitionName {
    /// The agent that reads the stream.
    Agent(Arc<str>),
    /// The name that the program gave it: agents that read streams of one name share the topic.
    Given(Arc<str>),
}

impl RepartitionName {
    /// "the topic of the group_by of agent `count`".
    fn said(&self) -> String {
        match self {
            RepartitionName::Agent(agent) => format!("the topic of a group_by of agent `{agent}`"),
            RepartitionName::Given(name) => format!("the topic of the stream named `{name}`"),
        }
    }
}

/// What a crash can do to results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Guarantee {
    /// Nothing: positions, table changes and output become visible together, or not at all.
    #[default]
    ExactlyOnce,
    /// What was sent may be there twice: see [`App::at_least_once`](crate::App::at_least_once). Rows are exact.
    AtLeastOnce,
}

/// How long answers are kept: nobody waits for longer, and who was away for longer finds its deadlines passed.
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

    /// The topic that a stream's records are read from. Those of a `group_by` get a topic of their own, and an agent that feeds
    /// it; it fails, and begins, as the agent that reads the stream does.
    pub(crate) fn repartition(
        &mut self,
        agent: &Arc<str>,
        source: &StreamSource,
        policy: &FailurePolicy,
        begins: Beginning,
    ) -> Arc<str> {
        self.repartition_named(RepartitionName::Agent(agent.clone()), agent, source, policy, begins)
    }

    /// The same for a stream that is called `name` if it was given no name of its own. A chain of them is named from its end:
    /// what the agent reads bears the agent's name.
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

    /// The declared graph.
    pub(crate) fn graph(&self) -> Graph {
        let mut topics: Vec<TopicNode> = Vec::new();
        let mut add = |name: &Arc<str>, role, partitions, cleanup| {
            // A topic may be declared more than once, as with two types; the first declaration counts. An internal topic of the
            // same name is refused.
            let is_known = role == TopicRole::Declared && topics.iter().any(|topic| topic.name == *name);
            if !is_known {
                let declared = self.topics.iter().filter(|topic| role == TopicRole::Declared && *topic.name() == *name);
                let unread = declared.map(|topic| topic.unread()).find(|unread| *unread == Unread::Expire);
                topics.push(TopicNode {
                    name: name.clone(),
                    role,
                    partitions,
                    cleanup,
                    unread: unread.unwrap_or_default(),
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

    /// A node of the graph; a `group_by` that agents share begins where the one begins that needs most.
    fn with_beginning(&self, node: AgentNode) -> AgentNode {
        let step = self.repartitions.iter().find(|step| step.agent == node.name);
        AgentNode { begins: step.map_or(node.begins, |step| step.begins), ..node }
    }

    /// The topic in which each worker says what it has.
    pub(crate) fn workers_topic(&self) -> Arc<str> {
        format!("{}-workers", self.app).into()
    }

    /// The topic of agents' answers to those who wait for them.
    pub(crate) fn replies_topic(&self) -> Arc<str> {
        format!("{}-replies", self.app).into()
    }

    /// Whether some agent can be asked.
    pub(crate) fn answers(&self) -> bool {
        self.agents.iter().any(|agent| agent.node().answers)
    }

    pub(crate) fn table(&self, name: &str) -> Option<&'static dyn AnyTable> {
        self.tables.iter().copied().find(|table| &**table.name() == name)
    }

    /// The Faust app that tables are taken over from, if any is.
    pub(crate) fn takes_over(&self) -> Option<Arc<str>> {
        self.tables.iter().find_map(|table| table.takes_over())
    }

    fn has_inbox(&self, tables: &[Arc<str>]) -> bool {
        tables.iter().all(|name| self.table(name).is_some_and(|table| inbox(table).is_some()))
    }
}

/// The topic of changes sent to a table. A table whose rows have no home has none.
fn inbox(table: &dyn AnyTable) -> Option<Arc<str>> {
    (table.keyspace() == Keyspace::Partitioned).then(|| table.identity().inbox.clone())
}
