use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use marlowe_broker::{Broker, BrokerError, Cleanup, TopicConfig};

use super::RunError;
use crate::program::Program;
use crate::topology::{TopicRole, Topology};

/// Looks up the program's topics, checks them against each other, and creates those that are not there.
pub(crate) async fn prepare_topics(program: &Program, broker: &dyn Broker) -> Result<Topology, RunError> {
    if let Some(error) = program.errors.first() {
        return Err(error.clone().into());
    }
    let graph = program.graph();
    let mut existing = HashMap::new();
    let mut cleanup = HashMap::new();
    for topic in broker.topics().await.map_err(RunError::broker("looking up the topics"))? {
        existing.insert(topic.name.clone(), topic.partitions);
        cleanup.insert(topic.name, topic.cleanup);
    }
    let topology = Topology::resolve(graph, &existing)?;

    let mut wanted: Vec<TopicConfig> = Vec::new();
    for topic in &topology.graph.topics {
        let partitions = topology.partitions.get(&topic.name).copied().unwrap_or(program.default_partitions);
        if topic.role == TopicRole::Changelog
            && let Some(Cleanup::Delete { .. }) = cleanup.get(&topic.name)
        {
            return Err(RunError::Topic {
                topic: topic.name.clone(),
                found: "its records are deleted by age".into(),
                wanted: "a compacted topic".into(),
                mend: "rows would be lost with time; set its cleanup.policy to compact, or run `reset`".into(),
            });
        }
        wanted.push(TopicConfig { name: topic.name.clone(), partitions, cleanup: topic.cleanup, replicas: None });
    }
    for group in &topology.groups {
        wanted.push(TopicConfig::new(topology.anchor(group), group.partitions));
    }
    wanted.push(TopicConfig::new(topology.leader_anchor(), 1));
    for timer in &program.worker_timers {
        wanted.extend(timer.own_topics(&program.app).into_iter().map(|topic| TopicConfig::new(topic, 1)));
    }
    let mut seen: HashSet<Arc<str>> = HashSet::new();
    for config in wanted.into_iter().filter(|config| seen.insert(config.name.clone())) {
        match existing.get(&config.name) {
            Some(partitions) if *partitions != config.partitions => {
                return Err(RunError::Topic {
                    topic: config.name.clone(),
                    found: format!("it has {partitions} partitions"),
                    wanted: format!("{}", config.partitions),
                    mend: "the number of a group's partitions cannot change while its state is kept; declare the old \
                           number, or run `reset`"
                        .into(),
                });
            }
            Some(_) => {}
            None => match broker.create_topic(config.clone()).await {
                // Another worker was faster.
                Ok(()) | Err(BrokerError::TopicExists { .. }) => {}
                Err(error) => return Err(RunError::broker(format!("creating topic `{}`", config.name))(error)),
            },
        }
    }
    Ok(topology)
}
