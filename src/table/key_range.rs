use std::ops::{Bound, RangeBounds};

use marlowe_state::KeyRange;

use crate::codec::Key;

/// A range of keys in the form the store sorts by.
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
