use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{CommittedOffset, Offset, TopicPartition};

use super::{InputStart, ShardAgent};
use crate::turn::{Includes, InputId, Stamp};

/// Where each agent of a shard is in each of its topics.
///
/// A group has one position per partition in the broker; agents that read one topic go at their own pace. So the position is the
/// least of theirs, and who is ahead of it is noted in the position's metadata: `agent=offset;agent=offset`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct InputPositions {
    committed: Option<Offset>,
    ahead: BTreeMap<String, Offset>,
}

impl InputPositions {
    /// Reads what was committed.
    pub(crate) fn parse(committed: Option<&CommittedOffset>) -> Self {
        let Some(committed) = committed else { return Self::default() };
        let ahead = committed
            .metadata
            .split(';')
            .filter_map(|entry| entry.split_once('='))
            .filter_map(|(agent, offset)| Some((agent.to_owned(), Offset::new(offset.parse().ok()?))))
            .collect();
        Self { committed: Some(committed.offset), ahead }
    }

    /// Where `agent` goes on; `start` is where one begins that never was here.
    pub(crate) fn of(&self, agent: &str, start: Offset) -> Offset {
        match (self.ahead.get(agent), self.committed) {
            (Some(ahead), _) => *ahead,
            (None, Some(committed)) => committed,
            (None, None) => start,
        }
    }
}

/// An agent's name, and where it is.
type AgentPlace<'a> = (&'a Arc<str>, Offset);

/// What to commit: a position for each partition that the agents read.
pub(crate) fn to_commit(agents: &[ShardAgent]) -> Vec<(TopicPartition, CommittedOffset)> {
    let mut by_source: Vec<(&TopicPartition, Vec<AgentPlace<'_>>)> = Vec::new();
    for agent in agents {
        let place = (&agent.name, agent.input.position());
        match by_source.iter_mut().find(|(source, _)| **source == agent.input.source) {
            Some((_, places)) => places.push(place),
            None => by_source.push((&agent.input.source, vec![place])),
        }
    }
    by_source
        .into_iter()
        .map(|(source, places)| {
            let least = places.iter().map(|(_, offset)| *offset).min().unwrap_or_default();
            let ahead: Vec<String> = places
                .iter()
                .filter(|(_, offset)| *offset > least)
                .map(|(name, offset)| format!("{name}={offset}"))
                .collect();
            (source.clone(), CommittedOffset { offset: least, metadata: ahead.join(";") })
        })
        .collect()
}

/// The positions as a changelog record carries them (at least once), of each agent. A restore compares them with what was
/// committed, and passes over records that run ahead of it.
pub(crate) fn includes(agents: &[ShardAgent]) -> Includes {
    let mut includes = Includes::default();
    for agent in agents {
        includes.add(InputId::of(&agent.input.source.topic, &agent.name), agent.input.position());
    }
    includes
}

/// What is committed of a shard's inputs, to compare stamps with.
pub(crate) struct CommittedInputs(BTreeMap<InputId, Offset>);

impl CommittedInputs {
    /// Of agents, each with the topic that it reads.
    pub(crate) fn of<'a>(
        agents: impl Iterator<Item = (&'a str, &'a str)>,
        inputs: &BTreeMap<Arc<str>, InputStart>,
    ) -> Self {
        let position = |(topic, agent)| {
            let start: Option<&InputStart> = inputs.get(topic);
            let positions = InputPositions::parse(start.and_then(|start| start.committed.as_ref()));
            (InputId::of(topic, agent), positions.of(agent, Offset::ZERO))
        };
        Self(agents.map(position).collect())
    }

    /// Whether a changelog record with this stamp runs ahead of what was committed. An input that no agent reads any more is not
    /// read again, so nothing runs ahead of it.
    pub(crate) fn are_behind(&self, stamp: Stamp<'_>) -> bool {
        stamp.includes().any(|(input, position)| self.0.get(&input).is_some_and(|committed| position > *committed))
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use marlowe_broker::Partition;

    use super::*;
    use crate::agent::Input;

    fn agent(name: &str, topic: &str, offset: u64) -> ShardAgent {
        let source = TopicPartition::new(topic, Partition::new(0));
        ShardAgent {
            name: name.into(),
            input: Rc::new(Input::new(source, Offset::new(offset))),
            counters: Rc::default(),
        }
    }

    #[test]
    fn agents_that_read_one_topic_each_go_on_where_they_were() {
        let agents = [agent("a", "t", 7), agent("b", "t", 5), agent("c", "u", 9)];
        let committed = to_commit(&agents);
        assert_eq!(committed[0].1, CommittedOffset { offset: Offset::new(5), metadata: "a=7".into() });
        let read = InputPositions::parse(Some(&committed[0].1));
        assert_eq!(read.of("a", Offset::ZERO), Offset::new(7));
        assert_eq!(read.of("b", Offset::ZERO), Offset::new(5));
        assert_eq!(read.of("new", Offset::ZERO), Offset::new(5));
        assert_eq!(InputPositions::parse(None).of("a", Offset::new(3)), Offset::new(3));
    }

    #[test]
    fn a_record_ahead_of_what_was_committed_is_known() {
        let bytes = Stamp::written(1, &includes(&[agent("a", "t", 7), agent("c", "u", 9)]));
        let runs_ahead = |places: &[(&str, &str, u64)]| {
            let start = |offset| InputStart {
                committed: Some(CommittedOffset { offset: Offset::new(offset), metadata: String::new() }),
                earliest: Offset::ZERO,
            };
            let inputs = places.iter().map(|(topic, _, offset)| ((*topic).into(), start(*offset))).collect();
            let agents = places.iter().map(|(topic, agent, _)| (*topic, *agent));
            CommittedInputs::of(agents, &inputs).are_behind(Stamp::read(&bytes).expect("it is a stamp"))
        };
        assert!(!runs_ahead(&[("t", "a", 7), ("u", "c", 9)]));
        assert!(!runs_ahead(&[("t", "a", 8), ("u", "c", 10)]));
        assert!(runs_ahead(&[("t", "a", 7), ("u", "c", 8)]));
        assert!(runs_ahead(&[("t", "a", 6), ("u", "c", 9)]));
        assert!(!runs_ahead(&[("u", "c", 9)]), "nobody reads the other one any more");
    }
}
