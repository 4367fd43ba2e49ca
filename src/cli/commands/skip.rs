//! The command `skip`: moves the agents of a stopped program past one event.

use std::sync::Arc;

use marlowe_broker::{Isolation, Offset, Partition, RecordBatch, SharedBroker, TopicConfig, TopicPartition};
use serde::Serialize;

use crate::cli::console::{Console, Style};
use crate::cli::error::CliError;
use crate::cli::named::Unknown;
use crate::cli::options::SkipArguments;
use crate::cli::stopped::check_stopped;
use crate::cli::store::{has_broker, has_topics, partitions};
use crate::config::Config;
use crate::error::RunError;
use crate::plain::plain;
use crate::program::Program;
use crate::restore::{InputLookup, write_places};
use crate::running::open_broker;
use crate::shard::{ShardId, ShardInputs};
use crate::topology::{AgentNode, Topology};

/// The number of characters of a record's key that are shown.
const KEY_SHOWN: usize = 100;

/// The answer of the command: which event is skipped, and by which agents.
#[derive(Debug, Serialize)]
struct SkipPlan {
    app: Arc<str>,
    /// `true` if it was done, `false` if it is only announced.
    done: bool,
    topic: Arc<str>,
    partition: u32,
    offset: u64,
    /// The beginning of the event's key, as text.
    key: Option<String>,
    /// The number of bytes of its value.
    value_bytes: Option<usize>,
    /// The agents that skip it.
    skips: Vec<Arc<str>>,
    /// The agents that stay where they are.
    elsewhere: Vec<AgentElsewhere>,
}

/// An agent whose next event is another one.
#[derive(Clone, Debug, Serialize)]
struct AgentElsewhere {
    agent: Arc<str>,
    /// The offset of its next event, if there is one.
    next: Option<u64>,
}

/// The parts of a record that are shown.
struct ShownEvent {
    offset: Offset,
    key: Option<String>,
    value_bytes: Option<usize>,
}

/// Runs the command `skip`.
pub(crate) async fn skip(
    program: Arc<Program>,
    asked: SkipArguments,
    config: &Config,
    console: &Console,
) -> Result<(), CliError> {
    if !has_topics(config) {
        return Err(CliError::Usage(
            "without --data-dir nothing is kept, so there is nothing to skip: give the program's --data-dir, or its \
             --broker"
                .into(),
        ));
    }
    if !has_broker(config) {
        return Err(CliError::Usage("the program has kept nothing in --data-dir yet: there is nothing to skip".into()));
    }
    if let Some(error) = program.errors.first() {
        return Err(error.clone().into());
    }
    let broker = open_broker(&program.app, config).await?;
    let existing = partitions(&broker).await?;
    let topology = Arc::new(Topology::resolve(program.graph(), &existing)?);
    let at = TopicPartition::new(&*asked.topic, Partition::new(asked.partition));
    let id = shard_of(&topology, &at)?;
    if !existing.contains_key(&at.topic) || !existing.contains_key(&topology.leader_anchor()) {
        return Err(RunError::Settings(format!(
            "app {} has not read `{}` on {} yet: there is nothing to skip",
            program.app,
            at.topic,
            broker.location()
        ))
        .into());
    }
    let readers: Vec<&AgentNode> = topology.graph.agents.iter().filter(|agent| agent.reads == at.topic).collect();
    let chosen = |agent: &AgentNode| asked.agent.as_ref().is_none_or(|name| **name == *agent.name);
    if let Some(name) = asked.agent.as_ref().filter(|_| !readers.iter().any(|agent| chosen(agent))) {
        return Err(Unknown::new("agent", name, readers.iter().map(|agent| agent.name.clone())).into());
    }

    let lookup = InputLookup::new(program.clone(), topology.clone(), broker.clone());
    let mut inputs = lookup.of(id).await?;
    let (mut skips, mut elsewhere, mut event) = (Vec::new(), Vec::new(), None);
    for agent in &readers {
        let next = next_event(&broker, &at, inputs.at(&at.topic, &agent.name)).await?;
        match next.filter(|next| chosen(agent) || next.offset.get() != asked.offset) {
            Some(next) if next.offset.get() == asked.offset => {
                skips.push(agent.name.clone());
                event = Some(next);
            }
            next => {
                let next = next.map(|next| next.offset.get());
                elsewhere.push(AgentElsewhere { agent: agent.name.clone(), next });
            }
        }
    }
    let Some(event) = event else { return Err(nobody_is_there(&at, &asked, &elsewhere).into()) };
    let mut plan = SkipPlan {
        app: program.app.clone(),
        done: false,
        topic: at.topic.clone(),
        partition: asked.partition,
        offset: asked.offset,
        key: event.key,
        value_bytes: event.value_bytes,
        skips,
        elsewhere,
    };
    if asked.yes {
        check_stopped(&broker, &program.app, &topology.leader_anchor()).await?;
        for agent in &plan.skips {
            inputs.set(&at.topic, agent, event.offset.next());
        }
        commit(&program, &topology, &broker, id, &inputs, &at).await?;
        plan.done = true;
    }
    console.answer(&plan, || plan.text(console));
    Ok(())
}

