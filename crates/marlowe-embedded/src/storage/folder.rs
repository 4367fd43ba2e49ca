//! The storage in a folder.

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heed::{Env, RwTxn, WithoutTls};
use marlowe_broker::BrokerError;
use parking_lot::Mutex;

use super::failure::{damaged, failure};
use super::groups::GroupNumbers;
use super::lock::FolderLock;
use super::opening::{self, Held, NEXT_PARTITION, Opened, Tables};
use super::tail::Tail;
use super::{Outline, Step, Storage, format};
use crate::batch::Batch;
use crate::config::EmbeddedConfig;
use crate::partition::Extent;

/// A storage in a folder: one LMDB environment. Each change is one LMDB transaction, synced to the
/// disk.
pub(crate) struct Folder {
    path: PathBuf,
    env: Env<WithoutTls>,
    tables: Tables,
    groups: Mutex<GroupNumbers>,
    tail: Tail,
    // The last field, so that the folder is free only after everything else is closed.
    _lock: FolderLock,
}

impl Folder {
    pub(crate) fn open(path: &Path, config: &EmbeddedConfig) -> Result<(Self, Held), BrokerError> {
        let Opened { path, env, tables, groups, held, lock } = opening::open(path, config)?;
        let tail = Tail::new(config.cache_bytes);
        Ok((Self { path, env, tables, groups: Mutex::new(groups), tail, _lock: lock }, held))
    }

    fn write_all(&self, steps: &[Step], groups: &mut GroupNumbers) -> heed::Result<()> {
        let mut txn = self.env.write_txn()?;
        for step in steps {
            self.write_step(&mut txn, step, groups)?;
        }
        txn.commit()
    }

    fn write_step(&self, txn: &mut RwTxn<'_>, step: &Step, groups: &mut GroupNumbers) -> heed::Result<()> {
        let tables = &self.tables;
        match step {
            Step::CreateTopic { topic, next_partition } => {
                let first = topic.partitions.first().map_or(0, |partition| partition.id);
                let name = topic.description.name.as_bytes();
                tables.topics.put(txn, name, &format::write_topic(topic, first))?;
                tables.about.put(txn, NEXT_PARTITION, &next_partition.to_le_bytes())
            }
            Step::DeleteTopic(topic) => {
                tables.topics.delete(txn, topic.description.name.as_bytes())?;
                for partition in &topic.partitions {
                    tables.extents.delete(txn, &partition.id.to_be_bytes())?;
                    let (first, last) = (format::batch_key(partition.id, 0), format::batch_key(partition.id, u64::MAX));
                    let all = (Bound::Included(&first[..]), Bound::Included(&last[..]));
                    tables.batches.delete_range(txn, &all)?;
                }
                Ok(())
            }
            Step::Append { partition, batches, extent } => self.replace(txn, partition.id, &[], batches, extent),
            Step::Replace { partition, removed, added, extent } => {
                self.replace(txn, partition.id, removed, added, extent)
            }
            Step::Reads { group, reads } => {
                let number = self.number(txn, group, groups)?.to_be_bytes();
                match reads.is_empty() {
                    true => tables.reads.delete(txn, &number),
                    false => tables.reads.put(txn, &number, &format::write_reads(reads)),
                }
            }
            Step::Position { group, partition, committed } => {
                let number = self.number(txn, group, groups)?;
                let key = format::position_key(number, partition.id);
                match committed {
                    Some(committed) => tables.positions.put(txn, &key, &format::write_position(committed)),
                    None => tables.positions.delete(txn, &key),
                }
            }
        }
    }

    /// Returns the number of a group, and gives it one if it has none.
    fn number(&self, txn: &mut RwTxn<'_>, group: &Arc<str>, groups: &mut GroupNumbers) -> heed::Result<u32> {
        if let Some(number) = groups.find(group) {
            return Ok(number);
        }
        let number = groups.add(group);
        self.tables.groups.put(txn, &number.to_be_bytes(), group.as_bytes())?;
        Ok(number)
    }

