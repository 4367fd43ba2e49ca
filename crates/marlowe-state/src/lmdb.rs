use std::path::Path;

use heed::RoTxn;
use marlowe_lmdb::{CheckError, SealedTable};
use parking_lot::RwLock;

use crate::error::MAX_KEY_BYTES;
use crate::{KeyRange, PositionSlot, Rows, Scan, SlicePosition, Store, StoreError, StoreLayout, TableIndex};

mod batch;
mod environment;
mod failure;
mod folder;
pub(crate) mod key;
mod map;
pub(crate) mod meta;
mod migration;
mod opening;
mod options;
mod space;
pub(crate) mod state_file;

use self::environment::Environment;
use self::meta::Meta;
use self::opening::Tables;
use self::state_file::State;

pub use self::options::{LmdbOptions, SyncPolicy};
pub use self::space::{DiskSpace, SystemDiskSpace};

/// A committed store on disk: one LMDB environment in a folder of its own.
///
/// A restart finds the rows and positions of the last batch and reads only the rest of the changelog. After a crash of
/// the machine that is so with [`SyncPolicy::EveryCommit`]; with [`SyncPolicy::BootId`], the default, the store is found
/// empty, its positions zero, and is rebuilt.
///
/// One store at a time has the folder open.
///
/// # Another layout
///
/// A table that the layout has gained is empty, its position zero; one that it has lost is dropped. That is so when both
/// the old and the new layout keep one position per table, or when only positions were added at the end. Otherwise the
/// whole store is emptied, for nobody can tell which position belongs to which rows.
pub struct LmdbStore {
    layout: StoreLayout,
    environment: Environment,
    meta: Meta,
    tables: Vec<SealedTable>,
    /// As in the last batch.
    positions: RwLock<Vec<SlicePosition>>,
}

impl LmdbStore {
    /// Opens the store in `folder`, which is made if need be.
    pub fn open(folder: &Path, layout: StoreLayout, options: LmdbOptions) -> Result<Self, StoreError> {
        let Tables { environment, meta, tables, positions } = opening::open(folder, &layout, &options)?;
        Ok(Self { layout, environment, meta, tables, positions: RwLock::new(positions) })
    }

    /// Copies the store in the folder `from` to the new folder `to`, as it was after one of its batches. Another process may have it open.
    /// Returns whether there is a store that can be used.
    ///
    /// # Errors
    /// When it is damaged, or the disk refuses.
    pub fn copy(from: &Path, to: &Path, options: &LmdbOptions) -> Result<bool, StoreError> {
        let failed = |error| StoreError::io("copy a store", from, &error);
        let state = State::read(from).map_err(failed)?;
        if !state.is_some_and(|state| state.is_trusted(options.boot_id.as_deref())) {
            return Ok(false);
        }
        std::fs::create_dir_all(to).map_err(failed)?;
        match marlowe_lmdb::copy(from, &to.join("data.mdb")) {
            Ok(_) => State::Clean.write(to).map(|()| true).map_err(failed),
            Err(CheckError::Io(error)) => Err(failed(error)),
            Err(CheckError::Damaged(damage)) => {
                let (action, path) = ("copy a store", from.to_owned());
                Err(StoreError::Storage { action, path, reason: format!("it is damaged: {damage}") })
            }
        }
    }
}

fn copy(value: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
    out.clear();
    out.extend_from_slice(value.unwrap_or_default());
    value.is_some()
}

fn find<'txn>(table: &SealedTable, txn: &'txn RoTxn<'_>, key: &[u8]) -> heed::Result<Option<&'txn [u8]>> {
    if key.len() > MAX_KEY_BYTES {
        return Ok(None);
    }
    table.get(txn, key::to_stored(key, &mut Vec::new()))
}

impl Store for LmdbStore {
    fn layout(&self) -> &StoreLayout {
        &self.layout
    }

    fn get(&self, table: TableIndex, key: &[u8], out: &mut Vec<u8>) -> Result<bool, StoreError> {
        let table = &self.tables[self.layout.table(table)?];
        self.environment.read("read a row", |txn| Ok(copy(find(table, txn, key)?, out)))
    }

