//! Checks that the rows an event has changed can be encoded, before they are flushed.

use std::hash::Hash;

use crate::{FlushedRow, FormatError, Hand, Slice};

/// A row that an event has changed, as a flush would hand it out, or why it cannot be encoded.
pub type CheckedRow<'a> = Result<FlushedRow<'a>, FormatError>;

impl<K: Hash + Eq + Clone + 'static, V: Clone + 'static> Slice<K, V> {
    /// Encodes what the event in `hand` has changed, as [`flush`](crate::SliceState::flush) will, and hands each row to `each` with
    /// its key. Nothing changes.
    ///
    /// # Errors
    /// The first one that `each` returns.
    pub fn check<E>(&self, hand: Hand, mut each: impl FnMut(&K, CheckedRow<'_>) -> Result<(), E>) -> Result<(), E> {
        let layers = self.layers.borrow();
        let format = &self.source.format;
        self.with_scratch(|scratch| {
            for (slot, value) in layers.changes(hand) {
                let Some(key) = &layers.cache[slot].key else { continue };
                scratch.key.clear();
                scratch.topic_key.clear();
                scratch.value.clear();
                format.encode_key(key, &mut scratch.key);
                let topic_key = if format.same_key_bytes() {
                    scratch.key.as_slice()
                } else {
                    format.encode_topic_key(key, &mut scratch.topic_key);
                    scratch.topic_key.as_slice()
                };
                let encoded = value.map(|value| format.encode_value(value, &mut scratch.value)).transpose();
                let value = encoded.map(|encoded| encoded.map(|()| scratch.value.as_slice()));
                each(key, value.map(|value| FlushedRow { store_key: &scratch.key, topic_key, value }))?;
            }
            Ok(())
        })
    }
}
