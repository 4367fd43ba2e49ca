use std::hash::Hash;

use crate::cache::{Flags, Slot};
use crate::layers::Layers;
use crate::slice::Scratch;
use crate::{Hand, Slice, SliceError};

/// A row on its way to the changelog and to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushedRow<'a> {
    /// Its key in the store.
    pub store_key: &'a [u8],
    /// Its key in the changelog.
    pub topic_key: &'a [u8],
    /// Its value; `None`: the row is removed.
    pub value: Option<&'a [u8]>,
}

/// How a slice's cache does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Rows that were in the cache when they were asked for.
    pub hits: u64,
    /// Rows that had to be read from the store.
    pub misses: u64,
    /// Rows in the cache now, known absences included.
    pub rows: usize,
    /// How many times a row was met that does not decode.
    pub undecodable: u64,
}

/// A slice as the shard's loop sees it, whatever its keys and values are.
///
/// The order of things: events read and write through the slice; the loop ends each with [`apply`](Self::apply) or
/// [`discard`](Self::discard); a commit is [`flush`](Self::flush), the broker's transaction, the store's batch, and
/// [`flushed`](Self::flushed). One flush is in flight at most. When a commit fails the slice is dropped as a whole: the
/// store has what was committed.
pub trait SliceState {
    /// Whether everything the event read or wrote is unchanged since it did. Always, if events are served serially.
    fn is_current(&self, hand: Hand) -> bool;

    /// The event has succeeded: its changes are now everyone's, and its hand is empty.
    fn apply(&self, hand: Hand);

    /// The event has failed: nothing of it is left, and its hand is empty.
    fn discard(&self, hand: Hand);

    /// How many rows have changed since they were last flushed.
    fn uncommitted_rows(&self) -> usize;

    /// About how many bytes those rows take.
    fn uncommitted_bytes(&self) -> usize;

    /// Hands out every changed row once, and returns how many. They are in flight until [`flushed`](Self::flushed);
    /// events go on meanwhile and may change them again. After an error all of them are changed rows as before.
    ///
    /// A row that came and went since the last commit is not handed out: nobody has heard of it.
    fn flush(&self, each: &mut dyn FnMut(FlushedRow<'_>)) -> Result<u64, SliceError>;

    /// The flush in flight is committed, and the store has its rows.
    fn flushed(&self);

    /// How the cache does.
    fn stats(&self) -> CacheStats;
}

impl<K: Hash + Eq + Clone + 'static, V: Clone + 'static> SliceState for Slice<K, V> {
    fn is_current(&self, hand: Hand) -> bool {
        self.layers.borrow().is_current(hand)
    }

    #[inline]
    fn apply(&self, hand: Hand) {
        self.layers.borrow_mut().apply(hand);
    }

    fn discard(&self, hand: Hand) {
        self.layers.borrow_mut().discard(hand);
    }

    fn uncommitted_rows(&self) -> usize {
        self.layers.borrow().dirty.slots().len()
    }

    fn uncommitted_bytes(&self) -> usize {
        let layers = self.layers.borrow();
        let slots = layers.dirty.slots();
        let mut size = self.row_size.get();
        if let Some(last) = slots.last().filter(|_| size.wants_sample(slots.len())) {
            // A row that cannot be encoded is the flush's to report.
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
    /// Hands out the rows in `slots`; returns how many those were, and their bytes.
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
            // `each` is not ours: it gets the bytes with no borrow held.
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
