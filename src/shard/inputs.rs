//! A shard's inputs: where its agents go on in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{CommittedOffset, Offset, TopicPartition};

use super::places::Places;
use super::positions::new_position;

/// Where a shard's agents go on, and what that follows from.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShardInputs {
    /// By topic.
    pub(crate) starts: BTreeMap<Arc<str>, InputStart>,
    /// What is kept of the shard's inputs, in its own log and in others that its positions name.
    pub(crate) kept: Places,
    /// The last record of its own log.
    pub(crate) record: Option<Vec<u8>>,
    /// Whether a new agent's first place is to be committed before the shard counts as open: one that is an input's end only now
    /// would be another one later, and where the group is already further a drain would take the input for processed.
    pub(crate) commits_first: bool,
    /// What was removed before it was read, and is done without.
    pub(crate) expired: Vec<Expired>,
}

/// Records that were removed before they were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expired {
    pub(crate) source: TopicPartition,
    /// The first that was not read.
    pub(crate) from: Offset,
    /// The first that is there.
    pub(crate) to: Offset,
}

impl Expired {
    /// What an agent lacks that goes on at `place`, in a partition that begins at `earliest`.
    pub(crate) fn before(source: &TopicPartition, place: Offset, earliest: Offset) -> Option<Self> {
        (place < earliest).then(|| Self { source: source.clone(), from: place, to: earliest })
    }
}

/// Where the agents of one input partition go on.
#[derive(Clone, Debug, Default)]
pub(crate) struct InputStart {
    /// What tells the topic from others of its name.
    pub(crate) id: Option<Arc<str>>,
    /// The group's position.
    pub(crate) committed: Option<CommittedOffset>,
    pub(crate) agents: BTreeMap<Arc<str>, Offset>,
}

impl ShardInputs {
    /// Where an agent goes on.
    pub(crate) fn at(&self, topic: &str, agent: &str) -> Offset {
        let start = self.starts.get(topic);
        start.and_then(|start| start.agents.get(agent).copied()).unwrap_or_default()
    }

    /// Has an agent go on elsewhere.
    pub(crate) fn set(&mut self, topic: &str, agent: &Arc<str>, at: Offset) {
        if let Some(start) = self.starts.get_mut(topic) {
            start.agents.insert(agent.clone(), at);
        }
    }

    /// All places, with those that are kept of others than the shard's agents by now.
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

    /// Returns the group's position that goes with the places of the agents in a partition, when those are in the log.
    pub(crate) fn position(&self, log: &str, at: &TopicPartition) -> (TopicPartition, CommittedOffset) {
        let agents = self.starts.get(&at.topic).map(|start| &start.agents);
        let places: Vec<_> = agents.into_iter().flatten().map(|(agent, at)| (&**agent, *at)).collect();
        (at.clone(), new_position(log, &places))
    }
}
