//! Tests of several events at a time: which of them disturb each other, and which do not.

mod fixture;

use fixture::*;
use marlowe_state::*;

const A: TxnSlot = TxnSlot::SERIAL;
const B: TxnSlot = TxnSlot(1);

fn slice() -> (Bed, Slice<u16, u64>) {
    let bed = memory(layout(&["counts"]));
    let slice = optimistic(&bed.store, 100);
    for key in 0..5 {
        slice.insert(A, key, 10).unwrap();
    }
    slice.apply(A);
    (bed, slice)
}

#[test]
fn events_that_share_no_row_do_not_disturb_each_other() {
    let (_bed, slice) = slice();
    slice.update(A, 1, |value| *value += 1).unwrap();
    slice.update(B, 2, |value| *value += 1).unwrap();
    assert_eq!(slice.get(A, &3).unwrap(), slice.get(B, &3).unwrap());
    slice.apply(A);
    assert!(slice.is_current(B));
    slice.apply(B);
    assert_eq!((slice.get(A, &1).unwrap(), slice.get(A, &2).unwrap()), (Some(11), Some(11)));
}

#[test]
fn nobody_sees_what_is_in_another_hand() {
    let (_bed, slice) = slice();
    slice.update(A, 1, |value| *value += 1).unwrap();
    slice.remove(A, &2).unwrap();
    slice.insert(A, 9, 9).unwrap();
    assert_eq!(slice.get(B, &1).unwrap(), Some(10));
    assert_eq!(slice.get(B, &2).unwrap(), Some(10));
    assert_eq!(slice.get(B, &9).unwrap(), None);
    assert_eq!((slice.len(A).unwrap(), slice.len(B).unwrap()), (5, 5));
    assert_eq!(slice.scan(B, KeyRange::all()).unwrap().map(|row| row.unwrap().0).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(slice.scan(A, KeyRange::all()).unwrap().map(|row| row.unwrap().0).collect::<Vec<_>>(), [0, 1, 3, 4, 9]);
}

/// Checks that an event that ran `use_row` is outdated by another event's change of row 1.
fn is_outdated_by_a_change(use_row: impl Fn(&Slice<u16, u64>)) {
    let (_bed, slice) = slice();
    use_row(&slice);
    assert!(slice.is_current(A));
    slice.update(B, 1, |value| *value += 1).unwrap();
    assert!(slice.is_current(A) && slice.is_current(B));
    slice.apply(B);
    assert!(!slice.is_current(A));
    slice.discard(A);
    assert!(slice.is_current(A));
    // When it runs again, it sees the other event's change.
    use_row(&slice);
    assert!(slice.is_current(A));
    slice.apply(A);
}

#[test]
fn an_event_is_outdated_when_another_changes_a_row_it_used() {
    is_outdated_by_a_change(|slice| {
        slice.get(A, &1).unwrap();
    });
    is_outdated_by_a_change(|slice| {
        slice.contains_key(A, &1).unwrap();
    });
    is_outdated_by_a_change(|slice| {
        slice.insert(A, 1, 5).unwrap();
    });
    is_outdated_by_a_change(|slice| {
        slice.remove(A, &1).unwrap();
    });
    is_outdated_by_a_change(|slice| slice.update(A, 1, |value| *value += 1).unwrap());
    is_outdated_by_a_change(|slice| slice.update_with(A, 1, |_| ()).unwrap());
    is_outdated_by_a_change(|slice| drop(slice.scan(A, KeyRange::all()).unwrap()));
    is_outdated_by_a_change(|slice| {
        // The row is also noticed among many rows, which are found by hash, and if the event reads
        // it again later.
        (0..50).for_each(|key| {
            slice.get(A, &key).unwrap();
        });
        slice.insert(A, 60, 1).unwrap();
        slice.get(A, &1).unwrap();
    });
}

#[test]
fn two_increments_in_hand_do_not_lose_one() {
    let (_bed, slice) = slice();
    for txn in [A, B] {
        slice.update(txn, 1, |value| *value += 1).unwrap();
    }
    slice.apply(A);
    assert!(!slice.is_current(B));
    slice.discard(B);
    slice.update(B, 1, |value| *value += 1).unwrap();
    assert!(slice.is_current(B));
    slice.apply(B);
    assert_eq!(slice.get(A, &1).unwrap(), Some(12));
}

#[test]
fn a_row_that_comes_where_another_saw_none_is_a_change() {
    let (_bed, slice) = slice();
    assert_eq!(slice.get(A, &50).unwrap(), None);
    slice.insert(B, 50, 1).unwrap();
    slice.apply(B);
    assert!(!slice.is_current(A));
}

#[test]
fn a_length_is_outdated_when_it_changes() {
    let (_bed, slice) = slice();
    assert_eq!(slice.len(A).unwrap(), 5);
    slice.update(B, 1, |value| *value += 1).unwrap();
    slice.apply(B);
    assert!(slice.is_current(A));
    slice.insert(B, 9, 1).unwrap();
    slice.apply(B);
    assert!(!slice.is_current(A));
    // The event is outdated by what it saw first. A later look does not fix that.
    assert_eq!(slice.len(A).unwrap(), 6);
    assert!(!slice.is_current(A));
}

#[test]
fn a_failed_event_outdates_nobody() {
    let (_bed, slice) = slice();
    slice.get(A, &1).unwrap();
    drop(slice.scan(A, KeyRange::all()).unwrap());
    slice.update(B, 1, |value| *value += 1).unwrap();
    slice.discard(B);
    assert!(slice.is_current(A));
    // The same holds for an event that only read, or removed a row that does not exist.
    slice.get(B, &1).unwrap();
    slice.remove(B, &77).unwrap();
    slice.apply(B);
    assert!(slice.is_current(A));
}

#[test]
fn a_commit_outdates_nobody() {
    let (bed, slice) = slice();
    slice.get(A, &1).unwrap();
    drop(slice.scan(A, KeyRange::all()).unwrap());
    slice.len(A).unwrap();
    commit(&bed.store, &slice);
    assert!(slice.is_current(A));
}

#[test]
fn serial_events_are_always_current() {
    let bed = memory(layout(&["counts"]));
    let slice = serial(&bed.store, 10);
    slice.get(A, &1).unwrap();
    slice.insert(A, 1, 1).unwrap();
    assert!(slice.is_current(A));
}
