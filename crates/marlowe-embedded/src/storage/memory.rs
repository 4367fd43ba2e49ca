//! The storage in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use marlowe_broker::BrokerError;
use parking_lot::RwLock;

use super::{Outline, Step, Storage};
use crate::batch::Batch;

/// The batches of one partition, by base.
type Shelf = Arc<RwLock<BTreeMap<u64, Arc<Batch>>>>;

/// A storage in memory, which is gone with the process.
#[derive(Default)]
pub(crate) struct Memory {
    partitions: RwLock<HashMap<u32, Shelf>>,
}

impl Memory {
    fn shelf(&self, partition: u32) -> Option<Shelf> {
        self.partitions.read().get(&partition).cloned()
    }

    fn replace(&self, partition: u32, removed: &[u64], added: &[Arc<Batch>]) {
        let Some(shelf) = self.shelf(partition) else { return };
        let mut batches = shelf.write();
        for base in removed {
            batches.remove(base);
        }
        for batch in added {
            batches.insert(batch.base(), batch.clone());
        }
    }
}

impl Storage for Memory {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn batch_bytes(&self) -> usize {
        256 * 1024
    }

    fn apply(&self, steps: &[Step]) -> Result<(), BrokerError> {
        for step in steps {
            match step {
                Step::CreateTopic { topic, .. } => {
                    let mut partitions = self.partitions.write();
                    partitions.extend(topic.partitions.iter().map(|partition| (partition.id, Shelf::default())));
                }
                Step::DeleteTopic(topic) => {
                    let mut partitions = self.partitions.write();
                    for partition in &topic.partitions {
                        partitions.remove(&partition.id);
                    }
                }
                Step::Append { partition, batches, .. } => self.replace(partition.id, &[], batches),
                Step::Replace { partition, removed, added, .. } => self.replace(partition.id, removed, added),
                Step::Position { .. } | Step::Reads { .. } => {}
            }
        }
        Ok(())
    }

    fn seek(&self, partition: u32, offset: u64) -> Result<Option<Arc<Batch>>, BrokerError> {
        let Some(shelf) = self.shelf(partition) else { return Ok(None) };
        let batches = shelf.read();
        if let Some((_, batch)) = batches.range(..=offset).next_back()
            && batch.next() > offset
        {
            return Ok(Some(batch.clone()));
        }
        Ok(batches.range(offset..).next().map(|(_, batch)| batch.clone()))
    }

    fn outline(&self, partition: u32, offset: u64) -> Result<Option<Outline>, BrokerError> {
        Ok(self.seek(partition, offset)?.map(|batch| Outline::of(&batch)))
    }
}
