//! A measurement of what a slice and the stores below it cost, in nanoseconds. Run it with
//! `cargo run --release -p marlowe-state --example slice_cost`.
//!
//! An event is one `update` of a `u64` under a key of ten bytes, and one `apply`. For comparison,
//! the same is measured on a bare hash map.

// A measurement needs the real clock.
#![allow(clippy::disallowed_methods)]

use std::hint::black_box;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use hashbrown::HashMap;
use marlowe_state::*;

struct StringToU64;

impl RowFormat<String, u64> for StringToU64 {
    fn encode_key(&self, key: &String, out: &mut Vec<u8>) {
        out.extend_from_slice(key.as_bytes());
    }
    fn decode_key(&self, bytes: &[u8]) -> Result<String, FormatError> {
        String::from_utf8(bytes.to_vec()).map_err(|error| FormatError(error.to_string()))
    }
    fn encode_topic_key(&self, key: &String, out: &mut Vec<u8>) {
        self.encode_key(key, out);
    }
    fn same_key_bytes(&self) -> bool {
        true
    }
    fn encode_value(&self, value: &u64, out: &mut Vec<u8>) -> Result<(), FormatError> {
        out.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }
    fn decode_value(&self, bytes: &[u8]) -> Result<u64, FormatError> {
        bytes.try_into().map(u64::from_be_bytes).map_err(|_| FormatError(format!("{} bytes", bytes.len())))
    }
}

fn layout() -> StoreLayout {
    StoreLayout { tables: vec!["counts".into()], slots: 1 }
}

fn slice(store: Arc<dyn Store>, cache_rows: usize, isolation: SliceIsolation) -> Slice<String, u64> {
    let config = SliceConfig { store, table: TableIndex(0), slot: PositionSlot(0), cache_rows, isolation };
    Slice::new(config, Box::new(StringToU64), None)
}

/// Returns the key with the number `number`. The order of the keys has nothing to do with their
/// numbers. The string is new each time, as in an event.
fn key(number: u64) -> String {
    let mut rest = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000_000_007;
    let mut bytes = *b"k000000000";
    for byte in bytes[1..].iter_mut().rev() {
        *byte += (rest % 10) as u8;
        rest /= 10;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn timed(what: &str, each: u64, work: impl FnOnce()) {
    let start = cpu_time();
    work();
    println!("{what:<56} {:8.1} ns", (cpu_time() - start) as f64 / each as f64);
}

/// Returns the nanoseconds that this thread has run, because a busy machine disturbs those less.
/// Returns wall time if the system does not report them.
fn cpu_time() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let told = told.and_then(|line| line.split_whitespace().next()?.parse().ok());
    told.unwrap_or_else(|| START.elapsed().as_nanos() as u64)
}

fn events(keys: u64) {
    const EVENTS: u64 = 5_000_000;
    let mut order = 1_u64;
    let mut draw = || {
        order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        key((order >> 33) % keys)
    };
    timed(&format!("{keys} keys: the keys alone"), EVENTS, || {
        for _ in 0..EVENTS {
            black_box(draw());
        }
    });

    let mut map: HashMap<String, u64, foldhash::fast::RandomState> = HashMap::default();
    for number in 0..keys {
        map.insert(key(number), 0);
    }
    timed(&format!("{keys} keys: and a hash map"), EVENTS, || {
        for _ in 0..EVENTS {
            *map.entry(draw()).or_default() += 1;
        }
    });
    drop(map);

    for (name, isolation) in [("a serial", SliceIsolation::Serial), ("an optimistic", SliceIsolation::Optimistic)] {
        let store = Arc::new(MemoryStore::new(layout()));
        let slice = slice(store, keys as usize * 2, isolation);
        for number in 0..keys {
            slice.update(TxnSlot::SERIAL, key(number), |n| *n = 0).unwrap();
            slice.apply(TxnSlot::SERIAL);
        }
        timed(&format!("{keys} keys: and {name} slice, update and apply"), EVENTS, || {
            for _ in 0..EVENTS {
                slice.update(TxnSlot::SERIAL, draw(), |n| *n += 1).unwrap();
                slice.apply(TxnSlot::SERIAL);
            }
        });
        if keys < 100_000 {
            // A flush of so few rows is too short to be measured.
            continue;
        }
        let mut rows = Rows::new();
        timed(&format!("{keys} keys: {name} slice, flush of a row"), keys, || {
            slice.flush(&mut |row| rows.push(row.store_key, row.value)).unwrap();
            slice.flushed();
        });
    }
}

/// Measures reads that miss the cache, which has the default size. The store has a million rows,
/// and each event reads another row.
fn misses(name: &str, store: Arc<dyn Store>) {
    let slice = slice(Arc::clone(&store), SliceConfig::DEFAULT_CACHE_ROWS, SliceIsolation::Serial);
    let names: Vec<String> = (0..1_000_000).map(|n| key((n * 7_919) % 1_000_000)).collect();
    timed(&format!("{name}: get of a row not in the cache"), 1_000_000, || {
        for name in &names {
            black_box(slice.get(TxnSlot::SERIAL, name).unwrap());
            slice.apply(TxnSlot::SERIAL);
        }
    });
}

fn batches(name: &str, store: &dyn Store) {
    let rows_of = |numbers: &mut dyn Iterator<Item = u64>| {
        let mut rows = Rows::new();
        for number in numbers {
            rows.push(key(number).as_bytes(), Some(&number.to_be_bytes()));
        }
        rows
    };
    for chunk in 0..5_u64 {
        let rows = rows_of(&mut (chunk * 200_000..(chunk + 1) * 200_000));
        let mut changes = [(TableIndex(0), rows)];
        timed(&format!("{name}: restore, row of chunk {chunk} of 200k, unsorted"), 200_000, || {
            store.apply(&mut changes, &[]).unwrap();
        });
    }
    for round in 0..3_u64 {
        let mut rows = rows_of(&mut (0..200_000).map(|n| (n * 5 + round) % 1_000_000));
        if round == 2 {
            rows.sort();
        }
        let how = if round == 2 { "sorted" } else { "unsorted" };
        let mut changes = [(TableIndex(0), rows)];
        timed(&format!("{name}: row of a batch of 200k of 1M, {how}"), 200_000, || {
            store.apply(&mut changes, &[(PositionSlot(0), SlicePosition::default())]).unwrap();
        });
    }
    let rows = rows_of(&mut (0..1_000).map(|n| n * 997 % 1_000_000));
    let mut changes = [(TableIndex(0), rows)];
    timed(&format!("{name}: row of a batch of 1k of 1M"), 1_000, || store.apply(&mut changes, &[]).unwrap());
    timed(&format!("{name}: row of a whole scan in pages of 256"), 1_000_000, || {
        let mut range = KeyRange::all();
        loop {
            let scan = store.scan(TableIndex(0), &range, 256, PositionSlot(0)).unwrap();
            let Some((last, _)) = scan.rows.iter().next_back() else { break };
            range.start = std::ops::Bound::Excluded(last.to_vec());
        }
    });
}

fn main() {
    for keys in [1_000, 125_000, 1_000_000] {
        events(keys);
    }
    let memory = MemoryStore::new(layout());
    batches("memory", &memory);
    misses("memory", Arc::new(memory));
    let folder = tempfile::tempdir().unwrap();
    let lmdb = LmdbStore::open(folder.path(), layout(), LmdbOptions::default()).unwrap();
    batches("lmdb", &lmdb);
    misses("lmdb", Arc::new(lmdb));
}
