//! The committed store on disk: one LMDB environment in a folder of its own.
//!
//! # How a store is opened
//!
//! 1. `folder` takes the folder. A file lock keeps other processes out.
//! 2. `state_file` reads the state file. It tells whether the data survived the last crash. If not,
//!    the data is removed.
//! 3. `marlowe_lmdb::check` reads the whole file. A damaged file is moved aside, and the store
//!    begins empty.
//! 4. `map` maps the file into memory, and `environment` guards every transaction on it.
//! 5. `meta` reads the owner and the layout. Another owner is refused. Under another layout,
//!    `migration` says which tables and positions are kept.
//!
//! # How a batch is applied
//!
//! 1. `environment` writes `dirty` to the state file before the first batch.
//! 2. `batch` estimates the pages that the batch needs, and `space` makes sure that the disk has
//!    them.
//! 3. `batch` puts the rows, and `meta` the positions, in one transaction.
//! 4. If the map is too small, `map` enlarges it, and the transaction is made again.
//!
//! Steps 1 and 2 are for [`SyncPolicy::BootId`] only. With [`SyncPolicy::EveryCommit`], each batch
//! is synced instead. Closing the store syncs it and writes `clean` to the state file.
//!
//! Start reading with [`LmdbStore`], and then in `opening` and `environment`.

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
/// After a restart the store has the rows and positions of its last batch, so only the rest of the
/// changelog must be read. After a crash of the machine, this holds only with
/// [`SyncPolicy::EveryCommit`]. With [`SyncPolicy::BootId`], the default, the store is then empty,
/// its positions are zero, and it is rebuilt.
///
/// Only one store at a time can have the folder open.
///
/// # Another layout
///
/// A store may be opened with another layout than before. A table that is new in the layout is
/// empty and its position is zero. A table that the layout does not have any more is dropped. This
/// works if both the old and the new layout keep one position per table, or if only positions were
/// added at the end. Otherwise the whole store is emptied, because nothing tells which position
/// belongs to which rows.
pub struct LmdbStore {
    layout: StoreLayout,
    environment: Environment,
    meta: Meta,
    tables: Vec<SealedTable>,
    /// The positions after the last batch.
    positions: RwLock<Vec<SlicePosition>>,
}

impl LmdbStore {
    /// Opens the store in `folder`. Creates the folder if it does not exist.
    pub fn open(folder: &Path, layout: StoreLayout, options: LmdbOptions) -> Result<Self, StoreError> {
        let Tables { environment, meta, tables, positions } = opening::open(folder, &layout, &options)?;
        Ok(Self { layout, environment, meta, tables, positions: RwLock::new(positions) })
    }

    /// Copies the store in the folder `from` to the new folder `to`, as it was after one of its
    /// batches. Another process may have the store open. Returns `false`, and copies nothing, if
    /// there is no store that can be used.
    ///
    /// # Errors
    /// If the store is damaged, or the disk refuses.
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
