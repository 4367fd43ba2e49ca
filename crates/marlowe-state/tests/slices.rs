//! Tests of a slice, as events and the shard's loop use it, over both stores.

mod fixture;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use fixture::*;
use marlowe_state::*;

type Make<'a> = &'a dyn Fn(StoreLayout) -> Bed;

both_stores! {
    an_event_sees_what_it_wrote_and_returns_what_was_there,
    a_failed_event_leaves_nothing,
    a_closure_may_use_the_slice,
    a_panic_in_a_closure_changes_nothing,
    an_event_may_write_ten_thousand_rows,
    a_flush_hands_out_every_changed_row_once,
    rows_changed_while_in_flight_are_flushed_again,
    a_row_that_came_and_went_is_not_flushed,
    a_row_removed_while_in_flight_is_removed_from_the_store,
    a_failed_flush_leaves_the_rows_changed,
    hands_survive_a_flush,
    a_table_ten_times_its_cache,
    only_what_is_stored_makes_room,
    absences_are_cached,
    a_scan_sees_all_layers_in_order,
    a_scan_is_as_of_its_creation,
    n1_4_a_scan_goes_on_after_a_bad_row,
    n1_4_a_bad_row_is_there_and_cannot_be_read,
    n1_4_a_bad_row_is_overwritten_and_removed,
    strings_are_in_byte_order_and_the_empty_one_is_first,
    a_key_too_long_fails_the_event_that_uses_it,
    the_guard_is_asked_once_per_row_in_the_cache,
    length_counts_all_layers,
    the_estimate_of_bytes_follows_the_rows,
}

fn one(make: Make<'_>) -> Bed {
    make(layout(&["counts"]))
}

fn all(slice: &Slice<u16, u64>, txn: TxnSlot) -> Vec<(u16, u64)> {
    slice.scan(txn, KeyRange::all()).unwrap().map(Result::unwrap).collect()
}

fn an_event_sees_what_it_wrote_and_returns_what_was_there(make: Make<'_>) {
    let bed = one(make);
    let slice = serial(&bed.store, 10);
    assert_eq!(slice.get(TXN, &1).unwrap(), None);
    assert_eq!(slice.insert(TXN, 1, 10).unwrap(), None);
    assert_eq!(slice.get(TXN, &1).unwrap(), Some(10));
    assert_eq!(slice.insert(TXN, 1, 11).unwrap(), Some(10));
    slice.update(TXN, 1, |value| *value += 1).unwrap();
    slice.update(TXN, 2, |value| *value += 5).unwrap();
    assert!(slice.contains_key(TXN, &2).unwrap());
    assert_eq!(slice.remove(TXN, &1).unwrap(), Some(12));
    assert_eq!(slice.remove(TXN, &1).unwrap(), None);
    assert!(!slice.contains_key(TXN, &1).unwrap());
    slice.update_with(TXN, 1, |value| assert_eq!(value.replace(3), None)).unwrap();
    slice.update_with(TXN, 2, |value| assert_eq!(value.take(), Some(5))).unwrap();
    slice.update_with(TXN, 3, |value| assert_eq!(*value, None)).unwrap();
    slice.apply(TXN);
    assert_eq!(all(&slice, TXN), [(1, 3)]);
    assert!(slice.is_current(TXN));
    assert_eq!(commit(&bed.store, &slice), 1);
    assert_eq!(all(&serial(&bed.store, 10), TXN), [(1, 3)]);
}

fn a_failed_event_leaves_nothing(make: Make<'_>) {
    let bed = one(make);
    let slice = serial(&bed.store, 10);
    slice.insert(TXN, 1, 1).unwrap();
    slice.apply(TXN);
    slice.update(TXN, 1, |value| *value = 9).unwrap();
    slice.insert(TXN, 2, 9).unwrap();
    slice.remove(TXN, &1).unwrap();
    slice.discard(TXN);
    assert_eq!(all(&slice, TXN), [(1, 1)]);
    assert_eq!(slice.len(TXN).unwrap(), 1);
    assert_eq!(slice.uncommitted_rows(), 1);
}

