//! One table of the store in memory.

use std::collections::BTreeSet;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::compact::CompactBytes;
use crate::{KeyRange, Rows};

/// A table in memory: a hash table of rows. From the first scan on, its keys are kept in order too.
#[derive(Default)]
pub(crate) struct MemoryTable {
    rows: HashTable<MemoryRow>,
    hasher: RandomState,
    /// The keys in order. `None` until the first scan, so that a table without scans pays nothing.
    order: Option<BTreeSet<CompactBytes>>,
    bytes: u64,
}

struct MemoryRow {
    key: CompactBytes,
    value: CompactBytes,
}

impl MemoryTable {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let row = self.rows.find(self.hash(key), |row| row.key.as_slice() == key)?;
        Some(row.value.as_slice())
    }

    pub(crate) fn count(&self) -> u64 {
        self.rows.len() as u64
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        let hash = self.hash(key);
        let hasher = &self.hasher;
        match self.rows.entry(hash, |row| row.key.as_slice() == key, |row| hasher.hash_one(row.key.as_slice())) {
            Entry::Occupied(mut row) => {
                let stored = &mut row.get_mut().value;
                self.bytes = self.bytes - stored.as_slice().len() as u64 + value.len() as u64;
                stored.overwrite(value);
            }
            Entry::Vacant(place) => {
                let key = CompactBytes::new(key);
                if let Some(order) = &mut self.order {
                    order.insert(key.clone());
                }
                self.bytes += (key.as_slice().len() + value.len()) as u64;
                place.insert(MemoryRow { key, value: CompactBytes::new(value) });
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        let hash = self.hash(key);
        if let Ok(row) = self.rows.find_entry(hash, |row| row.key.as_slice() == key) {
            let (row, _) = row.remove();
            self.bytes -= (key.len() + row.value.as_slice().len()) as u64;
            if let Some(order) = &mut self.order {
                order.remove(key);
            }
        }
    }

    pub(crate) fn is_ordered(&self) -> bool {
        self.order.is_some()
    }

    /// Puts the keys in order, for scans. From now on they are kept in order.
    pub(crate) fn put_in_order(&mut self) {
        if self.order.is_none() {
            // Collecting sorts the keys first, and then builds the tree in one go.
            self.order = Some(self.rows.iter().map(|row| row.key.clone()).collect());
        }
    }

    /// Copies rows of `range` into `out`, which must be empty: at most `limit` rows and at most
    /// `bytes` of keys and values. The first row may be larger than `bytes`. Returns whether the
    /// range has more rows. The keys must be in order.
    pub(crate) fn scan(&self, range: &KeyRange, limit: usize, bytes: usize, out: &mut Rows) -> bool {
        let Some(order) = self.order.as_ref().filter(|_| !range.is_empty()) else { return false };
        for key in order.range::<[u8], _>(range.bounds()) {
            let (key, value) = (key.as_slice(), self.get(key.as_slice()));
            if out.is_full(limit, bytes, key, value) {
                return true;
            }
            out.push(key, value);
        }
        false
    }

    fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }
}
