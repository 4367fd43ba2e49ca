//! The record of a shard's log of places: each agent's place in each input at a commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::Offset;
use serde::{Deserialize, Serialize};

use super::positions::GroupPosition;

/// The places of a shard's agents in its inputs, as a record of the log of places holds them. A
/// *place* is the offset of an agent's next event in one input.
///
/// A commit writes the record in the transaction of the state that belongs to it, so it is never
/// behind that state. The positions that the group's coordinator hands out may be: Kafka's can be
/// minutes old after its brokers were killed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Places {
    /// The places in each input, by topic.
    pub(crate) inputs: BTreeMap<Arc<str>, InputPlaces>,
}

/// The places of agents in one input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InputPlaces {
    /// The topic's id, which tells it from an earlier topic with the same name. Places in a topic
    /// that was deleted say nothing about its successor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<Arc<str>>,
    /// The places of the agents that read the topic when the record was written.
    #[serde(default)]
    pub(crate) agents: BTreeMap<Arc<str>, u64>,
    /// The places of agents that read the topic before, in other versions of the program. They may
    /// read it again soon, while a deployment is in progress.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) former: BTreeMap<Arc<str>, u64>,
}

impl Places {
    /// The key of the records.
    pub(crate) const KEY: &'static [u8] = b"places";

    /// Reads a record. Returns `None` if `value` is not one.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        let mut places: Self = serde_json::from_slice(value).ok()?;
        places.inputs.values_mut().for_each(InputPlaces::settle);
        Some(places)
    }

    /// Returns the record as bytes.
    pub(crate) fn written(&self) -> Vec<u8> {
        // Cannot fail, because serde_json writes any text and number.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Returns the places in a topic with the id `id`, if any are known.
    pub(crate) fn input(&self, topic: &str, id: Option<&Arc<str>>) -> Option<&InputPlaces> {
        self.inputs.get(topic).filter(|input| input.is_of(id))
    }

    /// Adds the places that another log has. The later of two places counts.
    pub(crate) fn merge(&mut self, other: Places) {
        for (topic, other) in other.inputs {
            match self.inputs.get_mut(&topic) {
                Some(input) if input.is_of(other.id.as_ref()) => input.merge(other),
                // The other log has a topic of an earlier or later time under this name.
                Some(_) => {}
                None => drop(self.inputs.insert(topic, other)),
            }
        }
    }
}

impl InputPlaces {
    /// Returns true if these are places in the topic with the id `id`. Brokers without ids cannot
    /// tell, so the answer is then true.
    pub(crate) fn is_of(&self, id: Option<&Arc<str>>) -> bool {
        match (&self.id, id) {
            (Some(own), Some(id)) => own == id,
            _ => true,
        }
    }

    /// Removes agents from `former` that read the topic now. The later of the two places counts.
    fn settle(&mut self) {
        let Self { agents, former, .. } = self;
        former.retain(|agent, before| match agents.get_mut(agent) {
            Some(place) => {
                *place = (*place).max(*before);
                false
            }
            None => true,
        });
    }

    fn merge(&mut self, other: InputPlaces) {
        for (agent, at) in other.agents {
            let before = self.former.remove(&agent).max(self.agents.get(&agent).copied());
            self.agents.insert(agent, before.map_or(at, |before| before.max(at)));
        }
        for (agent, at) in other.former {
            let place = match self.agents.get_mut(&agent) {
                Some(place) => place,
                None => self.former.entry(agent).or_insert(at),
            };
            *place = at.max(*place);
        }
    }

    /// Returns the least place of the agents that read the topic when this was written. This was
    /// the group's position then.
    pub(crate) fn least(&self) -> Option<Offset> {
        self.agents.values().copied().min().map(Offset::new)
    }

    /// Makes all agents former ones. The caller then adds the agents that read the topic now.
    pub(crate) fn retire(&mut self) {
        self.former.append(&mut self.agents);
    }
}

/// Returns the place at which an agent goes on in an input: the later of the group's position and
/// the place in `kept`. `None` for an agent that was never there.
pub(crate) fn place_of(agent: &str, group: Option<&GroupPosition>, kept: Option<&InputPlaces>) -> Option<Offset> {
    let Some(kept) = kept else {
        // The position is from a version of Marlowe that kept no places, or an administrator has
        // set it. It holds for all agents.
        return group.map(|group| group.of(agent));
    };
    let by_name = group.and_then(|group| group.agents.get(agent).copied());
    if let Some(at) = kept.agents.get(agent) {
        return Some(group.map_or(Offset::ZERO, |group| group.of(agent)).max(Offset::new(*at)));
    }
    // The group's position holds for the agents that read the topic, and this agent did not.
    by_name.max(kept.former.get(agent).copied().map(Offset::new))
}

