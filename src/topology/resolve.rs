//! The steps from a graph to a topology: groups, their numbers of partitions, their names, and the
//! checks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bounds::check_bounds;
use super::counts::Counts;
use super::dead_letters::check_dead_letters;
use super::error::TopologyError;
use super::graph::{Graph, Place, TopicRole};
use super::names::{check_names, check_topics};
use super::{Group, LEADER, Topology};

impl Topology {
    /// Divides the graph into co-partition groups and determines their numbers of partitions.
    /// `existing` has the numbers of the topics that exist already.
    ///
    /// # Errors
    /// If the program cannot run as declared; see [`TopologyError`].
    pub(crate) fn resolve(graph: Graph, existing: &BTreeMap<Arc<str>, u32>) -> Result<Topology, TopologyError> {
        check_names(&graph)?;
        check_bounds(&graph)?;
        check_inboxes(&graph)?;
        check_sinks(&graph)?;
        check_dead_letters(&graph)?;
        let mut sets = DisjointSets::default();
        for table in &graph.tables {
            sets.unite(&table_node(&table.name), &topic_node(&table.changelog));
        }
        for agent in &graph.agents {
            let topic = topic_node(&agent.reads);
            sets.add(&topic);
            for table in &agent.edges.slices {
                sets.unite(&topic, &table_node(table));
            }
        }
        for timer in graph.timers.iter().filter(|timer| timer.place == Place::Shard) {
            let Some(first) = timer.edges.slices.first() else {
                return Err(TopologyError::TimerWithoutTable { timer: timer.name.clone() });
            };
            for table in &timer.edges.slices {
                sets.unite(&table_node(first), &table_node(table));
            }
        }

        let mut members: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for node in sets.names() {
            members.entry(sets.root(&node)).or_default().push(node);
        }
        let mut groups = Vec::new();
        for nodes in members.into_values() {
            let nodes: BTreeSet<String> = nodes.into_iter().collect();
            groups.push(group(&graph, &nodes, existing)?);
        }
        name_groups(&mut groups);
        check_declared(&graph, existing)?;

        let mut partitions: BTreeMap<Arc<str>, u32> = BTreeMap::new();
        for group in &groups {
            for topic in &group.topics {
                partitions.insert(topic.clone(), group.partitions);
            }
        }
        for topic in &graph.topics {
            // A topic that is only sent to is in no group. It keeps the number it has, or gets the
            // declared one, or the app's default.
            partitions.entry(topic.name.clone()).or_insert_with(|| {
                existing.get(&topic.name).copied().or(topic.partitions).unwrap_or(graph.default_partitions)
            });
        }
        let topology = Topology { graph, groups, partitions };
        check_topics(&topology)?;
        Ok(topology)
    }
}

fn topic_node(name: &str) -> String {
    format!("topic {name}")
}

fn table_node(name: &str) -> String {
    format!("table {name}")
}

fn group(graph: &Graph, nodes: &BTreeSet<String>, existing: &BTreeMap<Arc<str>, u32>) -> Result<Group, TopologyError> {
    let topics: Vec<_> = graph.topics.iter().filter(|topic| nodes.contains(&topic_node(&topic.name))).collect();
    let tables: Vec<_> = graph.tables.iter().filter(|table| nodes.contains(&table_node(&table.name))).collect();
    let agents: Vec<Arc<str>> = graph
        .agents
        .iter()
        .filter(|agent| nodes.contains(&topic_node(&agent.reads)))
        .map(|agent| agent.name.clone())
        .collect();
    let timers: Vec<Arc<str>> = graph
        .timers
        .iter()
        .filter(|timer| {
            timer.place == Place::Shard && timer.edges.slices.iter().any(|table| nodes.contains(&table_node(table)))
        })
        .map(|timer| timer.name.clone())
        .collect();

    let users = || -> Vec<String> {
        let named =
            |kind: &str, names: &[Arc<str>]| names.iter().map(|name| format!("{kind} `{name}`")).collect::<Vec<_>>();
        let tables = tables.iter().map(|table| format!("table `{}`", table.name));
        [named("agent", &agents), named("partition_timer", &timers), tables.collect()].concat()
    };
    let partitions = Counts::of(&topics, &tables, existing).agree(users)?.unwrap_or(graph.default_partitions);
    // The group's name is used for its anchor, its log of places and a folder. Any stable choice
    // among its members will do, if no other group has the name (`name_groups`).
    let name = tables
        .iter()
        .map(|table| table.name.clone())
        .min()
        .or_else(|| topics.iter().map(|topic| topic.name.clone()).min())
        .unwrap_or_else(|| "".into());
    Ok(Group {
        name,
        partitions,
        topics: topics.iter().map(|topic| topic.name.clone()).collect(),
        tables: tables.iter().map(|table| table.name.clone()).collect(),
        agents,
        timers,
    })
}

