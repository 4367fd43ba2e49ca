//! The command `send`: sends a record to a topic of the program.

use marlowe_broker::{NewRecord, SharedBroker, TopicPartition};
use serde::{Deserialize, Serialize};

use super::declared::input;
use crate::cli::client::{ClientError, RunningWorker};
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::named::Unknown;
use crate::cli::options::{AskedAt, SendArguments};
use crate::cli::store::{has_topics, is_in_use};
use crate::codec::encode;
use crate::config::Config;
use crate::error::RunError;
use crate::outbound::Outgoing;
use crate::prepare::prepare_topics;
use crate::program::Program;
use crate::running::open_broker;
use crate::topic::{AnyTopic, WrittenPlace, WrittenRecord};
use crate::topology::AgentRole;

/// The place that a record got.
#[derive(Debug, Deserialize, Serialize)]
struct RecordPlace {
    topic: String,
    partition: u32,
    offset: u64,
}

/// Runs the command `send`. It produces to the broker itself if it can. If another process has the
/// folder, or topics are kept only in a worker's memory, it asks a running worker to send.
pub(crate) async fn send(
    program: &Program,
    asked: &SendArguments,
    config: &Config,
    at: &AskedAt,
    console: &Console,
) -> Result<(), CliError> {
    let topic = destination(program, &asked.to)?;
    let (key, value) = match (asked.record.as_slice(), asked.tombstone) {
        ([key, value], false) => (Some(key.as_str()), Some(value.as_str())),
        ([value], false) => (None, Some(value.as_str())),
        ([key], true) => (Some(key.as_str()), None),
        ([], true) => (None, None),
        (other, true) => return Err(CliError::Usage(format!("`send --tombstone` takes [KEY], and got {other:?}"))),
        (other, false) => return Err(CliError::Usage(format!("`send` takes [KEY] VALUE, and got {other:?}"))),
    };
    let headers = asked.headers.iter().map(|header| match header.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (header.clone(), None),
    });
    let place = WrittenPlace { timestamp: asked.timestamp, partition: asked.partition, headers: headers.collect() };
    let record = WrittenRecord::from_words(topic, key, value, place)?;
    let opened = match has_topics(config) {
        true => Some(open_broker(&program.app, config).await),
        false => None,
    };
    let place = match opened {
        None => ask(program, topic, &record, at).await.map_err(|source| CliError::Nowhere { source })?,
        Some(Ok(broker)) => produce(program, topic, record, config, &broker).await?,
        Some(Err(in_use)) if is_in_use(&in_use) => {
            let asked = ask(program, topic, &record, at).await;
            asked.map_err(|source| CliError::InUse { in_use: Box::new(in_use), source })?
        }
        Some(Err(error)) => return Err(error.into()),
    };
    console.answer(&place, || {
        format!("sent to topic {}, partition {}, offset {}", place.topic, place.partition, place.offset)
    });
    Ok(())
}

/// Returns the topic called `to`, or for `@` and an agent's name, the topic that the agent reads.
fn destination(program: &Program, to: &str) -> Result<&'static dyn AnyTopic, CliError> {
    let graph = program.graph();
    let known = || program.topics.iter().map(|topic| topic.name().clone());
    let name = match to.strip_prefix('@') {
        None => to.into(),
        Some(name) => {
            let mut agents = graph.agents.iter().filter(|agent| agent.role == AgentRole::Declared);
            match agents.clone().find(|agent| *agent.name == *name) {
                Some(agent) => input(&graph, agent),
                None => return Err(Unknown::new("agent", name, agents.by_ref().map(|agent| agent.name.clone())).into()),
            }
        }
    };
    let topic = program.topics.iter().find(|topic| **topic.name() == *name).copied();
    topic.ok_or_else(|| Unknown::new("topic", &name, known()).into())
}

async fn ask(
    program: &Program,
    topic: &dyn AnyTopic,
    record: &WrittenRecord,
    at: &AskedAt,
) -> Result<RecordPlace, ClientError> {
    let worker = RunningWorker::find(at, &program.app).await?;
    let answer = worker.post(&format!("/topics/{}", encode(topic.name().as_bytes())), record).await?;
    serde_json::from_str(answer.get()).map_err(|_| worker.is_none())
}

async fn produce(
    program: &Program,
    topic: &dyn AnyTopic,
    record: WrittenRecord,
    config: &Config,
    broker: &SharedBroker,
) -> Result<RecordPlace, CliError> {
    let topology = prepare_topics(program, &**broker, &*config.clock, config.topic_settings()).await?;
    let record = record.encode(topic, &topology, config.clock.now(), &*config.entropy)?;
    let failed = || RunError::broker(format!("sending to topic `{}`", record.topic));
    let Outgoing { topic, partition, timestamp, key, value, .. } = &record;
    let headers = record.headers();
    let new = NewRecord { timestamp: *timestamp, key: key.as_deref(), value: value.as_deref(), headers: &headers };
    let mut producer = broker.producer().map_err(failed())?;
    let to = TopicPartition { topic: topic.clone(), partition: *partition };
    let destination = producer.destination(&to).map_err(failed())?;
    producer.send(destination, new).map_err(failed())?;
    let written = producer.flush().await.map_err(failed())?;
    let end = written.end(destination).map_or(0, |end| end.get());
    Ok(RecordPlace { topic: topic.to_string(), partition: partition.get(), offset: end.saturating_sub(1) })
}