#[cfg(test)]
mod tests {
    use marlowe_broker::CommittedOffset;

    use super::*;

    fn input(id: &str, agents: &[(&str, u64)], former: &[(&str, u64)]) -> InputPlaces {
        let places = |places: &[(&str, u64)]| places.iter().map(|(agent, at)| ((*agent).into(), *at)).collect();
        InputPlaces { id: Some(id.into()), agents: places(agents), former: places(former) }
    }

    fn group(offset: u64, metadata: &str) -> GroupPosition {
        GroupPosition::parse(&CommittedOffset { offset: Offset::new(offset), metadata: metadata.into() })
    }

    #[test]
    fn a_reader_is_no_former_one() {
        let both = br#"{"inputs":{"orders":{"id":"x","agents":{"sum":3},"former":{"sum":8,"old":1}}}}"#;
        let places = Places::read(both).unwrap();
        assert_eq!(places.inputs["orders"], input("x", &[("sum", 8)], &[("old", 1)]));
    }

    #[test]
    fn what_is_written_is_read() {
        let inputs =
            [("orders".into(), input("x", &[("count", 7)], &[("old", 3)])), ("more".into(), InputPlaces::default())];
        let places = Places { inputs: inputs.into() };
        assert_eq!(Places::read(&places.written()), Some(places));
        assert_eq!(Places::read(b"no JSON"), None);
        assert_eq!(
            Places::read(br#"{"inputs":{"t":{"agents":{"a":1},"from":"a later edition"}}}"#).unwrap().inputs.len(),
            1
        );
    }

    #[test]
    fn the_later_place_counts() {
        let kept = input("x", &[("a", 7), ("b", 5)], &[("gone", 3)]);
        let at = |agent, group: Option<GroupPosition>| place_of(agent, group.as_ref(), Some(&kept)).map(Offset::get);
        let all = |group: fn() -> Option<GroupPosition>| ["a", "b", "gone", "new"].map(|agent| at(agent, group()));
        // The coordinator's position is older, equal, or set forward by an administrator, or the
        // coordinator has none any more.
        assert_eq!(all(|| Some(group(2, ""))), [Some(7), Some(5), Some(3), None]);
        assert_eq!(all(|| Some(group(5, "log=app-t-positions;a=7"))), [Some(7), Some(5), Some(3), None]);
        assert_eq!(all(|| Some(group(6, ""))), [Some(7), Some(6), Some(3), None]);
        assert_eq!(all(|| Some(group(6, "a=9;new=8"))), [Some(9), Some(6), Some(3), Some(8)]);
        assert_eq!(all(|| None), [Some(7), Some(5), Some(3), None]);
        // No places are kept.
        assert_eq!(place_of("a", Some(&group(5, "a=7")), None), Some(Offset::new(7)));
        assert_eq!(place_of("new", Some(&group(5, "a=7")), None), Some(Offset::new(5)));
        assert_eq!(place_of("a", None, None), None);
    }

    #[test]
    fn places_in_a_topic_that_was_created_again_mean_nothing() {
        let places = Places { inputs: [("t".into(), input("x", &[("a", 7)], &[]))].into() };
        assert!(places.input("t", Some(&"x".into())).is_some());
        assert!(places.input("t", None).is_some(), "a broker without ids cannot tell");
        assert!(places.input("t", Some(&"y".into())).is_none());
    }

    #[test]
    fn of_two_logs_the_later_places_count() {
        let mut places = Places { inputs: [("t".into(), input("x", &[("a", 7), ("b", 2)], &[]))].into() };
        let other =
            [("t".into(), input("x", &[("a", 3), ("b", 4)], &[("c", 1)])), ("u".into(), input("y", &[("d", 1)], &[]))];
        places.merge(Places { inputs: other.into() });
        assert_eq!(places.inputs["t"], input("x", &[("a", 7), ("b", 4)], &[("c", 1)]));
        assert_eq!(places.inputs["u"], input("y", &[("d", 1)], &[]));
        places.merge(Places { inputs: [("t".into(), input("z", &[("a", 99)], &[]))].into() });
        assert_eq!(places.inputs["t"].agents["a"], 7, "another topic of that name");
    }
}