fn a_closure_may_use_the_slice(make: Make<'_>) {
    let bed = one(make);
    let slice = serial(&bed.store, 2);
    slice.insert(TXN, 1, 1).unwrap();
    slice
        .update(TXN, 1, |value| {
            // Meanwhile more rows come and go than the cache holds.
            for key in 10..40 {
                slice.update(TXN, key, |other| *other += u64::from(key)).unwrap();
                assert_eq!(slice.get(TXN, &(key + 100)).unwrap(), None);
            }
            assert_eq!(slice.get(TXN, &1).unwrap(), Some(1));
            slice.update(TXN, 1, |same| *same = 1_000).unwrap();
            assert_eq!(slice.scan(TXN, KeyRange::all()).unwrap().count(), 31);
            *value += slice.get(TXN, &20).unwrap().unwrap();
        })
        .unwrap();
    assert_eq!(slice.get(TXN, &1).unwrap(), Some(21));
    assert_eq!(slice.len(TXN).unwrap(), 31);
    slice.apply(TXN);
    assert_eq!(slice.get(TXN, &39).unwrap(), Some(39));
    assert_eq!(slice.len(TXN).unwrap(), 31);
}

fn a_panic_in_a_closure_changes_nothing(make: Make<'_>) {
    let bed = one(make);
    let slice = serial(&bed.store, 2);
    slice.insert(TXN, 1, 1).unwrap();
    let panicking = |key: u16| {
        let result = catch_unwind(AssertUnwindSafe(|| {
            slice.update(TXN, key, |value| {
                *value = 7;
                std::panic::resume_unwind(Box::new("on purpose"));
            })
        }));
        assert!(result.is_err());
    };
    panicking(1);
    panicking(2);
    assert_eq!(all(&slice, TXN), [(1, 1)]);
    assert_eq!(slice.len(TXN).unwrap(), 1);
    slice.apply(TXN);
    assert_eq!(all(&slice, TXN), [(1, 1)]);
    assert_eq!(slice.uncommitted_rows(), 1);
}

fn an_event_may_write_ten_thousand_rows(make: Make<'_>) {
    let bed = one(make);
    for isolation in [SliceIsolation::Serial, SliceIsolation::Optimistic] {
        let slice = slice_of(&bed.store, Numbers, 100, isolation);
        for round in 0..3 {
            for key in 0..10_000 {
                slice.update(TXN, key, |value| *value += 1).unwrap();
            }
            assert_eq!(slice.get(TXN, &9_999).unwrap(), Some(round + 1));
            assert!(slice.is_current(TXN));
            slice.apply(TXN);
        }
        assert_eq!(slice.uncommitted_rows(), 10_000);
        assert_eq!(slice.stats().rows, 10_000);
        // A small event comes afterwards.
        assert_eq!(slice.get(TXN, &5).unwrap(), Some(3));
        slice.apply(TXN);
        assert_eq!(commit(&bed.store, &slice), 10_000);
        assert!(slice.stats().rows <= 100, "{:?}", slice.stats());
        bed.store.clear().unwrap();
    }
}

fn a_flush_hands_out_every_changed_row_once(make: Make<'_>) {
    let bed = one(make);
    let slice = serial(&bed.store, 10);
    for key in [300, 2, 300, 7] {
        slice.update(TXN, key, |value| *value += 1).unwrap();
        slice.apply(TXN);
    }
    let mut seen = Vec::new();
    let count = slice
        .flush(&mut |row| {
            // The slice is not borrowed while the row is handed out.
            assert_eq!(slice.uncommitted_rows(), 0);
            seen.push((row.store_key.to_vec(), row.topic_key.to_vec(), row.value.map(<[u8]>::to_vec)));
        })
        .unwrap();
    assert_eq!(count, 3);
    let row = |key: u16, value: u64| {
        (key.to_be_bytes().to_vec(), key.to_string().into_bytes(), Some(value.to_be_bytes().to_vec()))
    };
    assert_eq!(seen, [row(300, 2), row(2, 1), row(7, 1)]);
    assert_eq!(slice.uncommitted_rows(), 0);
    slice.flushed();
    assert!(flush(&slice).is_empty());
}

