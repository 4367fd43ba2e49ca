//! The declared graph: who reads and writes what, which parts share state by partition, and a drawing of it.

mod bounds;
mod counts;
mod dead_letters;
mod description;
mod error;
mod graph;
mod names;
mod resolve;

pub use description::TopologyDescription;
pub use error::TopologyError;
pub use graph::TableKind;
pub(crate) use graph::{
    AgentNode, AgentRole, Beginning, Edges, Graph, Place, TableNode, TimerKind, TimerNode, TopicNode, TopicRole,
};
pub(crate) use names::{InternalTopic, list_topic, source_topic};

use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{Cleanup, Reads};

/// What the leader's anchor is named after.
const LEADER: &str = "leader";

/// The graph, checked, with its groups and partition counts.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    pub(crate) graph: Graph,
    pub(crate) groups: Vec<Group>,
    /// How many partitions each topic has.
    pub(crate) partitions: BTreeMap<Arc<str>, u32>,
}

/// A co-partition group: topics, and the tables their agents share by partition. Partition *p* of all of them is one shard.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Group {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: u32,
    pub(crate) topics: Vec<Arc<str>>,
    pub(crate) tables: Vec<Arc<str>>,
    pub(crate) agents: Vec<Arc<str>>,
    pub(crate) timers: Vec<Arc<str>>,
}

impl Topology {
    /// The program's own topics that its agents read, each once.
    pub(crate) fn reads(&self) -> Vec<Reads> {
        let read = |topic: &&TopicNode| {
            topic.role == TopicRole::Declared && self.graph.agents.iter().any(|agent| agent.reads == topic.name)
        };
        let topics = self.graph.topics.iter().filter(read);
        topics.map(|topic| Reads { topic: topic.name.clone(), unread: topic.unread }).collect()
    }

    /// The topic whose partitions the workers share out, and which holds no records.
    pub(crate) fn anchor(&self, group: &Group) -> Arc<str> {
        format!("{}-{}-anchor", self.graph.app, group.name).into()
    }

    /// Whether only the last record of each key stays in a topic: then its records must have keys.
    pub(crate) fn is_compacted(&self, topic: &str) -> bool {
        let topic = self.graph.topics.iter().find(|node| *node.name == *topic);
        topic.is_some_and(|topic| !matches!(topic.cleanup, Cleanup::Delete { .. }))
    }

    /// A table whose rows have the keys that the records of a topic have, if there is one: an agent that reads the topic uses it,
    /// and a row's home is that of its key.
    pub(crate) fn keyed_by(&self, topic: &str) -> Option<&Arc<str>> {
        let readers = self.graph.agents.iter().filter(|agent| *agent.reads == *topic);
        let has_homes =
            |name: &Arc<str>| self.graph.tables.iter().any(|table| table.name == *name && table.inbox.is_some());
        readers.flat_map(|agent| &agent.edges.slices).find(|table| has_homes(table))
    }

    /// The topic in which each shard of a group keeps where its agents are.
    pub(crate) fn places_log(&self, group: &Group) -> Arc<str> {
        self.places_log_of(&group.name)
    }

    /// The same of the group that has, or had, this name. A group's name is that of one of its tables or topics, and may be
    /// that of another when the program is changed.
    pub(crate) fn places_log_of(&self, group: &str) -> Arc<str> {
        format!("{}-{group}-positions", self.graph.app).into()
    }

    /// The topic of one partition whose owner is the leader.
    pub(crate) fn leader_anchor(&self) -> Arc<str> {
        format!("{}-{LEADER}-anchor", self.graph.app).into()
    }
}
