//! The functions that the project's fuzzers run. They read the notes that a store keeps with its
//! rows, and compare both stores.
//!
//! This module is public for `marlowe-fuzz` only.

use std::ops::Bound;
use std::sync::LazyLock;

use arbitrary::Unstructured;
use marlowe_broker::{Offset, Timestamp};

use crate::lmdb::key::{from_stored, to_stored};
use crate::lmdb::meta::{decode_layout, decode_position, encode_layout, encode_position};
use crate::lmdb::state_file::State;
use crate::{
    KeyRange, LmdbOptions, LmdbStore, MAX_KEY_BYTES, MemoryStore, PositionSlot, Rows, SlicePosition, Store,
    StoreLayout, TableIndex,
};

/// Reads one of the things that a store keeps with its rows. The first byte of `input` says which:
/// a layout, a position, two keys, or a state file. Returns `None` if it is refused.
///
/// # Panics
/// If something is accepted and is not what it should be. That is a finding.
pub fn store_notes(input: &[u8]) -> Option<()> {
    let (kind, bytes) = input.split_first()?;
    match kind {
        b'l' => {
            let layout = decode_layout(bytes)?;
            assert_eq!(encode_layout(&layout), bytes, "it is written as it was");
        }
        b'p' => {
            let position = decode_position(bytes)?;
            assert_eq!(encode_position(position).as_flattened(), bytes, "it is written as it was");
        }
        b'k' => {
            let (length, bytes) = bytes.split_first()?;
            let (a, b) = bytes.split_at_checked(usize::from(*length))?;
            let (mut room_a, mut room_b) = (Vec::new(), Vec::new());
            let (stored_a, stored_b) = (to_stored(a, &mut room_a), to_stored(b, &mut room_b));
            assert_eq!(stored_a.cmp(stored_b), a.cmp(b), "keys keep their order");
            assert!(!stored_a.is_empty() && from_stored(stored_a) == a && from_stored(stored_b) == b);
        }
        b's' => {
            let state = State::parse(bytes)?;
            assert_eq!(State::parse(state.text().as_bytes()), Some(state), "it is read as it was written");
        }
        _ => return None,
    }
    Some(())
}

/// Returns an input of each kind that is accepted, as a store writes it.
pub fn store_notes_seeds() -> Vec<Vec<u8>> {
    let layout = StoreLayout { tables: vec!["stock".into(), "größe".into()], slots: 2 };
    let position =
        SlicePosition { changelog: Offset::new(300), inbox: Offset::new(7), as_of: Timestamp::from_millis(1) };
    vec![
        [b"l".as_slice(), &encode_layout(&layout)].concat(),
        [b"p".as_slice(), encode_position(position).as_flattened()].concat(),
        b"k\x02\0\0\0\0\x01a".to_vec(),
        b"sclean\n".to_vec(),
        b"sdirty 6a2b\n".to_vec(),
    ]
}

/// Returns bytes from which rows and ranges can be drawn.
pub fn stores_seeds() -> Vec<Vec<u8>> {
    vec![b"\x01\x01\x03tea\x01\x0297\x01\0 and the rest, of which more rows and ranges are made".to_vec()]
}

type DrawnRows<'a> = Vec<(&'a [u8], Option<&'a [u8]>)>;
type DrawnRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>, u8);

/// A store on disk. Each run empties it and uses it again.
static ON_DISK: LazyLock<(tempfile::TempDir, LmdbStore)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("there is room for a store");
    let store = LmdbStore::open(folder.path(), layout(), LmdbOptions::default()).expect("a new store opens");
    (folder, store)
});

fn layout() -> StoreLayout {
    StoreLayout { tables: vec!["rows".into()], slots: 1 }
}

/// Writes rows to a store in memory and to one on disk, and asks both for rows and ranges. Returns
/// `None` if no rows can be drawn from `input`.
///
/// # Panics
/// If the two stores answer differently. That is a finding.
pub fn stores(input: &[u8]) -> Option<()> {
    let mut input = Unstructured::new(input);
    let drawn: Vec<DrawnRows<'_>> = input.arbitrary().ok()?;
    let ranges: Vec<DrawnRange<'_>> = input.arbitrary().ok()?;
    let memory = MemoryStore::new(layout());
    let disk = &ON_DISK.1;
    disk.clear().expect("a store is emptied");
    let (table, slot) = (TableIndex(0), PositionSlot(0));
    for (at, batch) in drawn.iter().enumerate() {
        let position = SlicePosition { changelog: Offset::new(at as u64 + 1), ..SlicePosition::default() };
        for store in [&memory as &dyn Store, disk] {
            let mut rows = Rows::new();
            batch.iter().for_each(|(key, value)| rows.push(key, *value));
            let is_short = batch.iter().all(|(key, _)| key.len() <= MAX_KEY_BYTES);
            let applied = store.apply(&mut [(table, rows)], &[(slot, position)]);
            assert_eq!(applied.is_ok(), is_short, "{applied:?}");
        }
    }
    assert_eq!(memory.count(table).ok(), disk.count(table).ok());
    assert_eq!(memory.bytes(table).ok(), disk.bytes(table).ok());
    for (key, _) in drawn.iter().flatten() {
        let (mut in_memory, mut on_disk) = (Vec::new(), Vec::new());
        assert_eq!(memory.get(table, key, &mut in_memory).ok(), disk.get(table, key, &mut on_disk).ok());
        assert_eq!(in_memory, on_disk);
    }
    for (start, end, limit) in ranges {
        let range = KeyRange { start: start.map(<[u8]>::to_vec), end: end.map(<[u8]>::to_vec) };
        let scans = [&memory as &dyn Store, disk].map(|store| {
            let scan = store.scan(table, &range, usize::from(limit), slot).expect("a store is scanned");
            let rows: Vec<_> = scan.rows.iter().map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
            (rows, scan.position, scan.more)
        });
        assert_eq!(scans[0], scans[1]);
        let rows = &scans[0].0;
        assert!(rows.iter().all(|(key, _)| range.contains(key)) && rows.is_sorted_by(|a, b| a.0 < b.0));
    }
    Some(())
}
