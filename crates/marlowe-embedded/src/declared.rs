//! The topics that groups have declared they read. Retention asks here before it deletes records.

use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{Reads, Unread};
use parking_lot::Mutex;

use crate::partition::Partition;
use crate::positions::Positions;

/// The topics that groups read, as the groups declared them.
#[derive(Default)]
pub(crate) struct DeclaredReads {
    groups: Mutex<BTreeMap<Arc<str>, Vec<Reads>>>,
}

impl DeclaredReads {
    pub(crate) fn new(groups: impl IntoIterator<Item = (Arc<str>, Vec<Reads>)>) -> Self {
        Self { groups: Mutex::new(groups.into_iter().collect()) }
    }

    pub(crate) fn of_group(&self, group: &str) -> Vec<Reads> {
        self.groups.lock().get(group).cloned().unwrap_or_default()
    }

    /// Sets what a group reads, which replaces what it read before.
    pub(crate) fn set(&self, group: &Arc<str>, reads: Vec<Reads>) {
        let mut groups = self.groups.lock();
        if reads.is_empty() {
            groups.remove(group);
        } else {
            groups.insert(group.clone(), reads);
        }
    }

    /// Returns the first offset of a partition that some group has not read and still needs, or
    /// `None` when no group needs any.
    ///
    /// A group that has declared the topic with [`Unread::Keep`] needs the records from its
    /// position on. It needs all records while it has no position. A group that has declared
    /// nothing needs the records from its position on, if it has a position there.
    pub(crate) fn first_unread(&self, partition: &Partition, positions: &Positions) -> Option<u64> {
        let groups = self.groups.lock();
        let declared = groups.iter().filter_map(|(group, reads)| {
            let reads = reads.iter().find(|reads| reads.topic == partition.place.topic)?;
            let position = positions.get(group, &partition.place).map_or(0, |committed| committed.offset.get());
            (reads.unread == Unread::Keep).then_some(position)
        });
        let silent = positions.at(&partition.place).into_iter().filter(|(group, _)| !groups.contains_key(group));
        declared.chain(silent.map(|(_, position)| position.get())).min()
    }
}
