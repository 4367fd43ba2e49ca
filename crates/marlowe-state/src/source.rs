//! The source of a slice's rows: its table in the store, and how rows of it are decoded.

use std::cell::Cell;
use std::sync::Arc;

use crate::{FormatError, PositionSlot, RowFormat, SliceError, Store, StoreError, TableIndex};

/// A table of a store, from which a slice reads the rows that it does not have at hand.
pub(crate) struct Source<K, V> {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) table: TableIndex,
    pub(crate) slot: PositionSlot,
    pub(crate) format: Box<dyn RowFormat<K, V>>,
    /// How many times a row was met that does not decode.
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

    /// Counts a row of the store that does not decode, and returns the error of it.
    pub(crate) fn undecodable(&self, store_key: &[u8], source: FormatError) -> SliceError {
        self.undecodable.set(self.undecodable.get() + 1);
        SliceError::Undecodable { table: self.table_name(), store_key: store_key.into(), source }
    }
}
