//! Tests of every committed store, in memory and on disk.

mod fixture;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};

use fixture::*;
use marlowe_state::*;
use proptest::prelude::*;

type Make<'a> = &'a dyn Fn(StoreLayout) -> Bed;

both_stores! {
    a_batch_is_there_as_a_whole,
    of_rows_with_one_key_the_last_counts,
    rows_are_scanned_in_key_order,
    the_order_is_kept_while_rows_come_and_go,
    an_empty_key_is_a_key_and_the_first,
    keys_of_zeros_are_kept_apart,
    keys_have_a_longest_length,
    long_keys_come_and_go,
    a_batch_with_a_fault_changes_nothing,
    values_of_all_lengths_are_kept,
    bytes_and_counts_add_up,
    clearing_drops_rows_and_positions,
    readers_see_whole_batches,
    random_batches_agree_with_a_map,
    large_batches_before_between_and_after_what_is_there,
}

fn a_batch_is_there_as_a_whole(make: Make<'_>) {
    let bed = make(layout(&["a", "b"]));
    let store = &bed.store;
    assert_eq!(store.position(PositionSlot(1)), SlicePosition::default());
    let mut changes = [
        (TableIndex(0), rows(&[("x", Some("1")), ("y", Some("2"))])),
        (TableIndex(1), rows(&[("x", Some("3")), ("z", None)])),
    ];
    store.apply(&mut changes, &[(PositionSlot(1), position(8)), (PositionSlot(0), position(4))]).unwrap();
    assert_eq!(get(store, TableIndex(0), b"x"), Some(b"1".to_vec()));
    assert_eq!(get(store, TableIndex(1), b"x"), Some(b"3".to_vec()));
    assert_eq!(get(store, TableIndex(1), b"y"), None);
    assert_eq!(store.position(PositionSlot(0)), position(4));
    assert_eq!(store.position(PositionSlot(1)), position(8));
    assert_eq!(store.position(PositionSlot(9)), SlicePosition::default());
    let mut out = Vec::new();
    assert_eq!(store.get_at(TableIndex(0), b"y", PositionSlot(1), &mut out).unwrap(), (true, position(8)));
    assert_eq!(out, b"2");
    assert_eq!(store.get_at(TableIndex(0), b"?", PositionSlot(0), &mut out).unwrap(), (false, position(4)));
    assert_eq!(store.layout(), &layout(&["a", "b"]));
}

fn of_rows_with_one_key_the_last_counts(make: Make<'_>) {
    let bed = make(layout(&["a"]));
    let batch =
        rows(&[("b", Some("1")), ("a", Some("1")), ("b", None), ("c", None), ("a", Some("22")), ("c", Some("3"))]);
    bed.store.apply(&mut [(TABLE, batch)], &[]).unwrap();
    assert_eq!(texts(&bed.store, TABLE, &KeyRange::all()), [("a".into(), "22".into()), ("c".into(), "3".into())]);
    assert_eq!(bed.store.bytes(TABLE).unwrap(), 5);
    // A table may also be twice in a batch.
    let mut twice =
        [(TABLE, rows(&[("a", Some("4")), ("d", Some("4"))])), (TABLE, rows(&[("a", Some("5")), ("d", None)]))];
    bed.store.apply(&mut twice, &[]).unwrap();
    assert_eq!(texts(&bed.store, TABLE, &KeyRange::all()), [("a".into(), "5".into()), ("c".into(), "3".into())]);
}

