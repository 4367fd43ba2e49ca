//! The declared graph: who reads and writes what, which parts share state by partition, and a drawing of it.

mod counts;
mod description;
mod error;
mod graph;
mod resolve;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use description::TopologyDescription;
pub use error::TopologyError;
pub(crate) use graph::{
    AgentNode, AgentRole, Edges, Graph, Place, TableNode, TimerKind, TimerNode, TopicNode, TopicRole,
};

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
    /// The topic whose partitions the workers share out, and which holds no records.
    pub(crate) fn anchor(&self, group: &Group) -> Arc<str> {
        format!("{}-{}-anchor", self.graph.app, group.name).into()
    }

    /// The topic of one partition whose owner is the leader.
    pub(crate) fn leader_anchor(&self) -> Arc<str> {
        format!("{}-leader-anchor", self.graph.app).into()
    }
}
