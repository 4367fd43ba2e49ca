//! The inputs of a shard, and the places at which its agents go on in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{CommittedOffset, Offset, TopicPartition};

use super::places::Places;
use super::positions::new_position;

/// The places at which a shard's agents go on, and the facts that they follow from.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShardInputs {
    /// The start of each input, by topic.
    pub(crate) starts: BTreeMap<Arc<str>, InputStart>,
    /// The places that are known from the shard's own log, and from other logs that its positions
    /// name.
    pub(crate) kept: Places,
    /// The last record of the shard's own log.
    pub(crate) record: Option<Vec<u8>>,
    /// True if a new agent's first place must be committed before the shard counts as open. If that
    /// place is the end of an input, it would be another place later. And if the group's position
    /// is further than this place, a drain would wrongly take the input for processed.
    pub(crate) commits_first: bool,
    /// The records that were removed before they were read, and that the program does without.
    pub(crate) expired: Vec<Expired>,
}

/// Records that were removed before they were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expired {
    pub(crate) source: TopicPartition,
    /// The first offset that was not read.
    pub(crate) from: Offset,
    /// The first offset that still exists.
    pub(crate) to: Offset,
}

impl Expired {
    /// Returns the records that an agent with the place `place` lacks in a partition that begins at
    /// `earliest`.
    pub(crate) fn before(source: &TopicPartition, place: Offset, earliest: Offset) -> Option<Self> {
        (place < earliest).then(|| Self { source: source.clone(), from: place, to: earliest })
    }
}

/// The places at which the agents of one input partition go on.
#[derive(Clone, Debug, Default)]
pub(crate) struct InputStart {
    /// The topic's id, which tells it from an earlier topic with the same name.
    pub(crate) id: Option<Arc<str>>,
    /// The group's position.
    pub(crate) committed: Option<CommittedOffset>,
    pub(crate) agents: BTreeMap<Arc<str>, Offset>,
}

impl ShardInputs {
    /// Returns the place at which an agent goes on.
    pub(crate) fn at(&self, topic: &str, agent: &str) -> Offset {
        let start = self.starts.get(topic);
        start.and_then(|start| start.agents.get(agent).copied()).unwrap_or_default()
    }

    /// Sets the place at which an agent goes on.
    pub(crate) fn set(&mut self, topic: &str, agent: &Arc<str>, at: Offset) {
        if let Some(start) = self.starts.get_mut(topic) {
            start.agents.insert(agent.clone(), at);
        }
    }

    /// Returns all places. Agents that are not in the shard any more are kept as former ones.
    pub(crate) fn places(&self) -> Places {
        let mut places = self.kept.clone();
        places.inputs.values_mut().for_each(|input| input.retire());
        for (topic, start) in &self.starts {
            let input = places.inputs.entry(topic.clone()).or_default();
            if !input.is_of(start.id.as_ref()) {
                input.former.clear();
            }
            input.id = start.id.clone().or(input.id.take());
            input.former.retain(|agent, _| !start.agents.contains_key(agent));
            input.agents = start.agents.iter().map(|(agent, at)| (agent.clone(), at.get())).collect();
        }
        places
    }

    /// Returns the group's position for a partition, to be committed with the places of its agents
    /// in the log of places.
    pub(crate) fn position(&self, log: &str, at: &TopicPartition) -> (TopicPartition, CommittedOffset) {
        let agents = self.starts.get(&at.topic).map(|start| &start.agents);
        let places: Vec<_> = agents.into_iter().flatten().map(|(agent, at)| (&**agent, *at)).collect();
        (at.clone(), new_position(log, &places))
    }
}
