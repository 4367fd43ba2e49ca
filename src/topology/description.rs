//! The drawing of the topology: as JSON, Mermaid and DOT.

use std::fmt::Write;
use std::sync::Arc;

use serde::Serialize;

use super::graph::{AgentRole, Edges, Place, TableKind, TopicRole};
use super::{Group, Topology};

/// The program's dataflow graph, for people and tools: as JSON (with serde), Mermaid or DOT.
#[derive(Clone, Debug, Serialize)]
pub struct TopologyDescription {
    app: Arc<str>,
    groups: Vec<Group>,
    topics: Vec<DescribedTopic>,
    tables: Vec<DescribedTable>,
    agents: Vec<DescribedAgent>,
    timers: Vec<DescribedTimer>,
}

#[derive(Clone, Debug, Serialize)]
struct DescribedTopic {
    name: Arc<str>,
    role: TopicRole,
    partitions: u32,
}

#[derive(Clone, Debug, Serialize)]
struct DescribedTable {
    name: Arc<str>,
    kind: TableKind,
    partitions: u32,
    changelog: Arc<str>,
    inbox: Option<Arc<str>>,
}

#[derive(Clone, Debug, Serialize)]
struct DescribedAgent {
    name: Arc<str>,
    role: AgentRole,
    reads: Arc<str>,
    concurrency: u32,
    /// True if the agent answers requests.
    answers: bool,
    #[serde(flatten)]
    edges: Edges,
}

#[derive(Clone, Debug, Serialize)]
struct DescribedTimer {
    name: Arc<str>,
    runs: String,
    place: Place,
    #[serde(flatten)]
    edges: Edges,
}

impl Topology {
    /// Returns the description that is shown outside.
    pub(crate) fn describe(&self) -> TopologyDescription {
        let partitions = |topic: &Arc<str>| self.partitions.get(topic).copied().unwrap_or(0);
        let graph = &self.graph;
        TopologyDescription {
            app: graph.app.clone(),
            groups: self.groups.clone(),
            topics: graph
                .topics
                .iter()
                .map(|topic| DescribedTopic {
                    name: topic.name.clone(),
                    role: topic.role,
                    partitions: partitions(&topic.name),
                })
                .collect(),
            tables: graph
                .tables
                .iter()
                .map(|table| DescribedTable {
                    name: table.name.clone(),
                    kind: table.kind,
                    partitions: partitions(&table.changelog),
                    changelog: table.changelog.clone(),
                    inbox: table.inbox.clone(),
                })
                .collect(),
            agents: graph
                .agents
                .iter()
                .map(|agent| DescribedAgent {
                    name: agent.name.clone(),
                    role: agent.role,
                    reads: agent.reads.clone(),
                    concurrency: agent.concurrency,
                    answers: agent.answers,
                    edges: agent.edges.clone(),
                })
                .collect(),
            timers: graph
                .timers
                .iter()
                .map(|timer| DescribedTimer {
                    name: timer.name.clone(),
                    runs: timer.kind.to_string(),
                    place: timer.place,
                    edges: timer.edges.clone(),
                })
                .collect(),
        }
    }
}

/// The shapes and arrows of a drawing, in no particular language.
struct Drawing<'a> {
    nodes: Vec<(String, NodeShape, &'a str, String)>,
    arrows: Vec<(String, String, Line)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum NodeShape {
    Topic,
    Table,
    Agent,
    Timer,
}

/// The meaning of an arrow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Records that are sent.
    Records,
    /// Reads and writes of a slice, in the event's transaction.
    Slice,
    /// Committed reads.
    Reads,
}

