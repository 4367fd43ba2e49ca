//! The source of a slice's rows: a table in the store, and the format of its rows.

use std::cell::Cell;
use std::sync::Arc;

use crate::{FormatError, PositionSlot, RowFormat, SliceError, Store, StoreError, TableIndex};

/// A table of a store, from which a slice reads the rows that are not in its cache.
pub(crate) struct Source<K, V> {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) table: TableIndex,
    pub(crate) slot: PositionSlot,
    pub(crate) format: Box<dyn RowFormat<K, V>>,
    /// The number of times that a row was read that does not decode.
    pub(crate) undecodable: Cell<u64>,
}

impl<K, V> Source<K, V> {
    pub(crate) fn table_name(&self) -> String {
        let name = self.store.layout().tables.get(usize::from(self.table.0));
        name.cloned().unwrap_or_else(|| format!("#{}", self.table.0))
    }

    pub(crate) fn store_error(&self, source: StoreError) -> SliceError {
        SliceError::Store { table: self.table_name(), source }
    }

    pub(crate) fn format_error(&self, source: FormatError) -> SliceError {
        SliceError::Format { table: self.table_name(), source }
    }

    /// Counts a row of the store that does not decode, and returns the error for it.
    pub(crate) fn undecodable(&self, store_key: &[u8], source: FormatError) -> SliceError {
        self.undecodable.set(self.undecodable.get() + 1);
        SliceError::Undecodable { table: self.table_name(), store_key: store_key.into(), source }
    }
}
