//! The committed positions of all groups, in memory. Storing them is the ledger's work.

use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{CommittedOffset, Offset, TopicPartition};
use parking_lot::Mutex;

/// The committed positions of all groups.
#[derive(Default)]
pub(crate) struct Positions {
    groups: Mutex<BTreeMap<Arc<str>, BTreeMap<TopicPartition, CommittedOffset>>>,
}

impl Positions {
    pub(crate) fn get(&self, group: &str, place: &TopicPartition) -> Option<CommittedOffset> {
        self.groups.lock().get(group)?.get(place).cloned()
    }

    /// Sets a position, or removes it with `None`.
    pub(crate) fn set(&self, group: &Arc<str>, place: &TopicPartition, committed: Option<CommittedOffset>) {
        let mut groups = self.groups.lock();
        match committed {
            Some(committed) => {
                groups.entry(group.clone()).or_default().insert(place.clone(), committed);
            }
            None => {
                let Some(positions) = groups.get_mut(group) else { return };
                positions.remove(place);
                if positions.is_empty() {
                    groups.remove(group);
                }
            }
        }
    }

    /// Returns the groups that have a position in a partition, with the position.
    pub(crate) fn at(&self, place: &TopicPartition) -> Vec<(Arc<str>, Offset)> {
        let groups = self.groups.lock();
        let positions = groups.iter().filter_map(|(group, positions)| Some((group, positions.get(place)?)));
        positions.map(|(group, committed)| (group.clone(), committed.offset)).collect()
    }

    /// Returns the partitions in which `group` has positions.
    pub(crate) fn of_group(&self, group: &str) -> Vec<TopicPartition> {
        self.groups.lock().get(group).map(|positions| positions.keys().cloned().collect()).unwrap_or_default()
    }

    /// Returns the groups that have positions in `topic`, with the partition of each position.
    pub(crate) fn of_topic(&self, topic: &str) -> Vec<(Arc<str>, TopicPartition)> {
        let groups = self.groups.lock();
        let places = groups.iter().flat_map(|(group, positions)| positions.keys().map(move |place| (group, place)));
        places
            .filter(|(_, place)| &*place.topic == topic)
            .map(|(group, place)| (group.clone(), place.clone()))
            .collect()
    }
}