fn rows_changed_while_in_flight_are_flushed_again(make: Make<'_>) {
    let bed = one(make);
    let slice = serial(&bed.store, 1);
    for key in [1, 2] {
        slice.insert(TXN, key, 1).unwrap();
        slice.apply(TXN);
    }
    let first = flush(&slice);
    slice.insert(TXN, 1, 2).unwrap();
    slice.apply(TXN);
    assert_eq!(slice.uncommitted_rows(), 1);
    bed.store.apply(&mut [(TABLE, first)], &[]).unwrap();
    slice.flushed();
    // The cache holds one row. The changed row stays in it, whatever other rows are asked for.
    for key in 10..100 {
        assert_eq!(slice.get(TXN, &key).unwrap(), None);
    }
    assert_eq!(slice.get(TXN, &1).unwrap(), Some(2));
    assert_eq!(slice.get(TXN, &2).unwrap(), Some(1));
    let second = flush(&slice);
    assert_eq!(second.iter().collect::<Vec<_>>(), [(&1_u16.to_be_bytes()[..], Some(&2_u64.to_be_bytes()[..]))]);
    bed.store.apply(&mut [(TABLE, second)], &[]).unwrap();
    slice.flushed();
    assert_eq!(all(&serial(&bed.store, 1), TXN), [(1, 2), (2, 1)]);
}

fn a_row_that_came_and_went_is_not_flushed(make: Make<'_>) {
    let bed = one(make);
    let slice = serial(&bed.store, 10);
    slice.insert(TXN, 1, 1).unwrap();
    slice.insert(TXN, 2, 2).unwrap();
    slice.apply(TXN);
    slice.remove(TXN, &1).unwrap();
    slice.apply(TXN);
    assert_eq!(commit(&bed.store, &slice), 1);
    slice.remove(TXN, &2).unwrap();
    slice.apply(TXN);
    let rows = flush(&slice);
    assert_eq!(rows.iter().collect::<Vec<_>>(), [(&2_u16.to_be_bytes()[..], None)]);
    bed.store.apply(&mut [(TABLE, rows)], &[]).unwrap();
    slice.flushed();
    slice.insert(TXN, 2, 3).unwrap();
    slice.apply(TXN);
    slice.remove(TXN, &2).unwrap();
    slice.apply(TXN);
    assert_eq!(commit(&bed.store, &slice), 0);
    assert_eq!(bed.store.count(TABLE).unwrap(), 0);
}

fn a_row_removed_while_in_flight_is_removed_from_the_store(make: Make<'_>) {
    let bed = one(make);
    let slice = serial(&bed.store, 10);
    slice.insert(TXN, 1, 1).unwrap();
    slice.apply(TXN);
    let first = flush(&slice);
    slice.remove(TXN, &1).unwrap();
    slice.apply(TXN);
    bed.store.apply(&mut [(TABLE, first)], &[]).unwrap();
    slice.flushed();
    assert_eq!(slice.len(TXN).unwrap(), 0);
    assert_eq!(commit(&bed.store, &slice), 1);
    assert_eq!(bed.store.count(TABLE).unwrap(), 0);
}

fn a_failed_flush_leaves_the_rows_changed(make: Make<'_>) {
    let bed = one(make);
    let slice = serial(&bed.store, 10);
    for (key, value) in [(1, 1), (2, UNENCODABLE), (3, 3)] {
        slice.insert(TXN, key, value).unwrap();
        slice.apply(TXN);
    }
    let error = slice.flush(&mut |_| {}).unwrap_err();
    assert!(matches!(&error, SliceError::Format { .. }), "{error}");
    assert!(error.to_string().contains("`counts`"), "{error}");
    assert_eq!(slice.uncommitted_rows(), 3);
    slice.insert(TXN, 2, 2).unwrap();
    slice.apply(TXN);
    assert_eq!(commit(&bed.store, &slice), 3);
    assert_eq!(all(&serial(&bed.store, 1), TXN), [(1, 1), (2, 2), (3, 3)]);
}

fn hands_survive_a_flush(make: Make<'_>) {
    let bed = one(make);
    let slice = optimistic(&bed.store, 1);
    slice.insert(TxnSlot::SERIAL, 1, 1).unwrap();
    slice.apply(TxnSlot::SERIAL);
    slice.insert(TxnSlot(1), 1, 10).unwrap();
    slice.insert(TxnSlot(2), 2, 20).unwrap();
    assert_eq!(slice.get(TxnSlot(2), &3).unwrap(), None);
    assert_eq!(commit(&bed.store, &slice), 1);
    for key in 100..200 {
        slice.get(TxnSlot::SERIAL, &key).unwrap();
        slice.discard(TxnSlot::SERIAL);
    }
    assert_eq!(slice.get(TxnSlot(1), &1).unwrap(), Some(10));
    assert!(slice.is_current(TxnSlot(1)) && slice.is_current(TxnSlot(2)));
    slice.apply(TxnSlot(2));
    slice.apply(TxnSlot(1));
    assert_eq!(commit(&bed.store, &slice), 2);
    assert_eq!(all(&serial(&bed.store, 1), TXN), [(1, 10), (2, 20)]);
}

