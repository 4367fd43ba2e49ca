use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Cleanup, Unread};
use serde::Serialize;

/// The program as declared: who reads and writes what. Plain data, without types or code.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub(crate) app: Arc<str>,
    pub(crate) default_partitions: u32,
    pub(crate) topics: Vec<TopicNode>,
    pub(crate) tables: Vec<TableNode>,
    pub(crate) agents: Vec<AgentNode>,
    pub(crate) timers: Vec<TimerNode>,
}

/// A topic.
#[derive(Clone, Debug)]
pub(crate) struct TopicNode {
    pub(crate) name: Arc<str>,
    pub(crate) role: TopicRole,
    /// As declared.
    pub(crate) partitions: Option<u32>,
    pub(crate) cleanup: Cleanup,
    /// What becomes of records that are removed before they are read.
    pub(crate) unread: Unread,
}

/// What a topic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TopicRole {
    /// The program's own.
    Declared,
    /// Records under another key.
    Repartition,
    /// Changes to a table.
    Inbox,
    /// A table's changes, committed.
    Changelog,
    /// What each worker has.
    Workers,
    /// Answers of agents to those who asked them.
    Replies,
}

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct TableNode {
    pub(crate) name: Arc<str>,
    pub(crate) kind: TableKind,
    pub(crate) partitions: Option<u32>,
    /// How many rows of a slice are kept decoded.
    pub(crate) cache_rows: usize,
    pub(crate) changelog: Arc<str>,
    pub(crate) inbox: Option<Arc<str>>,
}

/// What an agent or timer touches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Edges {
    /// Tables whose slice it reads and writes.
    #[serde(rename = "tables")]
    pub(crate) slices: Vec<Arc<str>>,
    /// Tables it reads through a view.
    pub(crate) views: Vec<Arc<str>>,
    /// Global tables it reads from the worker's copy.
    pub(crate) copies: Vec<Arc<str>>,
    /// Tables it sends changes to.
    pub(crate) inboxes: Vec<Arc<str>>,
    /// Topics it sends to.
    pub(crate) topics: Vec<Arc<str>>,
}

/// An agent.
#[derive(Clone, Debug)]
pub(crate) struct AgentNode {
    pub(crate) name: Arc<str>,
    pub(crate) role: AgentRole,
    pub(crate) reads: Arc<str>,
    pub(crate) begins: Beginning,
    pub(crate) concurrency: u32,
    /// Whether it can be asked.
    pub(crate) answers: bool,
    /// A sink of an agent that returns nothing to pass on.
    pub(crate) unfed_sink: Option<Arc<str>>,
    /// Where events go that failed every time, if they go anywhere.
    pub(crate) dead_letter: Option<Arc<str>>,
    pub(crate) edges: Edges,
}

/// Where an agent begins in a topic that it never read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// At the first record that is there.
    #[default]
    Start,
    /// At the end, as it is when the agent is first opened.
    Now,
}

/// Whose work an agent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AgentRole {
    /// The program's own.
    Declared,
    /// Sends records on under another key.
    Repartition,
    /// Applies the changes that were sent to a table.
    Inbox,
}

/// A timer, crontab, task or source.
#[derive(Clone, Debug)]
pub(crate) struct TimerNode {
    pub(crate) name: Arc<str>,
    pub(crate) kind: TimerKind,
    pub(crate) place: Place,
    pub(crate) edges: Edges,
}

/// When it runs.
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

/// Where it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// In every shard of the group of its tables.
    Shard,
    /// On every worker.
    Worker,
    /// On one worker of the cluster.
    Leader,
}

/// Whether a table has a copy on every worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TableKind {
    /// Each slice is with its owner alone.
    Table,
    /// Every worker has a read-only copy of the whole besides.
    Global,
}
