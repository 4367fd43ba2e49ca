//! The group's positions in a shard's inputs, and the notes (Kafka: metadata) that are committed
//! with them.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use marlowe_broker::{CommittedOffset, Offset, TopicPartition};

use crate::agent::OpenAgent;

/// The most bytes of a note that this version writes. Brokers take four times as many by default.
const LONGEST_NOTE: usize = 1024;

/// The group's position in an input, and the content of its note.
///
/// A group has one position per partition in the broker, while agents that read one topic go at
/// their own pace. So the position is the least of theirs. The note names the log with all their
/// places. It also names each agent that is ahead, if there is room for all of these:
/// `log=TOPIC;agent=offset;agent=offset`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupPosition {
    pub(crate) offset: Offset,
    /// The positions of the agents that the note names.
    pub(crate) agents: BTreeMap<Arc<str>, Offset>,
    /// The topic of the log of places that was written in the same commit.
    pub(crate) log: Option<Arc<str>>,
}

impl GroupPosition {
    /// Reads a committed position. Versions of Marlowe without a log of places wrote only the
    /// agents.
    pub(crate) fn parse(committed: &CommittedOffset) -> Self {
        let mut position = Self { offset: committed.offset, ..Self::default() };
        for (name, value) in committed.metadata.split(';').filter_map(|entry| entry.split_once('=')) {
            match (value.parse(), name) {
                (Ok(offset), agent) => drop(position.agents.insert(agent.into(), Offset::new(offset))),
                // A topic's name is not a number.
                (Err(_), "log") => position.log = Some(value.into()),
                (Err(_), _) => {}
            }
        }
        position
    }

    /// Returns the position of an agent that read the topic when this was committed.
    pub(crate) fn of(&self, agent: &str) -> Offset {
        self.agents.get(agent).copied().unwrap_or(self.offset)
    }
}

/// Returns the positions to commit, one for each partition that the agents read.
pub(crate) fn new_positions(log: &str, agents: &[Rc<OpenAgent>]) -> Vec<(TopicPartition, CommittedOffset)> {
    let mut by_source: Vec<(&TopicPartition, Vec<(&str, Offset)>)> = Vec::new();
    for agent in agents {
        let place = (&*agent.name, agent.input.position());
        match by_source.iter_mut().find(|(source, _)| **source == agent.input.source) {
            Some((_, places)) => places.push(place),
            None => by_source.push((&agent.input.source, vec![place])),
        }
    }
    by_source.into_iter().map(|(source, places)| (source.clone(), new_position(log, &places))).collect()
}

/// Returns the position to commit for a partition in which the agents have the places `places`.
pub(crate) fn new_position(log: &str, places: &[(&str, Offset)]) -> CommittedOffset {
    let offset = places.iter().map(|(_, offset)| *offset).min().unwrap_or_default();
    let named = format!("log={log}");
    // The log's last record has all places. The note is for versions of Marlowe that do not read
    // the log.
    let ahead = places.iter().filter(|(_, at)| *at > offset);
    let whole = ahead.fold(named.clone(), |note, (agent, at)| format!("{note};{agent}={at}"));
    CommittedOffset { offset, metadata: if whole.len() <= LONGEST_NOTE { whole } else { named } }
}

#[cfg(test)]
pub(super) mod tests {
    use marlowe_broker::Partition;

    use super::*;
    use crate::turn::RecordQueue;

    pub(in crate::shard) fn agent(name: &str, topic: &str, offset: u64) -> Rc<OpenAgent> {
        let source = TopicPartition::new(topic, Partition::new(0));
        let input = Rc::new(RecordQueue::new(source, Offset::new(offset)));
        Rc::new(OpenAgent::new(name.into(), input))
    }

    const LOG: &str = "app-t-positions";

    fn notes(agents: &[Rc<OpenAgent>]) -> Vec<(u64, String)> {
        let note = |(_, committed): (TopicPartition, CommittedOffset)| (committed.offset.get(), committed.metadata);
        new_positions(LOG, agents).into_iter().map(note).collect()
    }

    #[test]
    fn a_note_says_where_agents_are_that_read_one_topic() {
        let notes = notes(&[agent("a", "t", 7), agent("b", "t", 5), agent("c", "u", 9)]);
        assert_eq!(notes, [(5, format!("log={LOG};a=7")), (9, format!("log={LOG}"))]);
        let (offset, metadata) = notes[0].clone();
        let read = GroupPosition::parse(&CommittedOffset { offset: Offset::new(offset), metadata });
        assert_eq!((read.of("a"), read.of("b"), read.of("new")), (Offset::new(7), Offset::new(5), Offset::new(5)));
        assert_eq!(read.log.as_deref(), Some(LOG));
    }

    #[test]
    fn n2_6_a_note_is_short_however_many_agents_there_are() {
        for many in [1, 10, 100, 1000] {
            let name = |number: u64| format!("{number:0200}");
            let agents: Vec<_> = (0..many).map(|number| agent(&name(number), "t", 1000 + number)).collect();
            let (offset, metadata) = notes(&agents).remove(0);
            assert!(metadata.len() <= LONGEST_NOTE && offset == 1000, "{metadata}");
            let read = GroupPosition::parse(&CommittedOffset { offset: Offset::new(offset), metadata });
            assert_eq!(read.log.as_deref(), Some(LOG));
        }
    }

    #[test]
    fn what_earlier_editions_wrote_is_read() {
        let committed = CommittedOffset { offset: Offset::new(5), metadata: "a=7;log=9".into() };
        let read = GroupPosition::parse(&committed);
        assert_eq!((read.of("a"), read.of("log"), read.of("b")), (Offset::new(7), Offset::new(9), Offset::new(5)));
        assert_eq!(read.log, None, "an agent may be called so");
    }
}
