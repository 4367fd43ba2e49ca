//! The committed places of a shard's agents, and what the next commit must write of them.

use std::rc::Rc;
use std::sync::Arc;

use marlowe_broker::{CommittedOffset, Offset, Partition, TopicPartition};

use super::inputs::{InputStart, ShardInputs};
use super::places::Places;
use super::positions::new_positions;
use crate::agent::OpenAgent;

/// The committed places of a shard's agents, and what the next commit must write of them.
#[derive(Debug, Default)]
pub(crate) struct CommittedPlaces {
    /// The topic of the log of places.
    log: Arc<str>,
    /// The place of each agent. `None` if the group or the log does not have all of them.
    at: Option<Vec<Offset>>,
    /// The committed positions of the group.
    group: Vec<(TopicPartition, CommittedOffset)>,
    record: Places,
}

/// The places for a commit.
pub(crate) struct NewPlaces {
    at: Vec<Offset>,
    /// The group's positions, without those that are committed already.
    pub(crate) positions: Vec<(TopicPartition, CommittedOffset)>,
    /// The record for the log.
    pub(crate) record: Vec<u8>,
}

impl CommittedPlaces {
    /// Returns the committed places of a shard that is being opened.
    pub(crate) fn open(log: Arc<str>, partition: Partition, inputs: &ShardInputs, agents: &[Rc<OpenAgent>]) -> Self {
        let committed = |(topic, start): (&Arc<str>, &InputStart)| {
            Some((TopicPartition { topic: topic.clone(), partition }, start.committed.clone()?))
        };
        let group = inputs.starts.iter().filter_map(committed).collect();
        let mut opened = Self { log, at: None, group, record: inputs.places() };
        // Nothing needs to be committed if the group and the log have all places already.
        if let Some(new) = opened.moved(agents)
            && new.positions.is_empty()
            && inputs.record.as_ref() == Some(&new.record)
        {
            opened.at = Some(new.at);
        }
        opened
    }

    /// Returns the place of each agent, by its number. Empty before the first commit.
    pub(crate) fn agents(&self) -> &[Offset] {
        self.at.as_deref().unwrap_or_default()
    }

    /// Returns true if an agent is not at its committed place.
    pub(crate) fn have_moved(&self, agents: &[Rc<OpenAgent>]) -> bool {
        let now = agents.iter().map(|agent| agent.input.position());
        self.at.as_ref().is_none_or(|at| !at.iter().copied().eq(now))
    }

    /// Returns what to commit. `None` if every agent is where it was.
    pub(crate) fn moved(&mut self, agents: &[Rc<OpenAgent>]) -> Option<NewPlaces> {
        self.have_moved(agents).then(|| {
            let mut new = self.all(agents);
            new.positions.retain(|new| !self.group.contains(new));
            new
        })
    }

    /// Returns all places and positions to commit, whether or not they have changed.
    pub(crate) fn all(&mut self, agents: &[Rc<OpenAgent>]) -> NewPlaces {
        let at: Vec<Offset> = agents.iter().map(|agent| agent.input.position()).collect();
        for (agent, at) in agents.iter().zip(&at) {
            if let Some(input) = self.record.inputs.get_mut(&agent.input.source.topic) {
                input.agents.insert(agent.name.clone(), at.get());
            }
        }
        let positions = new_positions(&self.log, agents);
        NewPlaces { at, positions, record: self.record.written() }
    }

    /// Notes that `new` was committed.
    pub(crate) fn committed(&mut self, new: NewPlaces) {
        self.group.retain(|(source, _)| !new.positions.iter().any(|(changed, _)| changed == source));
        self.group.extend(new.positions);
        self.at = Some(new.at);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::shard::positions::tests::agent;

    const LOG: &str = "app-t-positions";

    #[test]
    fn places_are_written_when_they_moved_and_others_are_kept() {
        let topic: Arc<str> = "t".into();
        let kept =
            Places::read(br#"{"inputs":{"t":{"id":"x","agents":{"a":5,"b":7}},"u":{"id":"y","agents":{"c":1}}}}"#);
        let agents = BTreeMap::from([("a".into(), Offset::new(5))]);
        let committed = CommittedOffset { offset: Offset::new(5), metadata: format!("log={LOG}") };
        let start = InputStart { id: Some("x".into()), committed: Some(committed), agents };
        let kept = kept.unwrap();
        let inputs = ShardInputs { starts: [(topic, start)].into(), kept, ..ShardInputs::default() };
        let open = |inputs: &ShardInputs, agents: &[Rc<OpenAgent>]| {
            CommittedPlaces::open(LOG.into(), Partition::new(0), inputs, agents)
        };
        let before = [agent("a", "t", 5)];
        // Another version of the program wrote the last record, so this version must add its own.
        let new = open(&inputs, &before).moved(&before).unwrap();
        assert_eq!(new.positions, []);
        let record = String::from_utf8(new.record.clone()).unwrap();
        assert_eq!(
            record,
            r#"{"inputs":{"t":{"id":"x","agents":{"a":5},"former":{"b":7}},"u":{"id":"y","agents":{},"former":{"c":1}}}}"#
        );
        let inputs = ShardInputs { record: Some(new.record), kept: Places::read(record.as_bytes()).unwrap(), ..inputs };
        let mut places = open(&inputs, &before);
        assert!(places.moved(&before).is_none(), "all of it is there");
        let after = [agent("a", "t", 6)];
        let new = places.moved(&after).unwrap();
        assert_eq!((new.positions.len(), new.positions[0].1.offset), (1, Offset::new(6)));
        places.committed(new);
        assert!(places.moved(&after).is_none());
    }
}