fn a_table_ten_times_its_cache(make: Make<'_>) {
    const CACHE: usize = 200;
    let bed = one(make);
    let slice = serial(&bed.store, CACHE);
    let mut expected = BTreeMap::new();
    let mut draw = 1_u64;
    for event in 0..20_000_u64 {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let key = (draw >> 40) as u16 % (10 * CACHE as u16);
        slice.update(TXN, key, |value| *value += event).unwrap();
        slice.apply(TXN);
        *expected.entry(key).or_insert(0) += event;
        if event % 100 == 99 {
            commit(&bed.store, &slice);
            assert!(slice.stats().rows <= CACHE);
        }
        // The cache exceeds its bound by at most the rows that are not committed yet.
        assert!(slice.stats().rows <= CACHE + 100, "{:?}", slice.stats());
    }
    assert!(slice.stats().hits > 0 && slice.stats().misses > 10 * CACHE as u64);
    assert_eq!(slice.len(TXN).unwrap(), expected.len() as u64);
    assert_eq!(all(&slice, TXN), expected.clone().into_iter().collect::<Vec<_>>());
    commit(&bed.store, &slice);
    assert_eq!(all(&serial(&bed.store, 1), TXN), expected.into_iter().collect::<Vec<_>>());
}

fn only_what_is_stored_makes_room(make: Make<'_>) {
    let bed = one(make);
    let slice = serial(&bed.store, 5);
    for key in 0..1_000 {
        slice.insert(TXN, key, u64::from(key)).unwrap();
        slice.apply(TXN);
        // Rows that are only read may be evicted.
        slice.get(TXN, &(key + 2_000)).unwrap();
        slice.apply(TXN);
    }
    let first = flush(&slice);
    for key in 1_000..1_500 {
        slice.insert(TXN, key, u64::from(key)).unwrap();
        slice.apply(TXN);
    }
    for key in 0..1_500 {
        assert_eq!(slice.get(TXN, &key).unwrap(), Some(u64::from(key)));
    }
    assert_eq!(slice.stats().misses, 2_500);
    bed.store.apply(&mut [(TABLE, first)], &[]).unwrap();
    slice.flushed();
    assert_eq!(slice.stats().rows, 500);
    for key in (0..1_500).rev() {
        assert_eq!(slice.get(TXN, &key).unwrap(), Some(u64::from(key)));
    }
    commit(&bed.store, &slice);
    assert!(slice.stats().rows <= 5);
}

fn absences_are_cached(make: Make<'_>) {
    let bed = one(make);
    let slice = serial(&bed.store, 10);
    for _ in 0..3 {
        assert_eq!(slice.get(TXN, &1).unwrap(), None);
        slice.apply(TXN);
    }
    assert_eq!(slice.stats(), CacheStats { hits: 2, misses: 1, rows: 1, undecodable: 0 });
    assert_eq!(slice.uncommitted_rows(), 0);
}

fn a_scan_sees_all_layers_in_order(make: Make<'_>) {
    let bed = one(make);
    let slice = serial(&bed.store, 10);
    // Rows in the store alone, more than two pages of them.
    let mut expected = BTreeMap::new();
    for key in 0..700_u16 {
        slice.insert(TXN, key * 2, 0).unwrap();
        expected.insert(key * 2, 0);
    }
    slice.apply(TXN);
    commit(&bed.store, &slice);
    // Rows in flight.
    for (key, value) in [(1, Some(1)), (2, Some(1)), (4, None), (1_398, Some(1)), (5_000, Some(1)), (510, Some(1))] {
        change(&slice, &mut expected, key, value);
    }
    slice.apply(TXN);
    let in_flight = flush(&slice);
    // Finished rows, some of them over rows in flight. A scan sees them, so the next scan finds
    // some rows in order already.
    for (key, value) in [(1, Some(2)), (3, Some(2)), (6, None), (510, None), (512, Some(2))] {
        change(&slice, &mut expected, key, value);
    }
    slice.apply(TXN);
    assert_eq!(all(&slice, TXN), expected.clone().into_iter().collect::<Vec<_>>());
    change(&slice, &mut expected, 8, None);
    change(&slice, &mut expected, 9, Some(2));
    slice.apply(TXN);
    // The event's own changes.
    for (key, value) in [(1, None), (6, Some(3)), (7, Some(3)), (3, Some(3)), (0, None)] {
        change(&slice, &mut expected, key, value);
    }
    assert_eq!(all(&slice, TXN), expected.clone().into_iter().collect::<Vec<_>>());
    let range = |from: u16, to: u16| KeyRange {
        start: std::ops::Bound::Excluded(from.to_be_bytes().to_vec()),
        end: std::ops::Bound::Included(to.to_be_bytes().to_vec()),
    };
    for (from, to) in [(0, 8), (505, 513), (1_397, 6_000), (9, 3), (6_000, 7_000)] {
        let rows: Vec<_> = slice.scan(TXN, range(from, to)).unwrap().map(Result::unwrap).collect();
        let expected = expected.iter().filter(|(key, _)| from < **key && **key <= to);
        assert_eq!(rows, expected.map(|(key, value)| (*key, *value)).collect::<Vec<_>>());
    }
    bed.store.apply(&mut [(TABLE, in_flight)], &[]).unwrap();
    slice.flushed();
    assert_eq!(all(&slice, TXN), expected.into_iter().collect::<Vec<_>>());
}