fn rows_are_scanned_in_key_order(make: Make<'_>) {
    let bed = make(layout(&["a"]));
    let keys = ["b", "a", "ab", "b\u{1}", "zz", "a\u{0}", "c"];
    bed.store.apply(&mut [(TABLE, rows(&keys.map(|key| (key, Some(key)))))], &[(SLOT, position(2))]).unwrap();
    let keys_of =
        |range: &KeyRange| texts(&bed.store, TABLE, range).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys_of(&KeyRange::all()), ["a", "a\u{0}", "ab", "b", "b\u{1}", "c", "zz"]);
    assert_eq!(keys_of(&KeyRange::prefix(b"a")), ["a", "a\u{0}", "ab"]);
    let range = |start: Bound<&str>, end: Bound<&str>| KeyRange {
        start: start.map(|key| key.as_bytes().to_vec()),
        end: end.map(|key| key.as_bytes().to_vec()),
    };
    assert_eq!(keys_of(&range(Bound::Excluded("a"), Bound::Included("b"))), ["a\u{0}", "ab", "b"]);
    assert_eq!(keys_of(&range(Bound::Included("c"), Bound::Unbounded)), ["c", "zz"]);
    assert!(keys_of(&range(Bound::Included("c"), Bound::Excluded("c"))).is_empty());
    assert!(keys_of(&range(Bound::Included("z"), Bound::Included("a"))).is_empty());
    let scan = bed.store.scan(TABLE, &KeyRange::all(), 7, SLOT).unwrap();
    assert!(!scan.more && scan.position == position(2));
    // The number of bytes bounds a scan too, except for its first row.
    let all = bed.store.scan(TABLE, &KeyRange::all(), usize::MAX, SLOT).unwrap();
    let sizes: Vec<usize> = all.rows.iter().map(|(key, value)| key.len() + value.map_or(0, <[u8]>::len)).collect();
    for (bytes, rows) in [(sizes[0] + sizes[1], 2), (sizes[0] + sizes[1] - 1, 1), (0, 1), (usize::MAX, all.rows.len())]
    {
        let scan = bed.store.scan_within(TABLE, &KeyRange::all(), usize::MAX, bytes, SLOT).unwrap();
        assert_eq!((scan.rows.len(), scan.more), (rows, rows < all.rows.len()), "{bytes} bytes");
    }
    let none = bed.store.scan(TABLE, &KeyRange::all(), 0, SLOT).unwrap();
    assert!(none.more && none.rows.is_empty());
}

fn the_order_is_kept_while_rows_come_and_go(make: Make<'_>) {
    let bed = make(layout(&["a"]));
    assert!(texts(&bed.store, TABLE, &KeyRange::all()).is_empty());
    bed.store.apply(&mut [(TABLE, rows(&[("b", Some("1")), ("d", Some("1"))]))], &[]).unwrap();
    bed.store.apply(&mut [(TABLE, rows(&[("c", Some("2")), ("d", None), ("b", Some("2"))]))], &[]).unwrap();
    assert_eq!(texts(&bed.store, TABLE, &KeyRange::all()), [("b".into(), "2".into()), ("c".into(), "2".into())]);
}

fn an_empty_key_is_a_key_and_the_first(make: Make<'_>) {
    let bed = make(layout(&["a"]));
    bed.store.apply(&mut [(TABLE, rows(&[("\u{0}", Some("zero")), ("", Some("")), ("a", Some("a"))]))], &[]).unwrap();
    assert_eq!(get(&bed.store, TABLE, b""), Some(Vec::new()));
    let keys: Vec<_> = texts(&bed.store, TABLE, &KeyRange::all()).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["", "\u{0}", "a"]);
    bed.store.apply(&mut [(TABLE, rows(&[("", None)]))], &[]).unwrap();
    assert_eq!(get(&bed.store, TABLE, b""), None);
    assert_eq!(get(&bed.store, TABLE, b"\0"), Some(b"zero".to_vec()));
}

fn keys_of_zeros_are_kept_apart(make: Make<'_>) {
    let bed = make(layout(&["a"]));
    let mut batch = Rows::new();
    for len in [0, 1, 2, 510, MAX_KEY_BYTES] {
        batch.push(&vec![0; len], Some(len.to_string().as_bytes()));
    }
    bed.store.apply(&mut [(TABLE, batch)], &[]).unwrap();
    for len in [0, 1, 2, 510, MAX_KEY_BYTES] {
        assert_eq!(get(&bed.store, TABLE, &vec![0; len]), Some(len.to_string().into_bytes()));
    }
    assert_eq!(get(&bed.store, TABLE, &[0; 3]), None);
    assert_eq!(get(&bed.store, TABLE, &[0; MAX_KEY_BYTES + 1]), None);
}

