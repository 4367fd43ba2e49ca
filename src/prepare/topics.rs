//! The program's topics: the missing ones are created, and those that exist are checked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use marlowe_broker::{Broker, BrokerError, Cleanup, Clock, TopicConfig, TopicDescription};
use tokio::time::Instant;

use super::faust_import::may_be_taken_over;
use super::ownership::own_topics;
use crate::config::TopicSettings;
use crate::error::RunError;
use crate::program::Program;
use crate::topology::{TopicRole, Topology, list_topic};

/// How long it may take until the whole cluster knows a topic that was created.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);

/// How often the topic is looked up meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How many times a topic that seems wrong is looked up again.
const LOOKS: usize = 20;

/// The segment size of topics that are trimmed. Kafka Streams uses the same for its repartition
/// topics. Kafka frees a segment's file when all of it is deleted, and its own default is 1 GiB.
const TRIMMED_SEGMENT: u32 = 50 << 20;

/// Looks up the program's topics, checks them against each other, and creates those that do not
/// exist, with `settings`.
///
/// # Errors
/// When the program cannot run as declared, or when a topic is not as it must be or belongs to
/// another app.
pub(crate) async fn prepare_topics(
    program: &Program,
    broker: &dyn Broker,
    clock: &dyn Clock,
    settings: TopicSettings,
) -> Result<Topology, RunError> {
    if let Some(error) = program.errors.first() {
        return Err(error.clone().into());
    }
    let graph = program.graph();
    let mut existing = topics(broker, graph.topics.iter().map(|topic| &topic.name)).await?;
    let counts = existing.iter().map(|(name, topic)| (name.clone(), topic.partitions)).collect();
    let mut topology = Topology::resolve(graph, &counts)?;
    let needed = needed(program, &topology, settings);
    let others = needed.iter().map(|(_, config)| &config.name).filter(|name| !existing.contains_key(*name));
    let others = topics(broker, others).await?;
    existing.extend(others);

    may_be_taken_over(program, &topology, broker, |changelog| existing.contains_key(changelog)).await?;

    // The list comes first, because in it the app claims its other topics.
    let list = list_topic(&program.app);
    let (list, needed): (Vec<_>, Vec<_>) = needed.into_iter().partition(|(_, config)| config.name == list);
    create_or_check(broker, list, &existing).await?;
    own_topics(&topology, broker, clock.now()).await?;
    create_or_check(broker, needed, &existing).await?;
    let declared = broker.declare_reads(&topology.graph.app, &topology.reads()).await;
    declared.map_err(RunError::broker("telling the broker what the app reads"))?;
    // An existing topic keeps its own clean-up policy, whatever the program declares.
    for topic in &mut topology.graph.topics {
        if let Some(found) = existing.get(&topic.name) {
            topic.cleanup = found.cleanup;
        }
    }
    Ok(topology)
}

