//! Checks of names (their characters, their length, no duplicates), and the names of internal
//! topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Topology;
use super::error::TopologyError;
use super::graph::{AgentRole, Graph, TimerKind, TopicRole};
use crate::limits::{LONGEST_TOPIC_NAME, is_name};

/// A topic that Marlowe keeps for a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InternalTopic {
    pub(crate) name: Arc<str>,
    /// A description for errors: "the changelog of table `stock`".
    pub(crate) what: String,
    /// The thing that gives the topic its name, together with the app: "table `stock`".
    part: Option<String>,
}

/// Returns the topic under whose name the position of a source is committed.
pub(crate) fn source_topic(app: &str, source: &str) -> Arc<str> {
    format!("{app}-{source}-source").into()
}

/// Returns the topic in which an app lists the internal topics that it owns.
pub(crate) fn list_topic(app: &str) -> Arc<str> {
    format!("{app}-topics").into()
}

impl Topology {
    /// Returns the topics that Marlowe keeps for the program.
    pub(crate) fn internal_topics(&self) -> Vec<InternalTopic> {
        let graph = &self.graph;
        let mut topics = Vec::new();
        let mut add = |name: Arc<str>, what: String, part: Option<String>| {
            topics.push(InternalTopic { name, what, part });
        };
        for topic in &graph.topics {
            let table = |named: &dyn Fn(&Arc<str>) -> bool| {
                let has = |table: &&super::graph::TableNode| {
                    named(&table.changelog) || table.inbox.as_ref().is_some_and(named)
                };
                graph.tables.iter().find(has).map(|table| format!("table `{}`", table.name))
            };
            let of_table = || table(&|name| *name == topic.name);
            let (what, part) = match topic.role {
                TopicRole::Declared => continue,
                TopicRole::Changelog => ("the changelog of ", of_table()),
                TopicRole::Inbox => ("the inbox of ", of_table()),
                TopicRole::Repartition => ("the topic of a group_by, of ", Some(repartition(graph, &topic.name))),
                TopicRole::Workers => ("the directory of workers", None),
                TopicRole::Replies => ("the topic of answers", None),
            };
            add(topic.name.clone(), format!("{what}{}", part.as_deref().unwrap_or_default()), part);
        }
        for group in &self.groups {
            let part = match group.tables.first() {
                Some(_) => format!("table `{}`", group.name),
                None => format!("topic `{}`", group.name),
            };
            add(self.anchor(group), format!("the anchor of the shards of {part}"), Some(part));
        }
        add(self.leader_anchor(), "the leader's anchor".into(), None);
        add(list_topic(&graph.app), "the list of the app's topics".into(), None);
        for timer in graph.timers.iter().filter(|timer| timer.kind == TimerKind::Source) {
            let part = format!("source `{}`", timer.name);
            add(source_topic(&graph.app, &timer.name), format!("the position of {part}"), Some(part));
        }
        topics
    }
}

/// Names the agent that reads the topic of a `group_by`.
fn repartition(graph: &Graph, topic: &Arc<str>) -> String {
    let reader = graph.agents.iter().find(|agent| agent.reads == *topic);
    reader.map_or_else(|| "a stream".to_owned(), |agent| format!("agent `{}`", agent.name))
}

/// Checks that topics can have the names, and that no two things of one kind have the same name.
pub(super) fn check_names(graph: &Graph) -> Result<(), TopologyError> {
    valid("app", &graph.app)?;
    for (kind, names) in [
        ("table", graph.tables.iter().map(|table| &table.name).collect::<Vec<_>>()),
        ("agent", graph.agents.iter().map(|agent| &agent.name).collect()),
        ("timer", graph.timers.iter().map(|timer| &timer.name).collect()),
    ] {
        let mut seen = std::collections::BTreeSet::new();
        for name in names {
            valid(kind, name)?;
            if !seen.insert(name) {
                return Err(TopologyError::DuplicateName { kind, name: name.clone() });
            }
        }
    }
    graph.topics.iter().try_for_each(|topic| valid("topic", &topic.name))
}

fn valid(kind: &'static str, name: &Arc<str>) -> Result<(), TopologyError> {
    if !is_name(name) || (kind == "topic" && matches!(&**name, "." | "..")) {
        return Err(TopologyError::InvalidName { kind, name: name.clone() });
    }
    Ok(())
}

/// Checks that topics' names are not too long, and that no two topics have the same name.
pub(super) fn check_topics(topology: &Topology) -> Result<(), TopologyError> {
    let graph = &topology.graph;
    let mut known: BTreeMap<Arc<str>, String> = BTreeMap::new();
    for topic in graph.topics.iter().filter(|topic| topic.role == TopicRole::Declared) {
        fits(&topic.name, "a topic of the program", "its name")?;
        known.insert(topic.name.clone(), "declared by the program".into());
    }
    for agent in graph.agents.iter().filter(|agent| agent.role == AgentRole::Declared) {
        fits(&agent.name, "an agent", "its name")?;
    }
    for timer in &graph.timers {
        fits(&timer.name, "a timer", "its name")?;
    }
    for topic in topology.internal_topics() {
        let app = format!("the name of app `{}`", graph.app);
        let shorten = topic.part.as_ref().map_or(app.clone(), |part| format!("the name of {part}, or {app}"));
        fits(&topic.name, &topic.what, &shorten)?;
        if let Some(first) = known.insert(topic.name.clone(), topic.what.clone()) {
            return Err(TopologyError::TopicNameTaken { topic: topic.name, first, second: topic.what });
        }
    }
    Ok(())
}

fn fits(name: &Arc<str>, what: &str, shorten: &str) -> Result<(), TopologyError> {
    let length = name.len();
    if length <= LONGEST_TOPIC_NAME {
        return Ok(());
    }
    Err(TopologyError::NameTooLong {
        what: what.to_owned(),
        name: name.clone(),
        length,
        limit: LONGEST_TOPIC_NAME,
        fix: format!("shorten {shorten} by {}", length - LONGEST_TOPIC_NAME),
    })
}
