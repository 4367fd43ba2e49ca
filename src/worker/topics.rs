use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use marlowe_broker::{Broker, BrokerError, Cleanup, TopicConfig, TopicDescription};
use tokio::time::Instant;

use super::RunError;
use super::take_over::may_be_taken_over;
use crate::program::Program;
use crate::topology::{TopicRole, Topology};

/// How long a topic that was created may take until all of the cluster knows it.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);

/// How often it is looked for meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many times a topic that seems wrong is looked at again.
const LOOKS: usize = 20;

/// Looks up the program's topics, checks them against each other, and creates those that are not there.
pub(crate) async fn prepare_topics(program: &Program, broker: &dyn Broker) -> Result<Topology, RunError> {
    if let Some(error) = program.errors.first() {
        return Err(error.clone().into());
    }
    let graph = program.graph();
    let mut existing = topics(broker, graph.topics.iter().map(|topic| &topic.name)).await?;
    let counts = existing.iter().map(|(name, topic)| (name.clone(), topic.partitions)).collect();
    let topology = Topology::resolve(graph, &counts)?;
    let needed = needed(program, &topology);
    let others = needed.iter().map(|(_, config)| &config.name).filter(|name| !existing.contains_key(*name));
    let others = topics(broker, others).await?;
    existing.extend(others);

    may_be_taken_over(program, &topology, broker, |changelog| existing.contains_key(changelog)).await?;

    let mut missing = Vec::new();
    for (need, config) in needed {
        match existing.get(&config.name) {
            Some(found) if check(need, &config, found).is_ok() => {}
            Some(_) => look_again(broker, need, &config).await?,
            None => missing.push(config),
        }
    }
    let create = async |config: &TopicConfig| match broker.create_topic(config.clone()).await {
        // Another worker was faster.
        Ok(()) | Err(BrokerError::TopicExists { .. }) => Ok(()),
        Err(error) => Err(RunError::broker(format!("creating topic `{}`", config.name))(error)),
    };
    try_join_all(missing.iter().map(create)).await?;
    known(broker, &missing).await?;
    Ok(topology)
}

/// Those of the topics that are there. A cluster may have many others, and they are not this program's to ask for.
async fn topics(
    broker: &dyn Broker,
    names: impl Iterator<Item = &Arc<str>>,
) -> Result<BTreeMap<Arc<str>, TopicDescription>, RunError> {
    let found = try_join_all(names.map(|name| broker.topic(name))).await;
    let found = found.map_err(RunError::broker("looking up the topics"))?;
    Ok(found.into_iter().flatten().map(|topic| (topic.name.clone(), topic)).collect())
}

/// Checks a topic that seemed not to be as it must be. A broker that is just starting may tell what is not so, or not yet.
async fn look_again(broker: &dyn Broker, need: Need, config: &TopicConfig) -> Result<(), RunError> {
    let mut checked = Ok(());
    for _ in 0..LOOKS {
        tokio::time::sleep(LOOK_EVERY).await;
        let found = broker.topic(&config.name).await.map_err(RunError::broker("looking up the topics"))?;
        checked = found.map_or(Ok(()), |found| check(need, config, &found));
        if checked.is_ok() {
            break;
        }
    }
    checked
}

/// What a topic must be for what it is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// The program's own: its records are its own affair.
    Own,
    /// The last record of each key must stay.
    LastOfEachKey,
    /// No record may go before it is read, in whose place another came.
    EveryRecord,
    /// It has no records.
    None,
}

/// The topics that the program needs, each once.
fn needed(program: &Program, topology: &Topology) -> Vec<(Need, TopicConfig)> {
    let mut needed = Vec::new();
    for topic in &topology.graph.topics {
        let need = match topic.role {
            TopicRole::Declared => Need::Own,
            TopicRole::Changelog | TopicRole::Workers => Need::LastOfEachKey,
            TopicRole::Repartition | TopicRole::Inbox | TopicRole::Replies => Need::EveryRecord,
        };
        let partitions = topology.partitions.get(&topic.name).copied().unwrap_or(program.default_partitions);
        needed.push((need, TopicConfig::new(topic.name.clone(), partitions).cleanup(topic.cleanup)));
    }
    let anchors = topology.groups.iter().map(|group| (topology.anchor(group), group.partitions));
    let positions = program.worker_timers.iter().filter_map(|timer| timer.position(&program.app));
    let empty = anchors.chain([(topology.leader_anchor(), 1)]).chain(positions.map(|position| (position.topic, 1)));
    needed.extend(empty.map(|(topic, partitions)| (Need::None, TopicConfig::new(topic, partitions))));
    let mut seen = BTreeSet::new();
    needed.retain(|(_, config)| seen.insert(config.name.clone()));
    needed
}

/// That a topic that is there is as it must be.
fn check(need: Need, wanted: &TopicConfig, found: &TopicDescription) -> Result<(), RunError> {
    let error = |is: String, needed: String, mend: &str| RunError::Topic {
        topic: wanted.name.clone(),
        found: is,
        wanted: needed,
        mend: mend.into(),
    };
    if found.partitions != wanted.partitions {
        let mend = "the number of a group's partitions cannot change while its state is kept; declare the old number, or \
                    run `reset`";
        return Err(error(format!("it has {} partitions", found.partitions), wanted.partitions.to_string(), mend));
    }
    match (need, found.cleanup) {
        (Need::LastOfEachKey, Cleanup::Delete { .. } | Cleanup::CompactDelete { .. }) => Err(error(
            "its records are deleted by age".into(),
            "a compacted topic".into(),
            "rows would be lost with time; set its cleanup.policy to compact, or run `reset`",
        )),
        (Need::EveryRecord, Cleanup::Compact | Cleanup::CompactDelete { .. }) => Err(error(
            "it is compacted".into(),
            "a topic that keeps each record".into(),
            "changes and events of one key would be lost where another follows; set its cleanup.policy to delete, or run \
             `reset`",
        )),
        _ => Ok(()),
    }
}

/// Waits until topics that were created are known: a cluster's brokers learn of them one after the other.
async fn known(broker: &dyn Broker, created: &[TopicConfig]) -> Result<(), RunError> {
    let deadline = Instant::now() + KNOWN_WITHIN;
    let mut unknown: Vec<&TopicConfig> = created.iter().collect();
    loop {
        if unknown.is_empty() {
            return Ok(());
        }
        let existing = topics(broker, unknown.iter().map(|config| &config.name)).await?;
        let mut left = Vec::new();
        for config in unknown {
            match existing.get(&config.name) {
                // Another worker, of another version of the program perhaps, may have been faster.
                Some(found) if found.partitions != config.partitions => check(Need::Own, config, found)?,
                Some(_) => {}
                None => left.push(config),
            }
        }
        unknown = left;
        if let Some(config) = unknown.first()
            && Instant::now() >= deadline
        {
            return Err(RunError::Settings(format!(
                "topic `{}` was created, and the broker does not know it after {KNOWN_WITHIN:?}: look at the brokers' logs",
                config.name
            )));
        }
        if !unknown.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