impl TopologyDescription {
    fn drawing(&self) -> Drawing<'_> {
        let mut drawing = Drawing { nodes: Vec::new(), arrows: Vec::new() };
        let topic = |name: &str| format!("topic:{name}");
        let table = |name: &str| format!("table:{name}");
        for node in self.topics.iter().filter(|node| matches!(node.role, TopicRole::Declared | TopicRole::Repartition))
        {
            let detail = format!("{} partitions", node.partitions);
            drawing.nodes.push((topic(&node.name), NodeShape::Topic, &node.name, detail));
        }
        for node in &self.tables {
            let detail = match node.kind {
                TableKind::Table => format!("table, {} partitions", node.partitions),
                TableKind::Global => format!("global table, {} partitions", node.partitions),
            };
            drawing.nodes.push((table(&node.name), NodeShape::Table, &node.name, detail));
        }
        let edges = |drawing: &mut Drawing<'_>, id: &str, edges: &Edges| {
            for name in &edges.slices {
                drawing.arrows.push((id.to_owned(), table(name), Line::Slice));
            }
            for name in edges.views.iter().chain(&edges.copies) {
                drawing.arrows.push((table(name), id.to_owned(), Line::Reads));
            }
            for name in &edges.inboxes {
                drawing.arrows.push((id.to_owned(), table(name), Line::Records));
            }
            for name in &edges.topics {
                drawing.arrows.push((id.to_owned(), topic(name), Line::Records));
            }
        };
        for node in self.agents.iter().filter(|node| node.role != AgentRole::Inbox) {
            let id = format!("agent:{}", node.name);
            drawing.nodes.push((id.clone(), NodeShape::Agent, &node.name, "agent".into()));
            drawing.arrows.push((topic(&node.reads), id.clone(), Line::Records));
            edges(&mut drawing, &id, &node.edges);
        }
        for node in &self.timers {
            let id = format!("timer:{}", node.name);
            let place = match node.place {
                Place::Shard => "in every shard",
                Place::Worker => "on every worker",
                Place::Leader => "on the leader",
            };
            drawing.nodes.push((id.clone(), NodeShape::Timer, &node.name, format!("{}, {place}", node.runs)));
            edges(&mut drawing, &id, &node.edges);
        }
        drawing
    }

    /// Returns the graph as a [Mermaid](https://mermaid.js.org) flowchart.
    pub fn to_mermaid(&self) -> String {
        let drawing = self.drawing();
        let mut text = String::from("flowchart LR\n");
        let number = |id: &str| drawing.nodes.iter().position(|(node, ..)| node == id).unwrap_or(usize::MAX);
        for (index, (_, shape, name, detail)) in drawing.nodes.iter().enumerate() {
            let (open, close) = match shape {
                NodeShape::Topic => ("[/", "/]"),
                NodeShape::Table => ("[(", ")]"),
                NodeShape::Agent => ("[", "]"),
                NodeShape::Timer => ("([", "])"),
            };
            // Writing to a string does not fail.
            let _ = writeln!(text, "    n{index}{open}\"{name}<br/><small>{detail}</small>\"{close}");
        }
        for (from, to, line) in &drawing.arrows {
            let arrow = match line {
                Line::Records => "-->",
                Line::Slice => "<-->",
                Line::Reads => "-.->",
            };
            let _ = writeln!(text, "    n{} {arrow} n{}", number(from), number(to));
        }
        text
    }

    /// Returns the graph in DOT, the language of Graphviz.
    pub fn to_dot(&self) -> String {
        let drawing = self.drawing();
        let mut text = format!("digraph {:?} {{\n    rankdir=LR;\n    node [fontname=\"sans-serif\"];\n", &*self.app);
        for (id, shape, name, detail) in &drawing.nodes {
            let shape = match shape {
                NodeShape::Topic => "parallelogram",
                NodeShape::Table => "cylinder",
                NodeShape::Agent => "box",
                NodeShape::Timer => "oval",
            };
            let _ = writeln!(text, "    {id:?} [shape={shape}, label=\"{name}\\n{detail}\"];");
        }
        for (from, to, line) in &drawing.arrows {
            let style = match line {
                Line::Records => "",
                Line::Slice => " [dir=both]",
                Line::Reads => " [style=dashed]",
            };
            let _ = writeln!(text, "    {from:?} -> {to:?}{style};");
        }
        text.push_str("}\n");
        text
    }
}
