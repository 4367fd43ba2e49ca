//! The check that the rows of an event can be encoded, before they are flushed.

use std::hash::Hash;

use crate::{FlushedRow, FormatError, Slice, TxnSlot};

/// A row that an event has changed, as a flush would hand it out, or the reason why it cannot be
/// encoded.
pub type CheckedRow<'a> = Result<FlushedRow<'a>, FormatError>;

impl<K: Hash + Eq + Clone + 'static, V: Clone + 'static> Slice<K, V> {
    /// Encodes the rows that the event of `txn` has changed, as
    /// [`flush`](crate::SliceState::flush) does. Calls `each` with each row's key and the result.
    /// The slice does not change.
    ///
    /// # Errors
    /// The first error that `each` returns.
    pub fn check<E>(&self, txn: TxnSlot, mut each: impl FnMut(&K, CheckedRow<'_>) -> Result<(), E>) -> Result<(), E> {
        let layers = self.layers.borrow();
        let format = &self.source.format;
        self.with_scratch(|scratch| {
            for (slot, value) in layers.changes(txn) {
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