/// Creates the topics that do not exist, and checks those that do.
async fn create_or_check(
    broker: &dyn Broker,
    needed: Vec<(Need, TopicConfig)>,
    existing: &BTreeMap<Arc<str>, TopicDescription>,
) -> Result<(), RunError> {
    let mut missing = Vec::new();
    for (need, config) in needed {
        match existing.get(&config.name) {
            Some(found) if check(need, &config, found).is_ok() => warn_of_short_retention(&config, found),
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
    known(broker, &missing).await
}

/// Returns those of the named topics that exist. The cluster may have many others, which do not
/// concern this program.
async fn topics(
    broker: &dyn Broker,
    names: impl Iterator<Item = &Arc<str>>,
) -> Result<BTreeMap<Arc<str>, TopicDescription>, RunError> {
    let found = try_join_all(names.map(|name| broker.topic(name))).await;
    let found = found.map_err(RunError::broker("looking up the topics"))?;
    Ok(found.into_iter().flatten().map(|topic| (topic.name.clone(), topic)).collect())
}

/// Checks a topic again that seemed wrong. A broker that is just starting may report what is not
/// so, or not yet.
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

/// The requirement that the use of a topic puts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// The topic is the program's own. Its records are the program's concern.
    Own,
    /// The last record of each key must stay.
    LastOfEachKey,
    /// No record may be removed before it is read, even if another one of its key follows.
    EveryRecord,
    /// The topic has no records, or none that must stay.
    None,
}

/// Returns the topics that the program needs, each once.
fn needed(program: &Program, topology: &Topology, settings: TopicSettings) -> Vec<(Need, TopicConfig)> {
    let mut needed = Vec::new();
    for topic in &topology.graph.topics {
        let need = match topic.role {
            TopicRole::Declared => Need::Own,
            TopicRole::Changelog | TopicRole::Workers => Need::LastOfEachKey,
            TopicRole::Repartition | TopicRole::Inbox | TopicRole::Replies => Need::EveryRecord,
        };
        let partitions = topology.partitions.get(&topic.name).copied().unwrap_or(program.default_partitions);
        let config = TopicConfig::new(topic.name.clone(), partitions).cleanup(topic.cleanup);
        let config = match topic.role {
            TopicRole::Repartition | TopicRole::Inbox => config.segment_bytes(TRIMMED_SEGMENT),
            TopicRole::Changelog => config.tombstone_retention(settings.tombstone_retention),
            _ => config,
        };
        needed.push((need, config));
    }
    let anchors = topology.groups.iter().map(|group| (topology.anchor(group), group.partitions));
    let positions = program.worker_timers.iter().filter_map(|timer| timer.position(&program.app));
    let empty = anchors.chain([(topology.leader_anchor(), 1)]);
    needed.extend(empty.map(|(topic, partitions)| (Need::None, TopicConfig::new(topic, partitions))));
    needed.push((Need::LastOfEachKey, TopicConfig::new(list_topic(&program.app), 1).cleanup(Cleanup::Compact)));
    // No clean-up policy is required here, because earlier versions of Marlowe created these topics
    // without one. They wrote nothing to them.
    needed.extend(positions.map(|position| (Need::None, TopicConfig::new(position.topic, 1).with_few_keys())));
    let logs = topology.groups.iter().map(|group| TopicConfig::new(topology.places_log(group), group.partitions));
    needed.extend(logs.map(|log| (Need::LastOfEachKey, log.with_few_keys())));
    let mut seen = BTreeSet::new();
    needed.retain(|(_, config)| seen.insert(config.name.clone()));
    needed.iter_mut().for_each(|(_, config)| config.max_message_bytes = settings.max_message_bytes);
    needed
}

/// Warns if a changelog keeps tombstones for a shorter time than it would if it were created now.
fn warn_of_short_retention(wanted: &TopicConfig, found: &TopicDescription) {
    if let Some(wanted) = wanted.tombstone_retention.filter(|wanted| found.tombstone_retention < *wanted) {
        tracing::warn!(
            "topic `{0}` keeps tombstones for {1:?} only, so a table's store that was away for longer is restored \
             from the start: raise its delete.retention.ms, for example with `kafka-configs.sh --alter --entity-type \
             topics --entity-name {0} --add-config delete.retention.ms={2}`",
            found.name,
            found.tombstone_retention,
            wanted.as_millis()
        );
    }
}

/// Checks that an existing topic is as it must be.
fn check(need: Need, wanted: &TopicConfig, found: &TopicDescription) -> Result<(), RunError> {
    let error = |is: String, needed: String, fix: &str| RunError::Topic {
        topic: wanted.name.clone(),
        found: is,
        wanted: needed,
        fix: fix.into(),
    };
    if found.partitions != wanted.partitions {
        let fix = "the number of a group's partitions cannot change while its state is kept; declare the old number, or \
                    run `reset`";
        return Err(error(format!("it has {} partitions", found.partitions), wanted.partitions.to_string(), fix));
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
            "of several changes or events of one key, only the last would be kept; set its cleanup.policy to delete, \
             or run `reset`",
        )),
        _ => Ok(()),
    }
}

/// Waits until the broker knows the topics that were created. The brokers of a cluster learn of
/// them one after the other.
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
                // Another worker may have created it first, perhaps of another version of the
                // program.
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
                "topic `{}` was created, but the broker does not know it after {KNOWN_WITHIN:?}: look at the brokers' \
                 logs",
                config.name
            )));
        }
        if !unknown.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
