//! Where a shard's agents go on: the lookup of the group's positions and of the shard's log of
//! places.
//!
//! # Which place counts
//!
//! An agent's place is kept twice: in the group's position, and in the newest record of the shard's
//! log of places. Kafka's coordinator may return positions of minutes ago after its brokers were
//! killed, and a group has only one position per partition, however many agents read it. So the
//! later of the two places is used. A place in the log counts only if the topic still has the id
//! that was noted with it.
//!
//! So a position that was moved forward on purpose is followed. An older one is warned about, and
//! the shard's first commit corrects it.
//!
//! The positions are looked up before the log is read. What was committed with a position is then
//! in the log.
//!
//! # First places
//!
//! An agent without a place is new. It begins at the first record, or at the end of the input
//! (`.from_now()`). In two cases its first place must be committed before the shard counts as open
//! ([`ShardInputs::commits_first`]). An end that is not committed would be another one at the next
//! opening. And if the group already has a position in the input, a drain would take the input for
//! processed, although the new agent has not read it.

use std::sync::Arc;

use marlowe_broker::{Offset, SharedBroker, TopicPartition};

use super::lookups::{End, Lookups};
use super::places_logs::{KeptPlaces, PlacesLogs};
use crate::error::RunError;
use crate::prepare::beginnings;
use crate::program::Program;
use crate::shard::{Expired, GroupPosition, InputPlaces, InputStart, ShardId, ShardInputs, place_of};
use crate::topology::{AgentNode, Beginning, Topology};

/// The lookup of the places where shards' agents go on.
pub(crate) struct InputLookup {
    pub(crate) program: Arc<Program>,
    pub(crate) topology: Arc<Topology>,
    pub(crate) broker: SharedBroker,
    pub(crate) lookups: Arc<Lookups>,
    pub(crate) logs: PlacesLogs,
}

/// An input of a shard, and what the group says about it.
struct Input {
    topic: Arc<str>,
    start: InputStart,
    group: Option<GroupPosition>,
    earliest: Offset,
}

impl InputLookup {
    /// Creates a lookup at `broker`.
    pub(crate) fn new(program: Arc<Program>, topology: Arc<Topology>, broker: SharedBroker) -> Self {
        let lookups = Arc::new(Lookups::new(broker.clone(), program.app.clone()));
        let logs = PlacesLogs::new(broker.clone());
        Self { program, topology, broker, lookups, logs }
    }

    /// Finds where the agents of a shard go on.
    pub(crate) async fn of(&self, id: ShardId) -> Result<ShardInputs, RunError> {
        let mut inputs = Vec::new();
        for topic in self.topics(id) {
            inputs.push(self.input(id, topic).await?);
        }
        // This comes after the positions, so that the log has all that was committed with them.
        let own = TopicPartition { topic: self.log(id), partition: id.partition };
        let kept = self.kept(own.clone()).await?;
        let (mut kept, record) = kept.map_or_else(Default::default, |kept| (kept.places, Some(kept.record)));
        // The positions name other logs if the group had another name in an earlier version of the
        // program.
        let mut others: Vec<Arc<str>> = inputs.iter().filter_map(|input| input.group.as_ref()?.log.clone()).collect();
        others.retain(|log| *log != own.topic);
        others.sort();
        others.dedup();
        for topic in others {
            let log = TopicPartition { topic, partition: id.partition };
            if let Some(other) = self.kept(log).await? {
                kept.merge(other.places);
            }
        }
        let mut found = ShardInputs { kept, record, ..ShardInputs::default() };
        for mut input in inputs {
            let agents: Vec<&AgentNode> = self.agents(id).filter(|agent| agent.reads == input.topic).collect();
            let kept = found.kept.input(&input.topic, input.start.id.as_ref()).cloned();
            let group = input.group.as_ref();
            let at = TopicPartition { topic: input.topic.clone(), partition: id.partition };
            self.warn_of_old_position(&at, group, kept.as_ref(), &own.topic);
            let mut least = input.earliest;
            for agent in agents {
                let place = match place_of(&agent.name, group, kept.as_ref()) {
                    Some(place) => {
                        least = least.min(place);
                        place.max(input.earliest)
                    }
                    None => {
                        found.commits_first |= agent.begins == Beginning::Now || input.group.is_some();
                        self.beginning(&input, id, agent, kept.is_none()).await?
                    }
                };
                input.start.agents.insert(agent.name.clone(), place);
            }
            if let Some(expired) = Expired::before(&at, least, input.earliest) {
                expired.check(&self.topology)?;
                found.expired.push(expired);
            }
            found.starts.insert(input.topic, input.start);
        }
        Ok(found)
    }

