//! The topology: the declared program as a graph, with its co-partition groups and partition
//! counts.
//!
//! The words, with their names elsewhere:
//!
//! - A *co-partition group* is a set of topics and tables that must have the same number of
//!   partitions, because agents and partition timers use them together. (Kafka Streams: a
//!   sub-topology with its co-partitioned topics.)
//! - A *shard* is partition *p* of all topics and tables of a group. One worker owns it at a time.
//!   (Kafka Streams: a task.)
//! - An *anchor* is a topic without records. The members of the consumer group share out its
//!   partitions: the owner of partition *p* of a group's anchor owns shard *p*. (Kafka Streams
//!   assigns tasks in its own assignor instead.)
//! - The *log of places* of a group has every agent's place in every input. It has one partition
//!   for each shard. (Kafka: the group's committed offsets. The log has one place for each agent,
//!   and cannot fall behind the state.)

// How a program becomes a topology:
//
// ```text
//  declarations of the app
//     v
//  Graph                      plain data: topics, tables, agents, timers, edges
//     v  Topology::resolve    checks of names, bounds, inboxes, sinks, dead letters
//     |                       union of topics and tables that share state  ->  groups
//     |                       one number of partitions for each group
//     v                       check that no two topics have one name
//  Topology                   the graph, its groups, the partitions of each topic
//     v  describe
//  TopologyDescription        JSON, Mermaid, DOT
// ```
//
// Nothing here talks to a broker. The numbers of partitions that topics already have are passed
// in. A program that cannot run as declared gets a `TopologyError`, before anything is created
// or started.
//
// Start reading in `graph`, then `resolve`. The names of internal topics are in `names`, and the
// agreement on partitions is in `counts`.

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

/// The part of the leader's anchor name that stands for the group.
const LEADER: &str = "leader";

/// The graph after all checks, with its groups and numbers of partitions.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    pub(crate) graph: Graph,
    pub(crate) groups: Vec<Group>,
    /// The number of partitions of each topic.
    pub(crate) partitions: BTreeMap<Arc<str>, u32>,
}

/// A co-partition group: topics, and the tables that their agents share by partition. Partition *p*
/// of all of them is one shard.
#[doc(alias = "sub-topology")]
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
    /// Returns the program's own topics that its agents read, each once.
    pub(crate) fn reads(&self) -> Vec<Reads> {
        let read = |topic: &&TopicNode| {
            topic.role == TopicRole::Declared && self.graph.agents.iter().any(|agent| agent.reads == topic.name)
        };
        let topics = self.graph.topics.iter().filter(read);
        topics.map(|topic| Reads { topic: topic.name.clone(), unread: topic.unread }).collect()
    }

    /// Returns the anchor of a group: the topic whose partitions the workers share out. It has no
    /// records.
    pub(crate) fn anchor(&self, group: &Group) -> Arc<str> {
        format!("{}-{}-anchor", self.graph.app, group.name).into()
    }

    /// Returns `true` if a topic is compacted, so that only the last record of each key stays. Its
    /// records must then have keys.
    pub(crate) fn is_compacted(&self, topic: &str) -> bool {
        let topic = self.graph.topics.iter().find(|node| *node.name == *topic);
        topic.is_some_and(|topic| !matches!(topic.cleanup, Cleanup::Delete { .. }))
    }

    /// Returns `true` if records for the topic are sent in the commit's transaction, and not
    /// before.
    pub(crate) fn is_transactional(&self, topic: &str) -> bool {
        let topic = self.graph.topics.iter().find(|node| *node.name == *topic);
        topic.is_none_or(|topic| topic.transactional)
    }

    /// Returns a table whose rows have the keys of a topic's records, if there is one: an agent
    /// that reads the topic uses its slice, and its rows belong to the home partitions of their
    /// keys.
    pub(crate) fn keyed_by(&self, topic: &str) -> Option<&Arc<str>> {
        let readers = self.graph.agents.iter().filter(|agent| *agent.reads == *topic);
        let has_homes =
            |name: &Arc<str>| self.graph.tables.iter().any(|table| table.name == *name && table.inbox.is_some());
        readers.flat_map(|agent| &agent.edges.slices).find(|table| has_homes(table))
    }

    /// Returns the topic in which each shard of a group keeps the places of its agents.
    pub(crate) fn places_log(&self, group: &Group) -> Arc<str> {
        self.places_log_of(&group.name)
    }

    /// Returns the log of places of the group that has, or had, this name. A group is named after
    /// one of its tables or topics, and may get the name of another one when the program changes.
    pub(crate) fn places_log_of(&self, group: &str) -> Arc<str> {
        format!("{}-{group}-positions", self.graph.app).into()
    }

    /// Returns the topic with one partition whose owner is the leader.
    pub(crate) fn leader_anchor(&self) -> Arc<str> {
        format!("{}-{LEADER}-anchor", self.graph.app).into()
    }
}