fn keys_have_a_longest_length(make: Make<'_>) {
    let bed = make(layout(&["a"]));
    let (longest, too_long) = ([7; MAX_KEY_BYTES], [7; MAX_KEY_BYTES + 1]);
    let mut batch = Rows::new();
    batch.push(&longest, Some(b"1"));
    bed.store.apply(&mut [(TABLE, batch)], &[]).unwrap();
    assert_eq!(get(&bed.store, TABLE, &longest), Some(b"1".to_vec()));
    assert_eq!(get(&bed.store, TABLE, &too_long), None);
    let mut batch = Rows::new();
    batch.push(b"short", Some(b"2"));
    batch.push(&too_long, None);
    let error = bed.store.apply(&mut [(TABLE, batch)], &[(SLOT, position(3))]).unwrap_err();
    assert!(matches!(error, StoreError::KeyTooLong { len, limit } if len == limit + 1), "{error}");
    assert_eq!(get(&bed.store, TABLE, b"short"), None);
    assert_eq!(bed.store.position(SLOT), SlicePosition::default());
}

/// Adds and removes long keys. Two of the longest keys fill a page of the store on disk, so its
/// pages split and merge all the time.
fn long_keys_come_and_go(make: Make<'_>) {
    const MOST: usize = MAX_KEY_BYTES;
    let bed = make(layout(&["a"]));
    let mut expected: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut chance = 7_u64;
    let mut draw = |below: usize| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) as usize % below
    };
    for _ in 0..60 {
        let mut batch = Rows::new();
        for _ in 0..1 + draw(40) {
            // The keys of a family differ only in their end, their start, or their length.
            let number = draw(150);
            let (end, len) = (number.to_string(), [MOST, MOST - 1, MOST - 40, 1_400, 900, 30][draw(6)]);
            let key = match draw(3) {
                0 => [vec![b'k'; len - end.len()], end.into_bytes()].concat(),
                1 => [end.into_bytes(), vec![0; len - 3]].concat(),
                _ => vec![(number % 3) as u8; len],
            };
            let value = (draw(4) > 0).then(|| vec![number as u8; [0, 10, 900, 5_000][draw(4)]]);
            batch.push(&key, value.as_deref());
            match value {
                Some(value) => drop(expected.insert(key, value)),
                None => drop(expected.remove(&key)),
            }
        }
        bed.store.apply(&mut [(TABLE, batch)], &[]).unwrap();
    }
    let scan = bed.store.scan(TABLE, &KeyRange::all(), usize::MAX, SLOT).unwrap();
    let found: BTreeMap<Vec<u8>, Vec<u8>> =
        scan.rows.iter().map(|(key, value)| (key.to_vec(), value.unwrap().to_vec())).collect();
    assert!(found == expected && scan.rows.len() == expected.len(), "{} of {} rows", found.len(), expected.len());
    for (key, value) in &expected {
        assert_eq!(get(&bed.store, TABLE, key).as_ref(), Some(value));
    }
    let alike = KeyRange::prefix(&[b'k'; 1_000]);
    let scan = bed.store.scan(TABLE, &alike, usize::MAX, SLOT).unwrap();
    assert!(scan.rows.iter().map(|(key, _)| key).eq(expected.keys().filter(|key| alike.contains(key))));
    let beyond = KeyRange { start: Bound::Included(vec![b'k'; MOST + 100]), end: Bound::Unbounded };
    let scan = bed.store.scan(TABLE, &beyond, usize::MAX, SLOT).unwrap();
    assert!(scan.rows.iter().map(|(key, _)| key).eq(expected.keys().filter(|key| beyond.contains(key))));
}

fn a_batch_with_a_fault_changes_nothing(make: Make<'_>) {
    let bed = make(layout(&["a"]));
    let batch = || rows(&[("x", Some("1"))]);
    let error = bed.store.apply(&mut [(TABLE, batch()), (TableIndex(1), batch())], &[]).unwrap_err();
    assert!(matches!(error, StoreError::UnknownTable { .. }), "{error}");
    let error = bed.store.apply(&mut [(TABLE, batch())], &[(PositionSlot(1), position(1))]).unwrap_err();
    assert!(matches!(error, StoreError::UnknownSlot { .. }), "{error}");
    assert_eq!(bed.store.count(TABLE).unwrap(), 0);
    assert!(bed.store.count(TableIndex(1)).is_err());
    assert!(bed.store.scan(TABLE, &KeyRange::all(), 1, PositionSlot(1)).is_err());
}

