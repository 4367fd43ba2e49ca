//! A slice as the shard's loop uses it: ending events, and committing.

use std::hash::Hash;

use crate::cache::{Flags, Slot};
use crate::layers::Layers;
use crate::slice::Scratch;
use crate::{Slice, SliceError, TxnSlot};

/// A row on its way to the changelog and to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushedRow<'a> {
    /// The key in the store.
    pub store_key: &'a [u8],
    /// The key in the changelog.
    pub topic_key: &'a [u8],
    /// The value, or `None` if the row is removed.
    pub value: Option<&'a [u8]>,
}

/// The statistics of a slice's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// The number of times that a row was in the cache when it was asked for.
    pub hits: u64,
    /// The number of times that a row had to be read from the store.
    pub misses: u64,
    /// The number of rows in the cache now, including rows that are known to be absent.
    pub rows: usize,
    /// The number of times that a row was read that does not decode.
    pub undecodable: u64,
}

/// The interface of a slice for the shard's loop. It does not depend on the types of keys and
/// values.
///
/// The order of calls is:
///
/// 1. Events read and write through the [`Slice`].
/// 2. The loop ends each event with [`apply`](Self::apply) or [`discard`](Self::discard).
/// 3. A commit calls [`flush`](Self::flush), commits the broker's transaction, applies a batch to
///    the store, and calls [`flushed`](Self::flushed).
///
/// At most one flush is in flight. If a commit fails, the shard drops the whole slice, because the
/// store has what was committed.
pub trait SliceState {
    /// Returns whether everything that the event of `txn` has read or written is unchanged since
    /// then. Always `true` with [`SliceIsolation::Serial`](crate::SliceIsolation::Serial).
    fn is_current(&self, txn: TxnSlot) -> bool;

    /// Ends an event that has succeeded. All events see its changes from now on, and its slot is
    /// empty.
    fn apply(&self, txn: TxnSlot);

    /// Ends an event that has failed. Its changes are dropped, and its slot is empty.
    fn discard(&self, txn: TxnSlot);

    /// Returns the number of rows that have changed since they were last flushed.
    fn uncommitted_rows(&self) -> usize;

    /// Returns an estimate of the bytes that those rows take.
    fn uncommitted_bytes(&self) -> usize;