    fn agents(&self, id: ShardId) -> impl Iterator<Item = &AgentNode> {
        let group = &self.topology.groups[id.group];
        self.topology.graph.agents.iter().filter(|agent| group.agents.contains(&agent.name))
    }

    /// Returns the topics that the agents of a shard read, each once.
    fn topics(&self, id: ShardId) -> Vec<Arc<str>> {
        let mut topics: Vec<Arc<str>> = Vec::new();
        for agent in self.agents(id) {
            if !topics.contains(&agent.reads) {
                topics.push(agent.reads.clone());
            }
        }
        topics
    }

    fn log(&self, id: ShardId) -> Arc<str> {
        self.topology.places_log(&self.topology.groups[id.group])
    }

    async fn input(&self, id: ShardId, topic: Arc<str>) -> Result<Input, RunError> {
        let source = TopicPartition { topic: topic.clone(), partition: id.partition };
        let failed = || RunError::broker(format!("looking up the position in {source}"));
        let topic_id = self.lookups.topic_id(&topic).await.map_err(failed())?;
        let earliest = self.offset(&source, End::Earliest).await?;
        let committed = self.lookups.committed(source.clone()).await.map_err(failed())?;
        let group = committed.as_ref().map(GroupPosition::parse);
        let start = InputStart { id: topic_id, committed, ..InputStart::default() };
        Ok(Input { topic, start, group, earliest })
    }

    async fn kept(&self, log: TopicPartition) -> Result<Option<KeptPlaces>, RunError> {
        let doing = format!("reading {log}, which tells where agents are");
        self.logs.newest(log).await.map_err(RunError::broker(doing))
    }

    /// Returns where an agent begins that has no place in an input yet.
    async fn beginning(
        &self,
        input: &Input,
        id: ShardId,
        agent: &AgentNode,
        nobody_was: bool,
    ) -> Result<Offset, RunError> {
        let source = TopicPartition { topic: input.topic.clone(), partition: id.partition };
        match (agent.begins, self.program.takes_over()) {
            (Beginning::Now, _) => self.offset(&source, End::Latest).await,
            (Beginning::Start, Some(faust)) if nobody_was && input.group.is_none() => {
                let begin = beginnings(Some(&faust), &*self.broker, &input.topic, &[id.partition]).await?;
                Ok(begin.first().copied().unwrap_or(input.earliest))
            }
            (Beginning::Start, _) => Ok(input.earliest),
        }
    }

    fn warn_of_old_position(
        &self,
        at: &TopicPartition,
        group: Option<&GroupPosition>,
        kept: Option<&InputPlaces>,
        log: &str,
    ) {
        let Some(least) = kept.and_then(InputPlaces::least) else { return };
        let is = match group {
            Some(group) if group.offset >= least => return,
            Some(group) => format!("at {}", group.offset),
            None => "missing".to_owned(),
        };
        tracing::warn!(
            "{at}: the group's position is {is}, but the committed work includes the records up to {least}, as \
             `{log}` says: continuing from there. (Kafka's coordinator may return old positions after its brokers \
             were killed.) To process records again on purpose, stop the program and run `reset`"
        );
    }

    async fn offset(&self, source: &TopicPartition, end: End) -> Result<Offset, RunError> {
        let offset = self.lookups.offset(&source.topic, source.partition, end).await;
        offset.map_err(RunError::broker(format!("looking up the offsets of {source}")))
    }
}