fn values_of_all_lengths_are_kept(make: Make<'_>) {
    let bed = make(layout(&["a"]));
    let lengths = [0_usize, 1, 22, 23, 500, 2_000, 4_096, 100_000, 3_000_000];
    for round in 0..3_usize {
        let mut batch = Rows::new();
        for (number, len) in lengths.iter().enumerate() {
            let other = lengths[(number + round) % lengths.len()];
            batch.push(&len.to_be_bytes(), Some(&vec![round as u8; other]));
        }
        bed.store.apply(&mut [(TABLE, batch)], &[]).unwrap();
        for (number, len) in lengths.iter().enumerate() {
            let other = lengths[(number + round) % lengths.len()];
            assert_eq!(get(&bed.store, TABLE, &len.to_be_bytes()), Some(vec![round as u8; other]));
        }
        let values: usize = lengths.iter().sum();
        assert_eq!(bed.store.bytes(TABLE).unwrap(), (values + 8 * lengths.len()) as u64);
    }
}

fn bytes_and_counts_add_up(make: Make<'_>) {
    let bed = make(layout(&["a", "b"]));
    let measure = || (bed.store.count(TABLE).unwrap(), bed.store.bytes(TABLE).unwrap());
    assert_eq!(measure(), (0, 0));
    bed.store.apply(&mut [(TABLE, rows(&[("a", Some("12")), ("bb", Some("")), ("c", None)]))], &[]).unwrap();
    assert_eq!(measure(), (2, 5));
    bed.store.apply(&mut [(TABLE, rows(&[("a", Some("1")), ("bb", None), ("bb", None)]))], &[]).unwrap();
    assert_eq!(measure(), (1, 2));
    assert_eq!(bed.store.count(TableIndex(1)).unwrap(), 0);
}

fn clearing_drops_rows_and_positions(make: Make<'_>) {
    let bed = make(layout(&["a", "b"]));
    for table in [0, 1] {
        let batch = rows(&[("a", Some("1")), ("", Some("2"))]);
        bed.store.apply(&mut [(TableIndex(table), batch)], &[(PositionSlot(u32::from(table)), position(6))]).unwrap();
    }
    assert_eq!(texts(&bed.store, TABLE, &KeyRange::all()).len(), 2);
    bed.store.clear().unwrap();
    for table in [0, 1] {
        assert_eq!(bed.store.count(TableIndex(table)).unwrap(), 0);
        assert_eq!(bed.store.bytes(TableIndex(table)).unwrap(), 0);
        assert_eq!(bed.store.position(PositionSlot(u32::from(table))), SlicePosition::default());
        assert!(texts(&bed.store, TableIndex(table), &KeyRange::all()).is_empty());
    }
    bed.store.apply(&mut [(TABLE, rows(&[("b", Some("1"))]))], &[]).unwrap();
    assert_eq!(texts(&bed.store, TABLE, &KeyRange::all()), [("b".into(), "1".into())]);
    bed.store.close().unwrap();
    bed.store.close().unwrap();
    bed.store.apply(&mut [(TABLE, rows(&[("c", Some("1"))]))], &[]).unwrap();
    assert_eq!(bed.store.count(TABLE).unwrap(), 2);
}

