//! The interface of the committed stores, and their layout.

use crate::error::MAX_KEY_BYTES;
use crate::{KeyRange, PositionSlot, Rows, SlicePosition, StoreError, TableIndex};

/// The layout of a store: its tables, and the number of positions that it keeps with them.
///
/// If there are as many positions as tables, position *i* belongs to table *i*. When the layout
/// changes, a store on disk then keeps both, and finds them by the table's name. See
/// [`LmdbStore`](crate::LmdbStore).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreLayout {
    /// The names of the tables, each once.
    pub tables: Vec<String>,
    /// The number of positions.
    pub slots: u32,
}

impl StoreLayout {
    pub(crate) fn table(&self, index: TableIndex) -> Result<usize, StoreError> {
        let place = usize::from(index.0);
        if place < self.tables.len() {
            return Ok(place);
        }
        Err(StoreError::UnknownTable { index, tables: self.tables.len() })
    }

    pub(crate) fn slot(&self, slot: PositionSlot) -> Result<usize, StoreError> {
        if slot.0 < self.slots {
            return Ok(slot.0 as usize);
        }
        Err(StoreError::UnknownSlot { slot, slots: self.slots })
    }

    /// Refuses a batch that cannot be applied as a whole, before any part of it is applied.
    pub(crate) fn check(
        &self,
        changes: &[(TableIndex, Rows)],
        positions: &[(PositionSlot, SlicePosition)],
    ) -> Result<(), StoreError> {
        for (table, rows) in changes {
            self.table(*table)?;
            if let Some((key, _)) = rows.iter().find(|(key, _)| key.len() > MAX_KEY_BYTES) {
                return Err(StoreError::KeyTooLong { len: key.len(), limit: MAX_KEY_BYTES });
            }
        }
        positions.iter().try_for_each(|(slot, _)| self.slot(*slot).map(|_| ()))
    }
}

/// Rows of one snapshot, in key order.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The rows. Each has a value.
    pub rows: Rows,
    /// The position of the snapshot.
    pub position: SlicePosition,
    /// `true` if the range has more rows. To read them, scan from after the last key.
    pub more: bool,
}

/// The committed state of a shard's tables. It is what their changelogs say, up to a position.
///
/// Only the shard changes the store, with [`apply`](Self::apply). Any thread may read at any time.
/// A read sees whole batches, never a part of one.
pub trait Store: Send + Sync {
    /// Returns the tables and the number of positions.
    fn layout(&self) -> &StoreLayout;

    /// Puts the value at `key` into `out`, which is cleared first. Returns `false` if there is no
    /// row.
    fn get(&self, table: TableIndex, key: &[u8], out: &mut Vec<u8>) -> Result<bool, StoreError>;

    /// Does the same as [`get`](Self::get). Also returns the position of the snapshot that was
    /// read.
    fn get_at(
        &self,
        table: TableIndex,
        key: &[u8],
        slot: PositionSlot,
        out: &mut Vec<u8>,
    ) -> Result<(bool, SlicePosition), StoreError>;

    /// Returns at most `limit` rows of `range`, in key order, from one snapshot.
    fn scan(&self, table: TableIndex, range: &KeyRange, limit: usize, slot: PositionSlot) -> Result<Scan, StoreError> {
        self.scan_within(table, range, limit, usize::MAX, slot)
    }

    /// Does the same as [`scan`](Self::scan), but returns at most `bytes` of keys and values. If
    /// the first row alone has more, it returns that row.
    fn scan_within(
        &self,
        table: TableIndex,
        range: &KeyRange,
        limit: usize,
        bytes: usize,
        slot: PositionSlot,
    ) -> Result<Scan, StoreError>;

    /// Returns the number of rows in the table.
    fn count(&self, table: TableIndex) -> Result<u64, StoreError>;

    /// Returns the number of bytes in the table's keys and values.
    fn bytes(&self, table: TableIndex) -> Result<u64, StoreError>;

    /// Returns the position in `slot`, or zero if the layout has no such slot.
    fn position(&self, slot: PositionSlot) -> SlicePosition;

    /// Applies one batch as a whole. After an error nothing of it is applied. The rows in `changes`
    /// may be sorted by this. Of rows with the same key, the last counts.
    fn apply(
        &self,
        changes: &mut [(TableIndex, Rows)],
        positions: &[(PositionSlot, SlicePosition)],
    ) -> Result<(), StoreError>;

    /// Removes all rows and sets every position to zero, so that the state can be rebuilt.
    fn clear(&self) -> Result<(), StoreError>;

    /// Makes the state safe against a crash of the machine, and marks it as clean. May be called
    /// more than once. If another batch is applied afterwards, the store is open again.
    fn close(&self) -> Result<(), StoreError>;
}