    fn replace(
        &self,
        txn: &mut RwTxn<'_>,
        partition: u32,
        removed: &[u64],
        added: &[Arc<Batch>],
        extent: &Extent,
    ) -> heed::Result<()> {
        let batches = &self.tables.batches;
        for base in removed {
            batches.delete(txn, &format::batch_key(partition, *base))?;
        }
        for batch in added {
            let key = format::batch_key(partition, batch.base());
            batches.put_with(txn, &key, format::batch_size(batch), |space| format::write_batch(batch, space))?;
        }
        self.tables.extents.put(txn, &partition.to_be_bytes(), &format::write_extent(extent))
    }

    /// Calls `read` with the bytes of the first batch that ends after `offset`.
    fn look<T>(
        &self,
        partition: u32,
        offset: u64,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, BrokerError> {
        let failed = |error| failure("read", &self.path, error);
        let txn = self.env.read_txn().map_err(failed)?;
        let batches = &self.tables.batches;
        let key = format::batch_key(partition, offset);
        let own = |(found, _): &(&[u8], &[u8])| found.starts_with(&key[..4]);
        // A reader that reads on is at the beginning of a batch. The batch before is looked at only
        // if the reader is not, because that costs its checksum.
        let mut found = batches.get(&txn, &key).map_err(failed)?;
        if found.is_none() {
            let before = batches.get_lower_than_or_equal_to(&txn, &key).map_err(failed)?.filter(own);
            found = match before {
                Some((_, blob)) if format::read_outline(blob).is_some_and(|outline| outline.next > offset) => {
                    Some(blob)
                }
                _ => batches.get_greater_than(&txn, &key).map_err(failed)?.filter(own).map(|(_, blob)| blob),
            };
        }
        found.map(|blob| read(blob).ok_or_else(|| damaged(&self.path, "a batch"))).transpose()
    }
}

impl Storage for Folder {
    fn location(&self) -> String {
        self.path.display().to_string()
    }

    /// Returns 16 KiB. LMDB stores a batch in adjacent pages. Where batches of many sizes come and
    /// go, large ones find no gap that is large enough, and the folder grows. In ten minutes of
    /// steady load it grew by a quarter with 256 KiB, and by a twelfth with 16 KiB.
    fn batch_bytes(&self) -> usize {
        16 * 1024
    }

    fn apply(&self, steps: &[Step]) -> Result<(), BrokerError> {
        let mut groups = self.groups.lock();
        if let Err(error) = self.write_all(steps, &mut groups) {
            groups.forget_new();
            return Err(failure("write to", &self.path, error));
        }
        groups.keep_new();
        for step in steps {
            match step {
                Step::Append { partition, batches, .. } => {
                    batches.iter().for_each(|batch| self.tail.add(partition.id, batch.clone()));
                }
                Step::Replace { partition, removed, .. } => {
                    removed.iter().for_each(|base| self.tail.remove(partition.id, *base));
                }
                Step::CreateTopic { .. } | Step::DeleteTopic(_) | Step::Position { .. } | Step::Reads { .. } => {}
            }
        }
        Ok(())
    }

    fn seek(&self, partition: u32, offset: u64) -> Result<Option<Arc<Batch>>, BrokerError> {
        if let Some(batch) = self.tail.find(partition, offset) {
            return Ok(Some(batch));
        }
        let found = self.read(partition, offset)?;
        if let Some(batch) = &found {
            self.tail.add(partition, batch.clone());
        }
        Ok(found)
    }

    fn read(&self, partition: u32, offset: u64) -> Result<Option<Arc<Batch>>, BrokerError> {
        self.look(partition, offset, format::read_batch)
    }

    fn outline(&self, partition: u32, offset: u64) -> Result<Option<Outline>, BrokerError> {
        self.look(partition, offset, format::read_outline)
    }
}