fn readers_see_whole_batches(make: Make<'_>) {
    const ROWS: u64 = 100;
    let bed = make(layout(&["a"]));
    let over = AtomicBool::new(false);
    let store = &bed.store;
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2_u64)
            .map(|reader| {
                let over = &over;
                scope.spawn(move || {
                    let (mut out, mut seen, mut last) = (Vec::new(), 0, SlicePosition::default());
                    while !over.load(Ordering::Relaxed) {
                        let scan = store.scan(TABLE, &KeyRange::all(), ROWS as usize, SLOT).unwrap();
                        let batch = scan.position.changelog.get();
                        assert!(scan.position >= last, "{:?} after {last:?}", scan.position);
                        last = scan.position;
                        assert_eq!(scan.rows.len() as u64, if batch == 0 { 0 } else { ROWS - batch % 2 });
                        for (_, value) in scan.rows.iter() {
                            assert_eq!(value.unwrap(), batch.to_be_bytes());
                        }
                        let key = (reader * 7).to_be_bytes();
                        let (found, position) = store.get_at(TABLE, &key, SLOT, &mut out).unwrap();
                        assert_eq!(found, position.changelog.get() > 0);
                        assert!(!found || out == position.changelog.get().to_be_bytes());
                        seen += 1;
                    }
                    seen
                })
            })
            .collect();
        for batch in 1..=1_500_u64 {
            let mut rows = Rows::new();
            for row in 0..ROWS {
                // The last row comes and goes.
                let there = row < ROWS - 1 || batch % 2 == 0;
                rows.push(&row.to_be_bytes(), there.then_some(&batch.to_be_bytes()));
            }
            store.apply(&mut [(TABLE, rows)], &[(SLOT, position(batch))]).unwrap();
        }
        over.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
}

/// Applies random batches to one of two tables. Their keys are short, and often equal.
fn random_batches_agree_with_a_map(make: Make<'_>) {
    let key = proptest::collection::vec(0..3_u8, 0..4);
    let value = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..30));
    let batch = proptest::collection::vec((key, value), 0..40);
    let program = proptest::collection::vec((batch, any::<bool>()), 1..8);
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(program in program)| {
        let bed = make(layout(&["a", "b"]));
        let mut model = BTreeMap::new();
        for (number, (batch, look)) in program.into_iter().enumerate() {
            let mut rows = Rows::new();
            for (key, value) in &batch {
                rows.push(key, value.as_deref());
            }
            bed.store.apply(&mut [(TableIndex(1), rows)], &[(SLOT, position(number as u64))]).unwrap();
            for (key, value) in batch {
                match value {
                    Some(value) => model.insert(key, value),
                    None => model.remove(&key),
                };
            }
            if look {
                let scan = bed.store.scan(TableIndex(1), &KeyRange::all(), 1_000, SLOT).unwrap();
                let rows: Vec<_> = scan.rows.iter().map(|(key, value)| (key.to_vec(), value.unwrap().to_vec())).collect();
                prop_assert_eq!(rows, model.clone().into_iter().collect::<Vec<_>>());
            }
            let bytes: usize = model.iter().map(|(key, value)| key.len() + value.len()).sum();
            prop_assert_eq!(bed.store.count(TableIndex(1)).unwrap(), model.len() as u64);
            prop_assert_eq!(bed.store.bytes(TableIndex(1)).unwrap(), bytes as u64);
        }
        prop_assert_eq!(bed.store.count(TableIndex(0)).unwrap(), 0);
    });
}

fn large_batches_before_between_and_after_what_is_there(make: Make<'_>) {
    let bed = make(layout(&["a"]));
    let mut expected = BTreeMap::new();
    // The batches are beyond the last key, before the first key, and over all keys. One is larger
    // than the table, and others are smaller.
    for (number, (start, step, count)) in
        [(50_000, 1, 3_000), (60_000, 1, 3_000), (0, 1, 100), (0, 5, 20_000), (10, 7, 500), (20, 3, 4_000)]
            .into_iter()
            .enumerate()
    {
        let mut rows = Rows::new();
        for row in (0..count).rev() {
            let key: u64 = start + row * step;
            let value = (row % 10 != 3).then(|| format!("{number}-{row}").into_bytes());
            rows.push(&key.to_be_bytes(), value.as_deref());
            match value {
                Some(value) => expected.insert(key, value),
                None => expected.remove(&key),
            };
        }
        bed.store.apply(&mut [(TABLE, rows)], &[]).unwrap();
        let scan = bed.store.scan(TABLE, &KeyRange::all(), 100_000, SLOT).unwrap();
        assert_eq!(scan.rows.len(), expected.len(), "batch {number}");
        for ((key, value), (expected_key, expected)) in scan.rows.iter().zip(&expected) {
            assert_eq!((key, value), (&expected_key.to_be_bytes()[..], Some(&expected[..])));
        }
        let bytes: usize = expected.values().map(|value| 8 + value.len()).sum();
        assert_eq!(bed.store.bytes(TABLE).unwrap(), bytes as u64);
    }
}
