//! The commands `agents`, `tables`, `topics` and `topology`, which list what a program consists of.

use std::sync::Arc;

use serde::Serialize;

use crate::cli::console::{Console, Form};
use crate::cli::grid::Grid;
use crate::cli::options::GraphFormat;
use crate::program::Program;
use crate::topology::{AgentNode, AgentRole, Edges, Graph, TopicRole, Topology};

/// The part of the program that is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Only what the program declares.
    Own,
    /// Also what Marlowe adds.
    All,
}

impl From<bool> for Scope {
    fn from(all: bool) -> Self {
        if all { Scope::All } else { Scope::Own }
    }
}

/// Returns the topic from which an agent's records come originally, before any `group_by`.
pub(crate) fn input(graph: &Graph, agent: &AgentNode) -> Arc<str> {
    let mut topic = agent.reads.clone();
    while let Some(feeder) =
        graph.agents.iter().find(|feeder| feeder.role == AgentRole::Repartition && feeder.edges.topics.contains(&topic))
    {
        topic = feeder.reads.clone();
    }
    topic
}

fn list(names: &[Arc<str>]) -> String {
    if names.is_empty() { "-".into() } else { names.join(", ") }
}

#[derive(Serialize)]
struct AgentRow<'a> {
    name: &'a Arc<str>,
    role: AgentRole,
    /// The topic from which its records come originally.
    input: Arc<str>,
    /// The topic that it reads itself.
    reads: &'a Arc<str>,
    concurrency: u32,
    #[serde(flatten)]
    edges: &'a Edges,
}

/// Runs the command `agents`.
pub(crate) fn agents(topology: &Topology, scope: Scope, console: &Console) {
    let graph = &topology.graph;
    let shown = graph.agents.iter().filter(|agent| scope == Scope::All || agent.role == AgentRole::Declared);
    let rows: Vec<AgentRow<'_>> = shown
        .map(|agent| AgentRow {
            name: &agent.name,
            role: agent.role,
            input: input(graph, agent),
            reads: &agent.reads,
            concurrency: agent.concurrency,
            edges: &agent.edges,
        })
        .collect();
    console.answer(&rows, || {
        let mut grid = Grid::new(["name", "reads", "tables", "sends to", "concurrency"]);
        for row in &rows {
            let reads =
                if row.input == *row.reads { row.input.to_string() } else { format!("{} (grouped)", row.input) };
            let sends: Vec<Arc<str>> = row.edges.inboxes.iter().chain(&row.edges.topics).cloned().collect();
            let tables: Vec<Arc<str>> =
                row.edges.slices.iter().chain(&row.edges.views).chain(&row.edges.copies).cloned().collect();
            grid.row([row.name.to_string(), reads, list(&tables), list(&sends), row.concurrency.to_string()]);
        }
        grid.text(console)
    });
}

#[derive(Serialize)]
struct TableRow<'a> {
    name: &'a Arc<str>,
    kind: crate::topology::TableKind,
    partitions: u32,
    changelog: &'a Arc<str>,
    inbox: &'a Option<Arc<str>>,
}

/// Runs the command `tables`.
pub(crate) fn tables(topology: &Topology, console: &Console) {
    let row = |table: &'_ crate::topology::TableNode| topology.partitions.get(&table.changelog).copied().unwrap_or(0);
    let rows: Vec<TableRow<'_>> = topology
        .graph
        .tables
        .iter()
        .map(|table| TableRow {
            name: &table.name,
            kind: table.kind,
            partitions: row(table),
            changelog: &table.changelog,
            inbox: &table.inbox,
        })
        .collect();
    console.answer(&rows, || {
        let mut grid = Grid::new(["name", "kind", "partitions", "changelog"]);
        for row in &rows {
            let kind = match row.kind {
                crate::topology::TableKind::Table => "table",
                crate::topology::TableKind::Global => "global",
            };
            grid.row([row.name.to_string(), kind.into(), row.partitions.to_string(), row.changelog.to_string()]);
        }
        grid.text(console)
    });
}

#[derive(Serialize)]
struct TopicRow<'a> {
    name: &'a Arc<str>,
    role: TopicRole,
    partitions: u32,
    /// The name of the codec of its values, if the program declares the topic.
    codec: Option<&'static str>,
    /// The agents that read it.
    read_by: Vec<Arc<str>>,
}

/// Runs the command `topics`.
pub(crate) fn topics(program: &Program, topology: &Topology, scope: Scope, console: &Console) {
    let graph = &topology.graph;
    let shown = graph.topics.iter().filter(|topic| scope == Scope::All || topic.role == TopicRole::Declared);
    let rows: Vec<TopicRow<'_>> = shown
        .map(|topic| {
            let reads = |agent: &&AgentNode| agent.reads == topic.name || input(graph, agent) == topic.name;
            let own = graph.agents.iter().filter(|agent| scope == Scope::All || agent.role == AgentRole::Declared);
            TopicRow {
                name: &topic.name,
                role: topic.role,
                partitions: topology.partitions.get(&topic.name).copied().unwrap_or(0),
                codec: program.topics.iter().find(|declared| *declared.name() == topic.name).map(|topic| topic.codec()),
                read_by: own.filter(reads).map(|agent| agent.name.clone()).collect(),
            }
        })
        .collect();
    console.answer(&rows, || {
        let mut grid = Grid::new(["name", "role", "partitions", "codec", "read by"]);
        for row in &rows {
            let role = match row.role {
                TopicRole::Declared => "declared",
                TopicRole::Repartition => "repartition",
                TopicRole::Inbox => "inbox",
                TopicRole::Changelog => "changelog",
                TopicRole::Workers => "workers",
                TopicRole::Replies => "replies",
            };
            let codec = row.codec.unwrap_or("-").to_owned();
            grid.row([row.name.to_string(), role.into(), row.partitions.to_string(), codec, list(&row.read_by)]);
        }
        grid.text(console)
    });
}

/// Runs the command `topology`.
pub(crate) fn topology(topology: &Topology, format: GraphFormat, console: &Console) {
    let description = topology.describe();
    let json = Console { form: Form::Json, ..*console };
    match (console.form, format) {
        (Form::Json, _) | (_, GraphFormat::Json) => json.answer(&description, String::new),
        (Form::Text, GraphFormat::Mermaid) => console.line(&description.to_mermaid()),
        (Form::Text, GraphFormat::Dot) => console.line(&description.to_dot()),
    }
}
