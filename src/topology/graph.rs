//! The program as declared, as plain data: its topics, tables, agents and timers, and the edges
//! between them.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Cleanup, Unread};
use serde::Serialize;

/// The program as declared: its parts, and the edges between them. It is plain data, without types
/// or code.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub(crate) app: Arc<str>,
    pub(crate) default_partitions: u32,
    pub(crate) topics: Vec<TopicNode>,
    pub(crate) tables: Vec<TableNode>,
    pub(crate) agents: Vec<AgentNode>,
    pub(crate) timers: Vec<TimerNode>,
}

/// A topic of the graph.
#[derive(Clone, Debug)]
pub(crate) struct TopicNode {
    pub(crate) name: Arc<str>,
    pub(crate) role: TopicRole,
    /// The declared number of partitions.
    pub(crate) partitions: Option<u32>,
    pub(crate) cleanup: Cleanup,
    /// The treatment of records that retention would remove before they are read.
    pub(crate) unread: Unread,
    /// True if records are sent in the commit's transaction. Otherwise they are sent as soon as
    /// their event has finished.
    pub(crate) transactional: bool,
}

/// The purpose of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TopicRole {
    /// A topic that the program declares.
    Declared,
    /// Records on their way to another key.
    Repartition,
    /// Changes to a table, on their way to the rows' owners.
    Inbox,
    /// A table's committed changes.
    Changelog,
    /// The directory of workers.
    Workers,
    /// Answers of agents to callers that asked them.
    Replies,
}

/// A table of the graph.
#[derive(Clone, Debug)]
pub(crate) struct TableNode {
    pub(crate) name: Arc<str>,
    pub(crate) kind: TableKind,
    pub(crate) partitions: Option<u32>,
    /// The number of rows of a slice that are kept decoded.
    pub(crate) cache_rows: usize,
    pub(crate) changelog: Arc<str>,
    pub(crate) inbox: Option<Arc<str>>,
}

/// The topics and tables that an agent or timer uses: its edges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Edges {
    /// Tables whose slice it reads and writes.
    #[serde(rename = "tables")]
    pub(crate) slices: Vec<Arc<str>>,
    /// Tables that it reads through a view.
    pub(crate) views: Vec<Arc<str>>,
    /// Global tables that it reads from the worker's copy.
    pub(crate) copies: Vec<Arc<str>>,
    /// Tables that it sends changes to.
    pub(crate) inboxes: Vec<Arc<str>>,
    /// Topics that it sends to.
    pub(crate) topics: Vec<Arc<str>>,
}

/// An agent of the graph.
#[derive(Clone, Debug)]
pub(crate) struct AgentNode {
    pub(crate) name: Arc<str>,
    pub(crate) role: AgentRole,
    pub(crate) reads: Arc<str>,
    pub(crate) begins: Beginning,
    pub(crate) concurrency: u32,
    /// True if the agent answers requests.
    pub(crate) answers: bool,
    /// A sink that nothing would reach, because the agent returns nothing to send to it.
    pub(crate) unfed_sink: Option<Arc<str>>,
    /// The topic for events that failed every attempt, if there is one.
    pub(crate) dead_letter: Option<Arc<str>>,
    pub(crate) edges: Edges,
}

/// The place where an agent begins in a topic that it has never read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// At the first record that exists.
    #[default]
    Start,
    /// At the end that the topic has when the agent is first opened.
    Now,
}

/// The purpose of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AgentRole {
    /// An agent that the program declares.
    Declared,
    /// Sends records on under another key, for a `group_by`.
    Repartition,
    /// Applies the changes in a table's inbox.
    Inbox,
}

/// A timer, crontab, task or source of the graph.
#[derive(Clone, Debug)]
pub(crate) struct TimerNode {
    pub(crate) name: Arc<str>,
    pub(crate) kind: TimerKind,
    pub(crate) place: Place,
    pub(crate) edges: Edges,
}

/// The times at which a timer runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TimerKind {
    Every(Duration),
    Crontab(String),
    Task,
    Source,
}

impl std::fmt::Display for TimerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TimerKind::Every(interval) => write!(f, "every {interval:?}"),
            TimerKind::Crontab(times) => write!(f, "at {times}"),
            TimerKind::Task => f.write_str("once"),
            TimerKind::Source => f.write_str("once, resumed"),
        }
    }
}

/// The place where a timer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// In every shard of its tables' group.
    Shard,
    /// On every worker.
    Worker,
    /// On one worker of the cluster.
    Leader,
}

/// The kind of a table: with or without a copy on every worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TableKind {
    /// Each slice is only with its owner (and its standbys).
    Table,
    /// Every worker also has a read-only copy of the whole table.
    Global,
}