/// Returns the shard that has the partition as an input.
fn shard_of(topology: &Topology, at: &TopicPartition) -> Result<ShardId, CliError> {
    let read = |topic: &Arc<str>| topology.graph.agents.iter().any(|agent| agent.reads == *topic);
    let group = topology.groups.iter().position(|group| group.topics.contains(&at.topic) && read(&at.topic));
    let Some(group) = group else {
        if topology.graph.topics.iter().any(|topic| topic.name == at.topic) {
            return Err(CliError::Usage(format!("no agent of the program reads `{}`", at.topic)));
        }
        let mut known: Vec<Arc<str>> = topology.graph.agents.iter().map(|agent| agent.reads.clone()).collect();
        known.sort();
        known.dedup();
        return Err(Unknown::new("topic", &at.topic, known).into());
    };
    let partitions = topology.groups[group].partitions;
    if at.partition.get() >= partitions {
        return Err(CliError::Usage(format!(
            "there is no partition {} in `{}`: it has {partitions} partitions, numbered from 0",
            at.partition, at.topic
        )));
    }
    Ok(ShardId { group, partition: at.partition })
}

/// Returns the first record in a partition at `from` or after it.
async fn next_event(broker: &SharedBroker, at: &TopicPartition, from: Offset) -> Result<Option<ShownEvent>, RunError> {
    let failed = || RunError::broker(format!("reading {at} at {from}"));
    let spec = marlowe_broker::OffsetSpec::Latest;
    let ends = broker.offsets(&at.topic, &[at.partition], spec).await.map_err(failed())?;
    let end = ends.first().copied().unwrap_or_default();
    if from >= end {
        return Ok(None);
    }
    let mut reader = broker.reader(Isolation::ReadCommitted).map_err(failed())?;
    reader.assign(at, from).map_err(failed())?;
    loop {
        for fetched in reader.poll().await.map_err(failed())? {
            let batch: &dyn RecordBatch = &*fetched.batch;
            // A batch may begin before the offset that was asked for.
            let records = (0..batch.len()).map(|index| batch.get(index));
            if let Some(record) = records.into_iter().find(|record| record.offset >= from) {
                let shown = |key: &[u8]| String::from_utf8_lossy(key).chars().take(KEY_SHOWN).collect();
                let (key, value_bytes) = (record.key.map(shown), record.value.map(<[u8]>::len));
                return Ok(Some(ShownEvent { offset: record.offset, key, value_bytes }));
            }
            if batch.next_offset() >= end {
                return Ok(None);
            }
        }
    }
}

fn nobody_is_there(at: &TopicPartition, asked: &SkipArguments, agents: &[AgentElsewhere]) -> RunError {
    let who = asked.agent.as_ref().map_or("no agent's".to_owned(), |agent| format!("not agent `{agent}`'s"));
    let each: Vec<String> = agents.iter().map(AgentElsewhere::to_string).collect();
    RunError::Settings(format!(
        "offset {} of `{}`, partition {}, is {who} next event: {}. Only the next event of an agent can be skipped",
        asked.offset,
        at.topic,
        at.partition,
        each.join("; ")
    ))
}

/// Commits the places of a shard's agents: first in the shard's places log, then as the position of
/// the group. When a worker opens the shard, the later of the two counts.
async fn commit(
    program: &Program,
    topology: &Topology,
    broker: &SharedBroker,
    id: ShardId,
    inputs: &ShardInputs,
    at: &TopicPartition,
) -> Result<(), RunError> {
    let group = &topology.groups[id.group];
    let log = topology.places_log(group);
    let failed = || RunError::broker(format!("skipping an event of {at}"));
    let config = TopicConfig::new(log.clone(), group.partitions).with_few_keys();
    if broker.topic(&log).await.map_err(failed())?.is_none() {
        // The program has last run with a version of Marlowe that had no places logs.
        broker.create_topic(config).await.map_err(failed())?;
    }
    let log = TopicPartition { topic: log, partition: id.partition };
    write_places(&**broker, &log, &inputs.places()).await.map_err(failed())?;
    let position = inputs.position(&log.topic, at);
    broker.commit_offsets(&program.app, None, &[position]).await.map_err(failed())
}

impl std::fmt::Display for AgentElsewhere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.next {
            Some(next) => write!(f, "that of `{}` is at offset {next}", self.agent),
            None => write!(f, "`{}` has handled all events", self.agent),
        }
    }
}

impl SkipPlan {
    fn text(&self, console: &Console) -> String {
        let Self { topic, partition, offset, .. } = self;
        let mut text = console.paint(Style::Heading, &format!("offset {offset} of `{topic}`, partition {partition}:"));
        let value = self.value_bytes.map_or("no value".to_owned(), |bytes| format!("a value of {bytes} bytes"));
        let key = self.key.as_ref().map_or("no key".to_owned(), |key| format!("key {}", plain(key)));
        text.push_str(&format!("\n  {key}, {value}\n"));
        let heading = if self.done { "skipped by:" } else { "would be skipped by:" };
        text.push_str(&console.paint(Style::Heading, heading));
        self.skips.iter().for_each(|agent| text.push_str(&format!("\n  {agent}")));
        if !self.elsewhere.is_empty() {
            text.push('\n');
            text.push_str(&console.paint(Style::Heading, "not changed:"));
            self.elsewhere.iter().for_each(|elsewhere| text.push_str(&format!("\n  {}: {elsewhere}", elsewhere.agent)));
        }
        text.push_str(if self.done { "\ndone" } else { "\nnothing is changed yet: run `skip --yes` to skip it" });
        text
    }
}
