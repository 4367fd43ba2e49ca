//! Random programs over a slice, compared with a model of maps. A program begins, applies and
//! discards events, flushes and commits. It also crashes, after which only the committed store is
//! left.

mod fixture;

use std::collections::BTreeMap;
use std::ops::Bound;

use fixture::*;
use marlowe_state::*;
use proptest::prelude::*;

const HANDS: u32 = 3;
const KEYS: u16 = 24;

#[derive(Clone, Debug)]
enum Step {
    Get(u32, u16),
    Contains(u32, u16),
    Insert(u32, u16, u64),
    Remove(u32, u16),
    Update(u32, u16, u64),
    /// An update that removes an even value, adds one to an odd value, and sets an absent one to
    /// zero.
    UpdateWith(u32, u16),
    /// An update of one row from within an update of another row, or of the same row.
    Nested(u32, u16, u16),
    Scan(u32, u16, u16),
    /// A scan during which the event also writes.
    ScanAndWrite(u32, u16),
    Len(u32),
    End(u32),
    Discard(u32),
    Flush,
    Commit,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let (txn, key, value) = (0..HANDS, 0..KEYS, 0..9_u64);
    prop_oneof![
        4 => (txn.clone(), key.clone()).prop_map(|(txn, key)| Step::Get(txn, key)),
        1 => (txn.clone(), key.clone()).prop_map(|(txn, key)| Step::Contains(txn, key)),
        4 => (txn.clone(), key.clone(), value.clone()).prop_map(|(txn, key, value)| Step::Insert(txn, key, value)),
        4 => (txn.clone(), key.clone()).prop_map(|(txn, key)| Step::Remove(txn, key)),
        6 => (txn.clone(), key.clone(), value).prop_map(|(txn, key, value)| Step::Update(txn, key, value)),
        3 => (txn.clone(), key.clone()).prop_map(|(txn, key)| Step::UpdateWith(txn, key)),
        1 => (txn.clone(), key.clone(), key.clone()).prop_map(|(txn, a, b)| Step::Nested(txn, a, b)),
        2 => (txn.clone(), key.clone(), key.clone()).prop_map(|(txn, from, to)| Step::Scan(txn, from, to)),
        1 => (txn.clone(), key).prop_map(|(txn, key)| Step::ScanAndWrite(txn, key)),
        1 => txn.clone().prop_map(Step::Len),
        7 => txn.clone().prop_map(Step::End),
        2 => txn.prop_map(Step::Discard),
        2 => Just(Step::Flush),
        3 => Just(Step::Commit),
        1 => Just(Step::Crash),
    ]
}

type Map = BTreeMap<u16, u64>;

/// The reads and writes of one event, in the model.
#[derive(Default)]
struct Event {
    writes: BTreeMap<u16, Option<u64>>,
    /// The rows that the event used, each with its number of changes when the event first used it.
    used: BTreeMap<u16, u64>,
    scanned: Option<u64>,
    counted: Option<usize>,
}

/// The slice as maps.
#[derive(Default)]
struct Model {
    committed: Map,
    in_flight: Option<Map>,
    finished: Map,
    changes: BTreeMap<u16, u64>,
    changed_events: u64,
    events: [Event; HANDS as usize],
}

impl Model {
    fn seen(&self, txn: u32) -> Map {
        let mut map = self.finished.clone();
        for (key, value) in &self.events[txn as usize].writes {
            match value {
                Some(value) => map.insert(*key, *value),
                None => map.remove(key),
            };
        }
        map
    }

    fn get(&mut self, txn: u32, key: u16) -> Option<u64> {
        let changes = self.changes.get(&key).copied().unwrap_or_default();
        self.events[txn as usize].used.entry(key).or_insert(changes);
        self.seen(txn).get(&key).copied()
    }

    fn put(&mut self, txn: u32, key: u16, value: Option<u64>) -> Option<u64> {
        let before = self.get(txn, key);
        let writes = &mut self.events[txn as usize].writes;
        if value.is_none() && !self.finished.contains_key(&key) {
            writes.remove(&key);
        } else {
            writes.insert(key, value);
        }
        before
    }

