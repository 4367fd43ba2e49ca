//! Ranges of keys in the order of the store.

use std::ops::{Bound, RangeBounds};

use marlowe_state::KeyRange;

use crate::codec::Key;

/// Returns a range of keys in their ordered form, by which stores sort.
pub(crate) fn ordered_range<K: Key>(keys: &impl RangeBounds<K>) -> KeyRange {
    let ordered = |bound: Bound<&K>| {
        bound.map(|key| {
            let mut bytes = Vec::new();
            key.encode_ordered(&mut bytes);
            bytes
        })
    };
    KeyRange { start: ordered(keys.start_bound()), end: ordered(keys.end_bound()) }
}
