//! A slice as handlers use it: reading and changing rows on behalf of an event.
//!
//! `slice_state.rs` has the part that the shard's loop uses.

use std::cell::{Cell, RefCell, RefMut};
use std::hash::Hash;
use std::rc::Rc;

use crate::cache::{Slot, Stored};
use crate::error::MAX_KEY_BYTES;
use crate::layers::{Layers, Seen};
use crate::local_rows::local_rows;
use crate::row_size::RowSize;
use crate::source::Source;
use crate::{FormatError, Guard, KeyRange, RowFormat, SliceConfig, SliceError, SliceScan, TxnSlot};

/// The rows of one table in one shard. A slice has three layers: the changes of each running event,
/// over the cache of what finished events left, over the committed store.
///
/// An event reads and writes under its [`TxnSlot`]. No other event sees its writes until the
/// shard's loop calls [`SliceState::apply`](crate::SliceState::apply). Values are handed out as
/// clones and put back as a whole. So no guard outlives a call, and a closure may use the slice
/// that calls it.
///
/// The shard's loop uses the slice through [`SliceState`](crate::SliceState). Those methods may be
/// called between events only, never inside of a closure that is given to the slice.
pub struct Slice<K, V> {
    pub(crate) layers: RefCell<Layers<K, V>>,
    pub(crate) source: Rc<Source<K, V>>,
    guard: Option<Guard<K>>,
    scratch: Cell<Scratch>,
    pub(crate) row_size: Cell<RowSize>,
}

/// The buffers for encoded rows, which are used again and again.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) key: Vec<u8>,
    pub(crate) topic_key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

impl Scratch {
    fn clear(&mut self) {
        self.key.clear();
        self.topic_key.clear();
        self.value.clear();
    }
}

impl<K: Hash + Eq + Clone + 'static, V: Clone + 'static> Slice<K, V> {
    /// Creates a slice over the committed rows of a store. `guard` may refuse keys.
    pub fn new(config: SliceConfig, format: Box<dyn RowFormat<K, V>>, guard: Option<Guard<K>>) -> Self {
        let SliceConfig { store, table, slot, cache_rows, isolation } = config;
        Self {
            layers: RefCell::new(Layers::new(cache_rows, isolation)),
            source: Rc::new(Source { store, table, slot, format, undecodable: Cell::default() }),
            guard,
            scratch: Cell::default(),
            row_size: Cell::default(),
        }
    }

    /// Returns the value at `key`.
    ///
    /// # Errors
    /// [`SliceError::Undecodable`] if there is a row and its value does not decode.
    pub fn get(&self, txn: TxnSlot, key: &K) -> Result<Option<V>, SliceError> {
        let (mut layers, slot) = self.locate(key)?;
        match layers.read(txn, slot) {
            Seen::Present(value) => Ok(Some(value.clone())),
            Seen::Absent => Ok(None),
            Seen::Unreadable => {
                drop(layers);
                Err(self.unreadable(key))
            }
        }
    }

    /// Returns whether there is a row at `key`. Its value need not decode.
    pub fn contains_key(&self, txn: TxnSlot, key: &K) -> Result<bool, SliceError> {
        let (mut layers, slot) = self.locate(key)?;
        Ok(layers.read(txn, slot).is_present())
    }