    fn is_current(&self, txn: u32) -> bool {
        let event = &self.events[txn as usize];
        event.used.iter().all(|(key, changes)| self.changes.get(key).copied().unwrap_or_default() == *changes)
            && event.scanned.is_none_or(|version| version == self.changed_events)
            && event.counted.is_none_or(|count| count == self.finished.len())
    }

    fn apply(&mut self, txn: u32) {
        self.finished = self.seen(txn);
        let event = std::mem::take(&mut self.events[txn as usize]);
        self.changed_events += u64::from(!event.writes.is_empty());
        for key in event.writes.keys() {
            *self.changes.entry(*key).or_default() += 1;
        }
    }
}

fn run(bed: &Bed, isolation: SliceIsolation, cache_rows: usize, program: Vec<Step>) {
    let new = || slice_of(&bed.store, Numbers, cache_rows, isolation);
    let serial = isolation == SliceIsolation::Serial;
    let mut slice = new();
    let mut model = Model::default();
    let mut flushed: Option<Rows> = None;
    for step in program {
        // With serial isolation there is only one event at a time.
        let on = |txn: u32| if serial { 0 } else { txn };
        match step {
            Step::Get(txn, key) => {
                assert_eq!(slice.get(TxnSlot(on(txn)), &key).unwrap(), model.get(on(txn), key));
            }
            Step::Contains(txn, key) => {
                assert_eq!(slice.contains_key(TxnSlot(on(txn)), &key).unwrap(), model.get(on(txn), key).is_some());
            }
            Step::Insert(txn, key, value) => {
                let before = slice.insert(TxnSlot(on(txn)), key, value).unwrap();
                assert_eq!(before, model.put(on(txn), key, Some(value)));
            }
            Step::Remove(txn, key) => {
                assert_eq!(slice.remove(TxnSlot(on(txn)), &key).unwrap(), model.put(on(txn), key, None));
            }
            Step::Update(txn, key, value) => {
                slice.update(TxnSlot(on(txn)), key, |old| *old = *old * 3 + value).unwrap();
                let old = model.get(on(txn), key).unwrap_or_default();
                model.put(on(txn), key, Some(old.wrapping_mul(3) + value));
            }
            Step::UpdateWith(txn, key) => {
                let next = |old: Option<u64>| match old {
                    Some(old) if old % 2 == 0 => None,
                    old => Some(old.map_or(0, |old| old + 1)),
                };
                slice.update_with(TxnSlot(on(txn)), key, |value| *value = next(*value)).unwrap();
                let old = model.get(on(txn), key);
                model.put(on(txn), key, next(old));
            }
            Step::Nested(txn, outer, inner) => {
                let txn = on(txn);
                let write = |old: &mut u64| {
                    *old += 1;
                    slice.update(TxnSlot(txn), inner, |value| *value += 10).unwrap();
                };
                slice.update(TxnSlot(txn), outer, write).unwrap();
                let old = model.get(txn, outer).unwrap_or_default();
                let inside = model.get(txn, inner).unwrap_or_default();
                model.put(txn, inner, Some(inside + 10));
                model.put(txn, outer, Some(old + 1));
            }
            Step::Scan(txn, from, to) => {
                let bound = |key: u16| Bound::Included(key.to_be_bytes().to_vec());
                let range = KeyRange { start: bound(from), end: bound(to) };
                let rows: Vec<_> = slice.scan(TxnSlot(on(txn)), range).unwrap().map(Result::unwrap).collect();
                let seen = model.seen(on(txn)).into_iter().filter(|(key, _)| (from..=to).contains(key));
                assert_eq!(rows, seen.collect::<Vec<_>>());
                model.events[on(txn) as usize].scanned.get_or_insert(model.changed_events);
            }
            Step::ScanAndWrite(txn, key) => {
                let txn = on(txn);
                let seen: Vec<_> = model.seen(txn).into_iter().collect();
                model.events[txn as usize].scanned.get_or_insert(model.changed_events);
                let mut rows = Vec::new();
                for row in slice.scan(TxnSlot(txn), KeyRange::all()).unwrap() {
                    rows.push(row.unwrap());
                    let next = (key + rows.len() as u16) % KEYS;
                    let value = (!next.is_multiple_of(3)).then_some(rows.len() as u64);
                    let before = match value {
                        Some(value) => slice.insert(TxnSlot(txn), next, value).unwrap(),
                        None => slice.remove(TxnSlot(txn), &next).unwrap(),
                    };
                    assert_eq!(before, model.put(txn, next, value));
                }
                assert_eq!(rows, seen);
            }
            Step::Len(txn) => {
                let len = slice.len(TxnSlot(on(txn))).unwrap();
                // An event that is outdated already will run again, whatever it counts.
                if serial || model.is_current(on(txn)) {
                    assert_eq!(len, model.seen(on(txn)).len() as u64);
                }
                model.events[on(txn) as usize].counted.get_or_insert(model.finished.len());
            }
            Step::End(txn) => {
                let txn = on(txn);
                let current = slice.is_current(TxnSlot(txn));
                assert_eq!(current, serial || model.is_current(txn));
                if current {
                    slice.apply(TxnSlot(txn));
                    model.apply(txn);
                } else {
                    slice.discard(TxnSlot(txn));
                    model.events[txn as usize] = Event::default();
                }
            }
            Step::Discard(txn) => {
                slice.discard(TxnSlot(on(txn)));
                model.events[on(txn) as usize] = Event::default();
            }
            Step::Flush | Step::Commit if flushed.is_none() => {
                let rows = flush(&slice);
                let mut keys: Vec<_> = rows.iter().map(|(key, _)| key.to_vec()).collect();
                keys.sort();
                keys.dedup();
                assert_eq!(keys.len(), rows.len(), "a row was flushed twice");
                assert_eq!(slice.uncommitted_rows(), 0);
                model.in_flight = Some(model.finished.clone());
                flushed = Some(rows);
                if matches!(step, Step::Commit) {
                    finish(bed, &slice, &mut model, &mut flushed);
                }
            }
            Step::Flush => {}
            Step::Commit => finish(bed, &slice, &mut model, &mut flushed),
            Step::Crash => {
                slice = new();
                flushed = None;
                model = Model {
                    finished: model.committed.clone(),
                    committed: std::mem::take(&mut model.committed),
                    ..Model::default()
                };
            }
        }
        let waiting = slice.uncommitted_rows() + flushed.as_ref().map_or(0, Rows::len);
        let pinned = model.events.iter().map(|event| event.used.len()).sum::<usize>();
        if waiting == 0 && pinned == 0 {
            // The cache may exceed its bound until the next commit, but it never has more rows than
            // there are keys.
            assert!(slice.stats().rows <= usize::from(KEYS));
        }
    }
}