/// Sorts groups by name, and gives each a name of its own. A table may have the name of a topic of
/// another group, and the leader has an anchor like a group. A name without a conflict stays as it
/// is, because the group's state is found by it.
fn name_groups(groups: &mut [Group]) {
    let mut taken = BTreeSet::from([LEADER.into()]);
    // Groups that are named after a table keep their names.
    groups.sort_by(|a, b| (a.tables.is_empty(), &a.name).cmp(&(b.tables.is_empty(), &b.name)));
    for group in groups.iter_mut() {
        while !taken.insert(group.name.clone()) {
            group.name = format!("{}-group", group.name).into();
        }
    }
    groups.sort_by(|a, b| a.name.cmp(&b.name));
}

/// Checks that no topic exists with another number of partitions than it is declared with.
fn check_declared(graph: &Graph, existing: &BTreeMap<Arc<str>, u32>) -> Result<(), TopologyError> {
    for topic in graph.topics.iter().filter(|topic| topic.role == TopicRole::Declared) {
        if let (Some(declared), Some(has)) = (topic.partitions, existing.get(&topic.name).copied())
            && declared != has
        {
            return Err(TopologyError::OtherPartitions { topic: topic.name.clone(), declared, has });
        }
    }
    Ok(())
}

/// Checks that nothing sends changes to a table without an inbox.
fn check_inboxes(graph: &Graph) -> Result<(), TopologyError> {
    let agents = graph.agents.iter().map(|agent| (format!("agent `{}`", agent.name), &agent.edges.inboxes));
    let timers = graph.timers.iter().map(|timer| (format!("timer `{}`", timer.name), &timer.edges.inboxes));
    for (user, inboxes) in agents.chain(timers) {
        for name in inboxes {
            if graph.tables.iter().any(|table| table.name == *name && table.inbox.is_none()) {
                return Err(TopologyError::NoInbox { user, table: name.clone() });
            }
        }
    }
    Ok(())
}

/// Checks that each sink can get records.
fn check_sinks(graph: &Graph) -> Result<(), TopologyError> {
    let unfed = graph.agents.iter().find_map(|agent| Some((agent.name.clone(), agent.unfed_sink.clone()?)));
    match unfed {
        Some((agent, topic)) => Err(TopologyError::UnfedSink { agent, topic }),
        None => Ok(()),
    }
}

/// The sets of nodes that belong together (union-find).
#[derive(Default)]
struct DisjointSets {
    index: BTreeMap<String, usize>,
    parent: Vec<usize>,
}

impl DisjointSets {
    fn add(&mut self, name: &str) -> usize {
        if let Some(index) = self.index.get(name) {
            return *index;
        }
        let index = self.parent.len();
        self.parent.push(index);
        self.index.insert(name.to_owned(), index);
        index
    }

    fn unite(&mut self, a: &str, b: &str) {
        let (a, b) = (self.add(a), self.add(b));
        let (a, b) = (self.find(a), self.find(b));
        self.parent[a] = b;
    }

    fn find(&self, mut index: usize) -> usize {
        while self.parent[index] != index {
            index = self.parent[index];
        }
        index
    }

    fn root(&self, name: &str) -> usize {
        self.index.get(name).map_or(usize::MAX, |index| self.find(*index))
    }

    fn names(&self) -> Vec<String> {
        self.index.keys().cloned().collect()
    }
}