    fn get_at(
        &self,
        table: TableIndex,
        key: &[u8],
        slot: PositionSlot,
        out: &mut Vec<u8>,
    ) -> Result<(bool, SlicePosition), StoreError> {
        let table = &self.tables[self.layout.table(table)?];
        self.layout.slot(slot)?;
        self.environment
            .read("read a row", |txn| Ok((copy(find(table, txn, key)?, out), self.meta.position(txn, slot.0)?)))
    }

    fn scan_within(
        &self,
        table: TableIndex,
        range: &KeyRange,
        limit: usize,
        bytes: usize,
        slot: PositionSlot,
    ) -> Result<Scan, StoreError> {
        let table = &self.tables[self.layout.table(table)?];
        self.layout.slot(slot)?;
        let (start, end) = range.bounds();
        let (mut start_room, mut end_room) = (Vec::new(), Vec::new());
        let stored = (
            start.map(|start| key::to_stored(start, &mut start_room)),
            end.map(|end| key::to_stored(end, &mut end_room)),
        );
        self.environment.read("scan a table", |txn| {
            let mut scan = Scan { rows: Rows::new(), position: self.meta.position(txn, slot.0)?, more: false };
            if range.is_empty() {
                return Ok(scan);
            }
            for row in table.range(txn, &stored)? {
                let (stored, value) = row?;
                let key = key::from_stored(stored);
                if scan.rows.is_full(limit, bytes, key, Some(value)) {
                    scan.more = true;
                    break;
                }
                scan.rows.push(key, Some(value));
            }
            Ok(scan)
        })
    }

    fn count(&self, table: TableIndex) -> Result<u64, StoreError> {
        let table = &self.tables[self.layout.table(table)?];
        self.environment.read("count a table's rows", |txn| table.len(txn))
    }

    fn bytes(&self, table: TableIndex) -> Result<u64, StoreError> {
        let name = &self.layout.tables[self.layout.table(table)?];
        self.environment.read("measure a table", |txn| self.meta.bytes(txn, name))
    }

    fn position(&self, slot: PositionSlot) -> SlicePosition {
        self.positions.read().get(slot.0 as usize).copied().unwrap_or_default()
    }

    fn apply(
        &self,
        changes: &mut [(TableIndex, Rows)],
        positions: &[(PositionSlot, SlicePosition)],
    ) -> Result<(), StoreError> {
        self.layout.check(changes, positions)?;
        for (_, rows) in changes.iter_mut() {
            rows.sort();
        }
        let pages = |txn: &RoTxn<'_>| {
            changes.iter().map(|(table, rows)| batch::pages(&self.tables[usize::from(table.0)], txn, rows)).sum()
        };
        self.environment.write("commit a batch", pages, |txn| {
            for (table, rows) in changes.iter() {
                let (table, name) = (&self.tables[usize::from(table.0)], &self.layout.tables[usize::from(table.0)]);
                let bytes = batch::put(table, txn, rows, self.meta.bytes(txn, name)?)?;
                self.meta.put_bytes(txn, name, bytes)?;
            }
            positions.iter().try_for_each(|(slot, position)| self.meta.put_position(txn, slot.0, *position))
        })?;
        let mut known = self.positions.write();
        for (slot, position) in positions {
            known[slot.0 as usize] = *position;
        }
        Ok(())
    }

    fn clear(&self) -> Result<(), StoreError> {
        let pages = |txn: &RoTxn<'_>| {
            let nothing = Rows::new();
            self.tables.iter().map(|table| batch::pages(table, txn, &nothing)).sum()
        };
        self.environment.write("clear the store", pages, |txn| {
            for (table, name) in self.tables.iter().zip(&self.layout.tables) {
                table.clear(txn)?;
                self.meta.put_bytes(txn, name, 0)?;
            }
            (0..self.layout.slots).try_for_each(|slot| self.meta.put_position(txn, slot, SlicePosition::default()))
        })?;
        self.positions.write().fill(SlicePosition::default());
        Ok(())
    }

    fn close(&self) -> Result<(), StoreError> {
        self.environment.close()
    }
}