    /// Begins to load a row into the processor's cache, because the next event may ask for it.
    /// `write` hashes the row's key as [`Hash`](std::hash::Hash) does, and returns whether it
    /// could.
    #[inline]
    pub fn expect(&self, write: impl FnOnce(&mut foldhash::fast::FoldHasher<'_>) -> bool) {
        self.layers.borrow().cache.expect(write);
    }

    /// Puts `value` at `key`. Returns the value that was there before, or `None` if there was no
    /// row or one that does not decode.
    pub fn insert(&self, txn: TxnSlot, key: K, value: V) -> Result<Option<V>, SliceError> {
        let (mut layers, slot) = self.locate_owned(key)?;
        Ok(layers.write(txn, slot, Some(value)))
    }

    /// Removes the row at `key`. Returns the value that was there before, or `None` if there was no
    /// row or one that does not decode.
    pub fn remove(&self, txn: TxnSlot, key: &K) -> Result<Option<V>, SliceError> {
        let (mut layers, slot) = self.locate(key)?;
        Ok(layers.write(txn, slot, None))
    }

    /// Changes the value at `key` with `change`. An absent value starts from the default.
    ///
    /// `change` gets a clone of the value, which is put back when `change` returns. So `change` may
    /// use the slice itself. If it panics, the row stays as it was. If it changes this same row
    /// through the slice, that change is overwritten.
    ///
    /// # Errors
    /// The errors of [`get`](Self::get).
    #[inline]
    pub fn update(&self, txn: TxnSlot, key: K, change: impl FnOnce(&mut V)) -> Result<(), SliceError>
    where
        V: Default,
    {
        self.replace(txn, key, |value| {
            let mut value = value.unwrap_or_default();
            change(&mut value);
            Some(value)
        })
    }

    /// Changes the row at `key` with `change`. `None` means an absent row, before and after.
    ///
    /// As with [`update`](Self::update), `change` works on a clone and may use the slice.
    ///
    /// # Errors
    /// The errors of [`get`](Self::get).
    #[inline]
    pub fn update_with(&self, txn: TxnSlot, key: K, change: impl FnOnce(&mut Option<V>)) -> Result<(), SliceError> {
        self.replace(txn, key, |mut value| {
            change(&mut value);
            value
        })
    }

    #[inline]
    fn replace(&self, txn: TxnSlot, key: K, change: impl FnOnce(Option<V>) -> Option<V>) -> Result<(), SliceError> {
        let (mut layers, slot) = self.locate_owned(key)?;
        // Touching pins the row. So the slot stays this row's, whatever `change` does to the slice.
        let place = layers.touch(txn, slot);
        let value = match layers.touched(txn, slot, place) {
            Seen::Present(value) => Some(value.clone()),
            Seen::Absent => None,
            Seen::Unreadable => {
                let key = layers.cache[slot].key.clone();
                drop(layers);
                // A pinned row always has a key.
                return key.map_or(Ok(()), |key| Err(self.unreadable(&key)));
            }
        };
        drop(layers);
        let value = change(value);
        self.layers.borrow_mut().write_at(txn, slot, place, value);
        Ok(())
    }

    /// Returns the number of rows that the event sees.
    pub fn len(&self, txn: TxnSlot) -> Result<u64, SliceError> {
        self.count_first()?;
        Ok(self.layers.borrow_mut().len(txn))
    }

    /// Returns the rows of `range` in key order, as they are now. Later changes do not show in the
    /// scan.
    ///
    /// Rows that are not committed yet are copied at once. The others are read from the store a
    /// page at a time. A scan belongs to its event. If it is kept longer, it may see rows of later
    /// commits.
    pub fn scan(&self, txn: TxnSlot, range: KeyRange) -> Result<SliceScan<K, V>, SliceError> {
        self.count_first()?;
        let mut layers = self.layers.borrow_mut();
        layers.note_scan(txn);
        let rows = local_rows(&mut layers, txn, &range, &*self.source.format);
        Ok(SliceScan::new(Rc::clone(&self.source), range, rows))
    }

    /// Returns the layers, and the slot of the row at `key` in the cache. A row that is not in the
    /// cache yet is read from the store.
    #[inline]
    fn locate(&self, key: &K) -> Result<(RefMut<'_, Layers<K, V>>, Slot), SliceError> {
        match self.cached(key) {
            Some(found) => Ok(found),
            None => self.load(key.clone()),
        }
    }

    /// Does the same as [`locate`](Self::locate), with an owned key. So a row that enters the cache
    /// needs no clone of its key.
    #[inline]
    fn locate_owned(&self, key: K) -> Result<(RefMut<'_, Layers<K, V>>, Slot), SliceError> {
        match self.cached(&key) {
            Some(found) => Ok(found),
            None => self.load(key),
        }
    }

    #[inline]
    fn cached(&self, key: &K) -> Option<(RefMut<'_, Layers<K, V>>, Slot)> {
        let mut layers = self.layers.borrow_mut();
        let slot = layers.cache.find(key)?;
        layers.hits += 1;
        Some((layers, slot))
    }

    #[cold]
    fn load(&self, key: K) -> Result<(RefMut<'_, Layers<K, V>>, Slot), SliceError> {
        if let Some(guard) = &self.guard {
            guard(&key).map_err(SliceError::Refused)?;
        }
        self.count_first()?;
        let stored = match self.with_scratch(|scratch| self.fetch(&key, scratch)) {
            Ok(Some(value)) => Stored::Present(value),
            Ok(None) => Stored::Absent,
            // The row can be overwritten and removed. So the event fails only when it asks for the
            // value.
            Err(SliceError::Undecodable { .. }) => Stored::Unreadable,
            Err(error) => return Err(error),
        };
        let mut layers = self.layers.borrow_mut();
        layers.misses += 1;
        // The guard and the format are foreign code. If they used the slice, the row may be in the
        // cache by now.
        let slot = match layers.cache.find(&key) {
            Some(slot) => slot,
            None => layers.cache.insert(key, stored),
        };
        Ok((layers, slot))
    }

    fn fetch(&self, key: &K, Scratch { key: bytes, value, .. }: &mut Scratch) -> Result<Option<V>, SliceError> {
        let Source { store, table, format, .. } = &*self.source;
        format.encode_key(key, bytes);
        if bytes.len() > MAX_KEY_BYTES {
            let table = self.source.table_name();
            return Err(SliceError::KeyTooLong { table, len: bytes.len(), limit: MAX_KEY_BYTES });
        }
        if !store.get(*table, bytes, value).map_err(|error| self.source.store_error(error))? {
            return Ok(None);
        }
        format.decode_value(value).map(Some).map_err(|error| self.source.undecodable(bytes, error))
    }

    /// Returns the error of a row that does not decode. The row at `key` must be in the store, and
    /// not changed since it was read.
    #[cold]
    fn unreadable(&self, key: &K) -> SliceError {
        match self.with_scratch(|scratch| self.fetch(key, scratch)) {
            Err(error) => error,
            Ok(_) => {
                let mut store_key = Vec::new();
                self.source.format.encode_key(key, &mut store_key);
                self.source.undecodable(&store_key, FormatError("it did not decode when it was first read".into()))
            }
        }
    }

    /// Asks the store for its number of rows, once, before the first change can be made.
    fn count_first(&self) -> Result<(), SliceError> {
        if self.layers.borrow().first_count.is_none() {
            let count = self.source.store.count(self.source.table).map_err(|error| self.source.store_error(error))?;
            self.layers.borrow_mut().first_count = Some(count);
        }
        Ok(())
    }

    pub(crate) fn with_scratch<R>(&self, work: impl FnOnce(&mut Scratch) -> R) -> R {
        let mut scratch = self.scratch.take();
        scratch.clear();
        let result = work(&mut scratch);
        self.scratch.set(scratch);
        result
    }
}