    /// Calls `each` once with every changed row, and returns the number of rows. They are in flight
    /// until [`flushed`](Self::flushed) is called. Events go on meanwhile and may change them
    /// again. After an error all of them count as changed, as before.
    ///
    /// A row that was both added and removed since the last commit is not handed out, because
    /// neither the store nor the changelog has it.
    fn flush(&self, each: &mut dyn FnMut(FlushedRow<'_>)) -> Result<u64, SliceError>;

    /// Ends the flush in flight, after it was committed and its rows were put into the store.
    fn flushed(&self);

    /// Returns the statistics of the cache.
    fn stats(&self) -> CacheStats;
}

impl<K: Hash + Eq + Clone + 'static, V: Clone + 'static> SliceState for Slice<K, V> {
    fn is_current(&self, txn: TxnSlot) -> bool {
        self.layers.borrow().is_current(txn)
    }

    #[inline]
    fn apply(&self, txn: TxnSlot) {
        self.layers.borrow_mut().apply(txn);
    }

    fn discard(&self, txn: TxnSlot) {
        self.layers.borrow_mut().discard(txn);
    }

    fn uncommitted_rows(&self) -> usize {
        self.layers.borrow().dirty.slots().len()
    }

    fn uncommitted_bytes(&self) -> usize {
        let layers = self.layers.borrow();
        let slots = layers.dirty.slots();
        let mut size = self.row_size.get();
        if let Some(last) = slots.last().filter(|_| size.wants_sample(slots.len())) {
            // If the row cannot be encoded, the flush will report it.
            let bytes = self.with_scratch(|scratch| {
                self.encode(&layers, *last, scratch).map_or(0, |_| scratch.key.len() + scratch.value.len())
            });
            size.sample(slots.len(), bytes);
            self.row_size.set(size);
        }
        size.estimate(slots.len())
    }

    fn flush(&self, each: &mut dyn FnMut(FlushedRow<'_>)) -> Result<u64, SliceError> {
        let dirty = std::mem::take(&mut self.layers.borrow_mut().dirty);
        let result = self.with_scratch(|scratch| self.flush_rows(dirty.slots(), scratch, each));
        let mut layers = self.layers.borrow_mut();
        let mut dirty = dirty;
        match result {
            Ok((rows, bytes)) => {
                layers.in_flight.take_in(&mut dirty);
                layers.dirty = dirty;
                let mut size = self.row_size.get();
                size.flushed(rows, bytes);
                self.row_size.set(size);
                Ok(rows)
            }
            Err(error) => {
                for slot in dirty.slots() {
                    let flags = &mut layers.cache[*slot].flags;
                    flags.set(Flags::DIRTY);
                    flags.unset(Flags::IN_FLIGHT);
                }
                layers.dirty = dirty;
                Err(error)
            }
        }
    }

    fn flushed(&self) {
        let mut layers = self.layers.borrow_mut();
        let Layers { cache, in_flight, .. } = &mut *layers;
        for slot in in_flight.slots() {
            let flags = &mut cache[*slot].flags;
            flags.put(Flags::STORED, flags.has(Flags::WILL_BE_STORED));
            flags.unset(Flags::IN_FLIGHT | Flags::WILL_BE_STORED);
        }
        in_flight.clear();
        cache.trim();
    }

    fn stats(&self) -> CacheStats {
        let layers = self.layers.borrow();
        let undecodable = self.source.undecodable.get();
        CacheStats { hits: layers.hits, misses: layers.misses, rows: layers.cache.len(), undecodable }
    }
}

impl<K: Hash + Eq + Clone + 'static, V: Clone + 'static> Slice<K, V> {
    /// Calls `each` with the rows in `slots`. Returns the number of rows handed out, and of their
    /// bytes.
    fn flush_rows(
        &self,
        slots: &[Slot],
        scratch: &mut Scratch,
        each: &mut dyn FnMut(FlushedRow<'_>),
    ) -> Result<(u64, u64), SliceError> {
        let (mut rows, mut bytes) = (0, 0);
        for slot in slots {
            let mut layers = self.layers.borrow_mut();
            let row = &mut layers.cache[*slot];
            let present = row.value.is_some();
            let known = present || row.flags.has(Flags::STORED | Flags::IN_FLIGHT);
            row.flags.unset(Flags::DIRTY);
            row.flags.set(Flags::IN_FLIGHT);
            row.flags.put(Flags::WILL_BE_STORED, present);
            if !known {
                continue;
            }
            scratch.key.clear();
            scratch.topic_key.clear();
            scratch.value.clear();
            self.encode(&layers, *slot, scratch)?;
            // `each` is foreign code, so no borrow is held while it runs.
            drop(layers);
            let store_key = scratch.key.as_slice();
            let topic_key = if self.source.format.same_key_bytes() { store_key } else { scratch.topic_key.as_slice() };
            let value = present.then_some(scratch.value.as_slice());
            each(FlushedRow { store_key, topic_key, value });
            rows += 1;
            bytes += (store_key.len() + scratch.value.len()) as u64;
        }
        Ok((rows, bytes))
    }

    /// Encodes a row into empty buffers.
    fn encode(&self, layers: &Layers<K, V>, slot: Slot, scratch: &mut Scratch) -> Result<(), SliceError> {
        let format = &self.source.format;
        let row = &layers.cache[slot];
        if let Some(key) = &row.key {
            format.encode_key(key, &mut scratch.key);
            if !format.same_key_bytes() {
                format.encode_topic_key(key, &mut scratch.topic_key);
            }
        }
        match &row.value {
            Some(value) => {
                format.encode_value(value, &mut scratch.value).map_err(|error| self.source.format_error(error))
            }
            None => Ok(()),
        }
    }
}