fn change(slice: &Slice<u16, u64>, expected: &mut BTreeMap<u16, u64>, key: u16, value: Option<u64>) {
    let before = match value {
        Some(value) => slice.insert(TXN, key, value).unwrap(),
        None => slice.remove(TXN, &key).unwrap(),
    };
    let expected = match value {
        Some(value) => expected.insert(key, value),
        None => expected.remove(&key),
    };
    assert_eq!(before, expected);
}

fn a_scan_is_as_of_its_creation(make: Make<'_>) {
    let bed = one(make);
    let slice = serial(&bed.store, 10);
    for key in 0..600 {
        slice.insert(TXN, key, 1).unwrap();
    }
    slice.apply(TXN);
    commit(&bed.store, &slice);
    slice.insert(TXN, 600, 1).unwrap();
    slice.apply(TXN);
    slice.insert(TXN, 601, 1).unwrap();
    let mut scan = slice.scan(TXN, KeyRange::all()).unwrap();
    let mut seen = 0;
    for row in scan.by_ref() {
        let (key, value) = row.unwrap();
        assert_eq!((key, value), (seen, 1));
        seen += 1;
        // Changes rows of every layer that the scan has not reached yet, and adds new rows.
        slice.update(TXN, 601 - key, |value| *value += 100).unwrap();
        slice.insert(TXN, 1_000 + key, 1).unwrap();
        if key == 100 {
            slice.remove(TXN, &300).unwrap();
        }
    }
    assert_eq!(seen, 602);
    assert!(scan.next().is_none());
    drop(slice);
    assert!(scan.next().is_none());
}

/// Returns a store with three rows, the second of which does not decode.
fn with_a_bad_row(make: Make<'_>) -> Bed {
    let bed = one(make);
    let mut rows = Rows::new();
    rows.push(&1_u16.to_be_bytes(), Some(&1_u64.to_be_bytes()));
    rows.push(&2_u16.to_be_bytes(), Some(b"not a number"));
    rows.push(&3_u16.to_be_bytes(), Some(&3_u64.to_be_bytes()));
    bed.store.apply(&mut [(TABLE, rows)], &[]).unwrap();
    bed
}

fn is_bad_row<T: std::fmt::Debug>(result: Result<T, SliceError>) {
    match result {
        Err(SliceError::Undecodable { table, store_key, .. }) => {
            assert_eq!((table.as_str(), &*store_key), ("counts", &2_u16.to_be_bytes()[..]));
        }
        other => panic!("{other:?}"),
    }
}

