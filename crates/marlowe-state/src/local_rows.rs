//! The rows of a slice that differ from those in its store, for scans.

use std::hash::Hash;

use crate::cache::{Cache, Slot};
use crate::layers::Layers;
use crate::{KeyRange, RowFormat, TxnSlot};

/// A row that differs between the store and the event's view: its store key, and the row as the
/// event sees it. `None` means that the event sees no row.
pub(crate) type LocalRow<K, V> = (Box<[u8]>, Option<(K, V)>);

/// Returns the rows of `range` that differ between the store and the event's view, in key order.
pub(crate) fn local_rows<K, V>(
    layers: &mut Layers<K, V>,
    txn: TxnSlot,
    range: &KeyRange,
    format: &dyn RowFormat<K, V>,
) -> Vec<LocalRow<K, V>>
where
    K: Hash + Eq + Clone + 'static,
    V: Clone + 'static,
{
    let mut rows: Vec<LocalRow<K, V>> = Vec::new();
    for (slot, value) in layers.changes(txn) {
        let bytes = key_bytes(&layers.cache, slot, format);
        if range.contains(&bytes) {
            rows.push((bytes, row(&layers.cache, slot, value)));
        }
    }
    let Layers { cache, dirty, in_flight, .. } = layers;
    for unflushed in [dirty, in_flight] {
        for (bytes, slot) in unflushed.range(range, |slot| key_bytes(cache, slot, format)) {
            rows.push((bytes.into(), row(cache, slot, cache[slot].value.as_ref())));
        }
    }
    // The event's own rows come first and the sort is stable. So the first of several rows with the
    // same key is the one that the event sees.
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    rows.dedup_by(|later, earlier| later.0 == earlier.0);
    rows
}

fn key_bytes<K: Hash + Eq + 'static, V: 'static>(
    cache: &Cache<K, V>,
    slot: Slot,
    format: &dyn RowFormat<K, V>,
) -> Box<[u8]> {
    let mut bytes = Vec::new();
    if let Some(key) = &cache[slot].key {
        format.encode_key(key, &mut bytes);
    }
    bytes.into()
}

fn row<K: Hash + Eq + Clone, V: Clone>(cache: &Cache<K, V>, slot: Slot, value: Option<&V>) -> Option<(K, V)> {
    Some((cache[slot].key.clone()?, value?.clone()))
}
