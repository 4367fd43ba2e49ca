use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::Partition;
use marlowe_state::{PositionSlot, Store, TableIndex};
use parking_lot::RwLock;
use tokio::sync::watch;

/// Where each slice of each table can be read: committed state only, published by its owner.
///
/// The workers of one process share one directory.
#[derive(Default)]
pub(crate) struct Directory {
    tables: RwLock<HashMap<Arc<str>, TableEntry>>,
    changed: watch::Sender<()>,
}

struct TableEntry {
    slices: Vec<Option<Published>>,
}

/// A slice that is open for committed reads.
#[derive(Clone)]
pub(crate) struct Published {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) table: TableIndex,
    pub(crate) slot: PositionSlot,
    /// Who published it: the worker, and the worker's how-manieth opening.
    pub(crate) owner: Owner,
    /// Marked at each commit.
    pub(crate) committed: watch::Receiver<()>,
}

/// One opening of a shard by a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) worker: Arc<str>,
    pub(crate) opening: u64,
}

impl Directory {
    /// Says that a table has so many partitions, none of them open yet.
    pub(crate) fn declare(&self, table: &Arc<str>, partitions: u32) {
        self.tables
            .write()
            .entry(table.clone())
            .or_insert_with(|| TableEntry { slices: vec![None; partitions as usize] });
    }

    pub(crate) fn publish(&self, table: &Arc<str>, partition: Partition, slice: Published) {
        if let Some(entry) = self.tables.write().get_mut(table) {
            entry.slices[partition.index()] = Some(slice);
        }
        self.changed.send_replace(());
    }

    /// Takes a slice back, unless another owner has published it meanwhile.
    pub(crate) fn withdraw(&self, table: &Arc<str>, partition: Partition, owner: &Owner) {
        if let Some(entry) = self.tables.write().get_mut(table) {
            let slice = &mut entry.slices[partition.index()];
            if slice.as_ref().is_some_and(|slice| slice.owner == *owner) {
                *slice = None;
            }
        }
    }

    /// How many partitions `table` has; 0 when it is not known.
    pub(crate) fn partitions(&self, table: &str) -> u32 {
        self.tables.read().get(table).map_or(0, |entry| entry.slices.len() as u32)
    }

    pub(crate) fn slice(&self, table: &str, partition: Partition) -> Option<Published> {
        self.tables.read().get(table)?.slices.get(partition.index())?.clone()
    }

    /// Who has each partition of `table` open, in order.
    pub(crate) fn owners(&self, table: &str) -> Vec<Option<Owner>> {
        match self.tables.read().get(table) {
            Some(entry) => entry.slices.iter().map(|slice| slice.as_ref().map(|slice| slice.owner.clone())).collect(),
            None => Vec::new(),
        }
    }

    /// The slice, as soon as some worker has it open; `None` when none has within `deadline`.
    pub(crate) async fn wait_for(&self, table: &str, partition: Partition, deadline: Duration) -> Option<Published> {
        if let Some(slice) = self.slice(table, partition) {
            return Some(slice);
        }
        let mut changed = self.changed.subscribe();
        tokio::time::timeout(deadline, async {
            loop {
                changed.mark_unchanged();
                if let Some(slice) = self.slice(table, partition) {
                    return Some(slice);
                }
                changed.changed().await.ok()?;
            }
        })
        .await
        .ok()
        .flatten()
    }
}
