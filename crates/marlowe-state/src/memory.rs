//! The committed store in memory.

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::memory_table::MemoryTable;
use crate::{KeyRange, PositionSlot, Rows, Scan, SlicePosition, Store, StoreError, StoreLayout, TableIndex};

/// A committed store in memory. A restart begins with an empty store and reads the whole changelog.
pub struct MemoryStore {
    layout: StoreLayout,
    state: RwLock<MemoryState>,
}

struct MemoryState {
    tables: Vec<MemoryTable>,
    positions: Vec<SlicePosition>,
}

impl MemoryState {
    fn empty(layout: &StoreLayout) -> Self {
        Self {
            tables: layout.tables.iter().map(|_| MemoryTable::default()).collect(),
            positions: vec![SlicePosition::default(); layout.slots as usize],
        }
    }
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new(layout: StoreLayout) -> Self {
        let state = RwLock::new(MemoryState::empty(&layout));
        Self { layout, state }
    }

    /// Locks the state for a scan of `table`. The first scan puts the table's keys in order.
    fn ordered(&self, table: usize) -> RwLockReadGuard<'_, MemoryState> {
        let state = self.state.read();
        if state.tables[table].is_ordered() {
            return state;
        }
        drop(state);
        let mut state = self.state.write();
        state.tables[table].put_in_order();
        RwLockWriteGuard::downgrade(state)
    }
}

fn copy(value: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
    out.clear();
    out.extend_from_slice(value.unwrap_or_default());
    value.is_some()
}

impl Store for MemoryStore {
    fn layout(&self) -> &StoreLayout {
        &self.layout
    }

    fn get(&self, table: TableIndex, key: &[u8], out: &mut Vec<u8>) -> Result<bool, StoreError> {
        let table = self.layout.table(table)?;
        Ok(copy(self.state.read().tables[table].get(key), out))
    }

    fn get_at(
        &self,
        table: TableIndex,
        key: &[u8],
        slot: PositionSlot,
        out: &mut Vec<u8>,
    ) -> Result<(bool, SlicePosition), StoreError> {
        let (table, slot) = (self.layout.table(table)?, self.layout.slot(slot)?);
        let state = self.state.read();
        Ok((copy(state.tables[table].get(key), out), state.positions[slot]))
    }

    fn scan_within(
        &self,
        table: TableIndex,
        range: &KeyRange,
        limit: usize,
        bytes: usize,
        slot: PositionSlot,
    ) -> Result<Scan, StoreError> {
        let (table, slot) = (self.layout.table(table)?, self.layout.slot(slot)?);
        let mut rows = Rows::new();
        let state = self.ordered(table);
        let more = state.tables[table].scan(range, limit, bytes, &mut rows);
        Ok(Scan { rows, position: state.positions[slot], more })
    }

    fn count(&self, table: TableIndex) -> Result<u64, StoreError> {
        Ok(self.state.read().tables[self.layout.table(table)?].count())
    }

    fn bytes(&self, table: TableIndex) -> Result<u64, StoreError> {
        Ok(self.state.read().tables[self.layout.table(table)?].bytes())
    }

    fn position(&self, slot: PositionSlot) -> SlicePosition {
        self.state.read().positions.get(slot.0 as usize).copied().unwrap_or_default()
    }

    fn apply(
        &self,
        changes: &mut [(TableIndex, Rows)],
        positions: &[(PositionSlot, SlicePosition)],
    ) -> Result<(), StoreError> {
        self.layout.check(changes, positions)?;
        let mut state = self.state.write();
        for (table, rows) in changes {
            let table = &mut state.tables[usize::from(table.0)];
            for (key, value) in rows.iter() {
                match value {
                    Some(value) => table.put(key, value),
                    None => table.remove(key),
                }
            }
        }
        for (slot, position) in positions {
            state.positions[slot.0 as usize] = *position;
        }
        Ok(())
    }

    fn clear(&self) -> Result<(), StoreError> {
        *self.state.write() = MemoryState::empty(&self.layout);
        Ok(())
    }

    fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
