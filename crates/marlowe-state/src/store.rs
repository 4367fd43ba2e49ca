use crate::error::MAX_KEY_BYTES;
use crate::{KeyRange, PositionSlot, Rows, SlicePosition, StoreError, TableIndex};

/// What a store holds: its tables, and how many positions it keeps beside them.
///
/// When there are as many positions as tables, position *i* belongs to table *i*, and a store that outlives a process
/// carries both over by the table's name when the layout changes. See [`LmdbStore`](crate::LmdbStore).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreLayout {
    /// The tables' names, each once.
    pub tables: Vec<String>,
    /// How many positions are kept.
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

    /// Refuses a batch that cannot be applied whole, before any of it is.
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
    /// The rows; each has a value.
    pub rows: Rows,
    /// How far the state had come that they are from.
    pub position: SlicePosition,
    /// Whether the range holds more: scan on from after the last key.
    pub more: bool,
}

/// The committed state of a shard's tables: what the changelog says, up to a position.
///
/// The shard alone changes it, with [`apply`](Self::apply). Everyone may read at any time: a read sees a whole number
/// of batches, never a part of one.
pub trait Store: Send + Sync {
    /// The tables and the number of positions.
    fn layout(&self) -> &StoreLayout;

    /// Puts the value at `key` into `out`, which is cleared first. `false`: there is none.
    fn get(&self, table: TableIndex, key: &[u8], out: &mut Vec<u8>) -> Result<bool, StoreError>;

    /// As [`get`](Self::get), with the position of the snapshot the answer is from.
    fn get_at(
        &self,
        table: TableIndex,
        key: &[u8],
        slot: PositionSlot,
        out: &mut Vec<u8>,
    ) -> Result<(bool, SlicePosition), StoreError>;

    /// Up to `limit` rows of `range`, in key order, from one snapshot.
    fn scan(&self, table: TableIndex, range: &KeyRange, limit: usize, slot: PositionSlot) -> Result<Scan, StoreError> {
        self.scan_within(table, range, limit, usize::MAX, slot)
    }

    /// As [`scan`](Self::scan), of at most `bytes` of keys and values; of one row, where the first alone has more.
    fn scan_within(
        &self,
        table: TableIndex,
        range: &KeyRange,
        limit: usize,
        bytes: usize,
        slot: PositionSlot,
    ) -> Result<Scan, StoreError>;

    /// How many rows the table has.
    fn count(&self, table: TableIndex) -> Result<u64, StoreError>;

    /// The bytes of the table's keys and values.
    fn bytes(&self, table: TableIndex) -> Result<u64, StoreError>;

    /// How far the state has come; zero for a position the layout does not have.
    fn position(&self, slot: PositionSlot) -> SlicePosition;

    /// Applies one batch: all of it, or, with an error, none of it. The rows may be sorted on the way; of rows that
    /// share a key the last counts.
    fn apply(
        &self,
        changes: &mut [(TableIndex, Rows)],
        positions: &[(PositionSlot, SlicePosition)],
    ) -> Result<(), StoreError>;

    /// Drops all rows and sets every position to zero: the state will be rebuilt.
    fn clear(&self) -> Result<(), StoreError>;

    /// Makes the state safe against a crash of the machine and marks it clean. May be called again; a batch applied
    /// afterwards opens the store anew.
    fn close(&self) -> Result<(), StoreError>;
}
