use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{CommittedOffset, Offset, TopicPartition};

use super::ShardAgent;

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

/// The positions as a changelog record carries them (at least once): `topic/agent=offset` for each agent. A restore compares
/// them with what was committed, and passes over records that run ahead of it.
pub(crate) fn includes(agents: &[ShardAgent]) -> Vec<u8> {
    let entries: Vec<String> = agents
        .iter()
        .map(|agent| format!("{}/{}={}", agent.input.source.topic, agent.name, agent.input.position()))
        .collect();
    entries.join(";").into_bytes()
}

/// Whether a changelog record that includes these positions runs ahead of what was committed.
pub(crate) fn runs_ahead(includes: &[u8], committed: impl Fn(&str, &str) -> Offset) -> bool {
    let text = std::str::from_utf8(includes).unwrap_or_default();
    text.split(';').filter_map(|entry| entry.rsplit_once('=')).any(|(input, offset)| {
        let Some((topic, agent)) = input.split_once('/') else { return false };
        offset.parse().is_ok_and(|offset| Offset::new(offset) > committed(topic, agent))
    })
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
        let bytes = includes(&[agent("a", "t", 7), agent("c", "u", 9)]);
        let committed = |t: u64, u: u64| move |topic: &str, _: &str| Offset::new(if topic == "t" { t } else { u });
        assert!(!runs_ahead(&bytes, committed(7, 9)));
        assert!(!runs_ahead(&bytes, committed(8, 10)));
        assert!(runs_ahead(&bytes, committed(7, 8)));
        assert!(runs_ahead(&bytes, committed(6, 9)));
    }
}
