//! The slices and standbys that are open in this process.

use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{Partition, Partitioner};
use parking_lot::RwLock;

use super::committed::CommittedSlice;
use super::standby::StandbySlice;
use crate::watch;

/// The slices that are open in this process. Their owners publish committed state only.
///
/// The workers of one process share it. Slices of other processes are found through the [directory
/// of workers](crate::cluster::Directory).
#[derive(Default)]
pub(crate) struct OpenSlices {
    tables: RwLock<BTreeMap<Arc<str>, TableEntry>>,
    changed: watch::Sender<()>,
}

struct TableEntry {
    /// The table's co-partition group.
    group: Arc<str>,
    slices: Vec<Option<Published>>,
    standbys: Vec<Option<StandbySlice>>,
}

/// A slice that is open for committed reads.
#[derive(Clone)]
pub(crate) struct Published {
    pub(crate) slice: CommittedSlice,
    pub(crate) owner: Owner,
}

/// One opening of a shard by a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) worker: Arc<str>,
    /// The number of this opening among all openings of the worker.
    pub(crate) opening: u64,
    /// The group's generation at which the worker took the shard.
    pub(crate) generation: u64,
}

impl OpenSlices {
    /// Declares that a table of `group` has `partitions` partitions. None of them is open yet.
    pub(crate) fn declare(&self, table: &Arc<str>, group: &Arc<str>, partitions: u32) {
        self.tables.write().entry(table.clone()).or_insert_with(|| TableEntry {
            group: group.clone(),
            slices: vec![None; partitions as usize],
            standbys: vec![None; partitions as usize],
        });
    }

    pub(crate) fn publish(&self, table: &Arc<str>, partition: Partition, slice: Published) {
        if let Some(entry) = self.tables.write().get_mut(table) {
            entry.slices[partition.index()] = Some(slice);
        }
        self.changed.send_replace(());
    }

    /// Withdraws a slice, unless another owner has published it in the meantime.
    pub(crate) fn withdraw(&self, table: &Arc<str>, partition: Partition, owner: &Owner) {
        if let Some(entry) = self.tables.write().get_mut(table) {
            let slice = &mut entry.slices[partition.index()];
            if slice.as_ref().is_some_and(|slice| slice.owner == *owner) {
                *slice = None;
            }
        }
    }

    /// Withdraws each slice whose shard another worker has taken at a newer generation. Its owner
    /// here was expelled and does not know it yet. `newest` returns the newest generation at which
    /// a partition of a group was taken.
    pub(crate) fn withdraw_superseded(&self, newest: impl Fn(&str, Partition) -> Option<u64>) {
        for entry in self.tables.write().values_mut() {
            for (slice, partition) in entry.slices.iter_mut().zip(0..) {
                let Some(open) = slice else { continue };
                if newest(&entry.group, Partition::new(partition)).is_some_and(|newest| newest > open.owner.generation)
                {
                    *slice = None;
                }
            }
        }
    }

    /// Offers a standby slice to readers. `None` withdraws it.
    pub(crate) fn stand_by(&self, table: &str, partition: Partition, standby: Option<StandbySlice>) {
        if let Some(entry) = self.tables.write().get_mut(table) {
            entry.standbys[partition.index()] = standby;
        }
    }

    /// Returns the standby slice in this process, if there is one.
    pub(crate) fn standby(&self, table: &str, partition: Partition) -> Option<StandbySlice> {
        self.tables.read().get(table)?.standbys.get(partition.index())?.clone()
    }

    /// Returns the number of partitions of `table`, or 0 if it is not known.
    pub(crate) fn partitions(&self, table: &str) -> u32 {
        self.tables.read().get(table).map_or(0, |entry| entry.slices.len() as u32)
    }

    /// Returns the home partition of a key in topic form. In a table that is not known, it is
    /// partition 0, which nobody has open.
    pub(crate) fn home(&self, table: &str, partitioner: Partitioner, topic_key: &[u8]) -> Partition {
        match self.partitions(table) {
            0 => Partition::new(0),
            partitions => partitioner.partition(topic_key, partitions),
        }
    }

    /// Returns the co-partition group of `table`.
    pub(crate) fn group(&self, table: &str) -> Option<Arc<str>> {
        self.tables.read().get(table).map(|entry| entry.group.clone())
    }

    pub(crate) fn slice(&self, table: &str, partition: Partition) -> Option<Published> {
        self.tables.read().get(table)?.slices.get(partition.index())?.clone()
    }

    /// Returns a receiver that is notified when a slice is published.
    pub(crate) fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}