fn n1_4_a_scan_goes_on_after_a_bad_row(make: Make<'_>) {
    let bed = with_a_bad_row(make);
    let mut rows = Rows::new();
    rows.push(b"no number", Some(&1_u64.to_be_bytes()));
    bed.store.apply(&mut [(TABLE, rows)], &[]).unwrap();
    let slice = serial(&bed.store, 10);
    slice.insert(TXN, 4, 4).unwrap();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for row in slice.scan(TXN, KeyRange::all()).unwrap() {
        match row {
            Ok(row) => good.push(row),
            Err(SliceError::Undecodable { store_key, .. }) => bad.push(store_key),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(good, [(1, 1), (3, 3), (4, 4)]);
    assert_eq!(bad, [2_u16.to_be_bytes().into(), Box::<[u8]>::from(*b"no number")]);
    assert_eq!((slice.len(TXN).unwrap(), slice.stats().undecodable), (5, 2));
}

fn n1_4_a_bad_row_is_there_and_cannot_be_read(make: Make<'_>) {
    for isolation in [SliceIsolation::Serial, SliceIsolation::Optimistic] {
        let bed = with_a_bad_row(make);
        let slice = slice_of(&bed.store, Numbers, 10, isolation);
        for _ in 0..2 {
            assert!(slice.contains_key(TXN, &2).unwrap());
            is_bad_row(slice.get(TXN, &2));
            is_bad_row(slice.update(TXN, 2, |_| panic!("it is not asked")));
            is_bad_row(slice.update_with(TXN, 2, |_| panic!("it is not asked")));
            assert_eq!(slice.get(TXN, &3).unwrap(), Some(3));
            assert_eq!(slice.len(TXN).unwrap(), 3);
            slice.apply(TXN);
            assert_eq!(commit(&bed.store, &slice), 0);
        }
        assert_eq!(get(&bed.store, TABLE, &2_u16.to_be_bytes()).as_deref(), Some(&b"not a number"[..]));
    }
}

fn n1_4_a_bad_row_is_overwritten_and_removed(make: Make<'_>) {
    type Act = fn(&Slice<u16, u64>);
    let put: Act = |slice| assert_eq!(slice.insert(TXN, 2, 20).unwrap(), None);
    let remove: Act = |slice| assert_eq!(slice.remove(TXN, &2).unwrap(), None);
    let add: Act = |slice| slice.update(TXN, 2, |value| *value += 1).unwrap();
    let cases: [(&[Act], Option<u64>); 5] = [
        (&[put], Some(20)),
        (&[remove], None),
        (&[put, add], Some(21)),
        (&[remove, add], Some(1)),
        (&[remove, |slice| slice.update_with(TXN, 2, |row| assert_eq!(row.take(), None)).unwrap()], None),
    ];
    for (acts, expected) in cases {
        for isolation in [SliceIsolation::Serial, SliceIsolation::Optimistic] {
            let bed = with_a_bad_row(make);
            let slice = slice_of(&bed.store, Numbers, 10, isolation);
            acts.iter().for_each(|act| act(&slice));
            let rows = 2 + u64::from(expected.is_some());
            let expects = |slice: &Slice<u16, u64>| {
                assert_eq!(slice.len(TXN).unwrap(), rows);
                assert_eq!(slice.get(TXN, &2).unwrap(), expected);
                assert_eq!(slice.contains_key(TXN, &2).unwrap(), expected.is_some());
                let all = all(slice, TXN);
                assert_eq!(all.iter().find(|(key, _)| *key == 2).map(|(_, value)| *value), expected);
                assert_eq!(all.len() as u64, rows);
            };
            expects(&slice);
            // An event that fails leaves the bad row as it was.
            slice.discard(TXN);
            is_bad_row(slice.get(TXN, &2));
            assert_eq!(slice.len(TXN).unwrap(), 3);
            acts.iter().for_each(|act| act(&slice));
            slice.apply(TXN);
            expects(&slice);
            slice.apply(TXN);
            assert_eq!(commit(&bed.store, &slice), 1, "the row, or that it is gone");
            expects(&slice);
            slice.discard(TXN);
            expects(&slice_of(&bed.store, Numbers, 10, isolation));
        }
    }
}

fn strings_are_in_byte_order_and_the_empty_one_is_first(make: Make<'_>) {
    let bed = one(make);
    let slice = slice_of(&bed.store, Strings, 2, SliceIsolation::Serial);
    for key in ["b", "", "ä", "a", "Z", "aa", "\0"] {
        slice.insert(TXN, key.to_owned(), format!("<{key}>")).unwrap();
    }
    slice.apply(TXN);
    let keys = |prefix: &str| -> Vec<String> {
        let scan = slice.scan(TXN, KeyRange::prefix(prefix.as_bytes())).unwrap();
        scan.map(|row| row.unwrap())
            .inspect(|(key, value)| assert_eq!(*value, format!("<{key}>")))
            .map(|row| row.0)
            .collect()
    };
    for _ in 0..2 {
        assert_eq!(keys(""), ["", "\0", "Z", "a", "aa", "b", "ä"]);
        assert_eq!(keys("a"), ["a", "aa"]);
        commit(&bed.store, &slice);
    }
}

fn a_key_too_long_fails_the_event_that_uses_it(make: Make<'_>) {
    let bed = one(make);
    let slice = slice_of(&bed.store, Strings, 2, SliceIsolation::Serial);
    slice.insert(TXN, "k".repeat(MAX_KEY_BYTES), String::new()).unwrap();
    let error = slice.insert(TXN, "k".repeat(MAX_KEY_BYTES + 1), String::new()).unwrap_err();
    let SliceError::KeyTooLong { len, limit, .. } = error else { panic!("{error}") };
    assert_eq!((len, limit), (MAX_KEY_BYTES + 1, MAX_KEY_BYTES));
    assert!(slice.get(TXN, &"k".repeat(MAX_KEY_BYTES + 1)).is_err());
    slice.apply(TXN);
    assert_eq!(commit(&bed.store, &slice), 1);
}

fn the_guard_is_asked_once_per_row_in_the_cache(make: Make<'_>) {
    let bed = one(make);
    let asked = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&asked);
    let guard: Guard<u16> = Box::new(move |key| {
        log.borrow_mut().push(*key);
        if key % 2 == 0 { Ok(()) } else { Err(format!("key {key} is not at home here").into()) }
    });
    let config = SliceConfig {
        store: bed.store.clone(),
        table: TABLE,
        slot: SLOT,
        cache_rows: SliceConfig::DEFAULT_CACHE_ROWS,
        isolation: SliceIsolation::Serial,
    };
    let slice = Slice::new(config, Box::new(Numbers), Some(guard));
    for _ in 0..3 {
        slice.insert(TXN, 2, 1).unwrap();
        let error = slice.insert(TXN, 3, 1).unwrap_err();
        assert!(matches!(error, SliceError::Refused(_)));
        assert_eq!(error.to_string(), "key 3 is not at home here");
    }
    assert!(slice.get(TXN, &5).is_err());
    assert_eq!(*asked.borrow(), [2, 3, 3, 3, 5]);
    assert_eq!(slice.len(TXN).unwrap(), 1);
}

fn length_counts_all_layers(make: Make<'_>) {
    let bed = one(make);
    {
        let slice = serial(&bed.store, 2);
        for key in 0..10 {
            slice.insert(TXN, key, 1).unwrap();
        }
        slice.apply(TXN);
        commit(&bed.store, &slice);
    }
    let slice = serial(&bed.store, 2);
    slice.remove(TXN, &3).unwrap();
    slice.insert(TXN, 20, 1).unwrap();
    slice.insert(TXN, 21, 1).unwrap();
    slice.insert(TXN, 4, 1).unwrap();
    slice.update_with(TXN, 20, |value| *value = None).unwrap();
    slice.remove(TXN, &99).unwrap();
    assert_eq!(slice.len(TXN).unwrap(), 10);
    slice.remove(TXN, &5).unwrap();
    assert_eq!(slice.len(TXN).unwrap(), 9);
    slice.apply(TXN);
    slice.insert(TXN, 5, 1).unwrap();
    assert_eq!(slice.len(TXN).unwrap(), 10);
    let rows = flush(&slice);
    assert_eq!(slice.len(TXN).unwrap(), 10);
    bed.store.apply(&mut [(TABLE, rows)], &[]).unwrap();
    slice.flushed();
    assert_eq!(slice.len(TXN).unwrap(), 10);
    slice.discard(TXN);
    assert_eq!(slice.len(TXN).unwrap(), 9);
    assert_eq!(bed.store.count(TABLE).unwrap(), 9);
}

fn the_estimate_of_bytes_follows_the_rows(make: Make<'_>) {
    let bed = one(make);
    let slice = slice_of(&bed.store, Strings, 100, SliceIsolation::Serial);
    assert_eq!(slice.uncommitted_bytes(), 0);
    let total = Cell::new(0);
    for (round, len) in [(0, 1_000), (1, 10)] {
        for row in 0..100 {
            slice.insert(TXN, format!("{round}{row:04}"), "v".repeat(len)).unwrap();
            slice.apply(TXN);
            slice.uncommitted_bytes();
        }
        let estimate = slice.uncommitted_bytes();
        total.set(100 * (5 + len));
        assert!(estimate >= total.get() / 2, "{estimate} for {}", total.get());
        commit(&bed.store, &slice);
        assert_eq!(slice.uncommitted_bytes(), 0);
    }
}