fn finish(bed: &Bed, slice: &Slice<u16, u64>, model: &mut Model, flushed: &mut Option<Rows>) {
    let (Some(rows), Some(committed)) = (flushed.take(), model.in_flight.take()) else { return };
    bed.store.apply(&mut [(TABLE, rows)], &[]).unwrap();
    slice.flushed();
    model.committed = committed;
    let scan = bed.store.scan(TABLE, &KeyRange::all(), 1_000, SLOT).unwrap();
    let stored: Map = scan
        .rows
        .iter()
        .map(|(key, value)| {
            let key = u16::from_be_bytes(key.try_into().unwrap());
            (key, u64::from_be_bytes(value.unwrap().try_into().unwrap()))
        })
        .collect();
    assert_eq!(stored, model.committed);
}

fn programs(cases: u32, make: &dyn Fn(StoreLayout) -> Bed) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let isolation = prop_oneof![Just(SliceIsolation::Serial), Just(SliceIsolation::Optimistic)];
    let program = proptest::collection::vec(step(), 1..200);
    proptest!(config, |(isolation in isolation, cache_rows in 1_usize..10, program in program)| {
        run(&make(layout(&["counts"])), isolation, cache_rows, program);
    });
}

#[test]
fn random_programs_over_the_memory_store() {
    programs(600, &memory);
}

#[test]
fn random_programs_over_the_lmdb_store() {
    programs(80, &lmdb);
}
