//! A process that is killed while it writes leaves a whole store: every row agrees with the
//! position.

mod fixture;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use fixture::*;
use marlowe_state::*;

/// The environment variable with the folder to write in. The test sets it for a second process that
/// runs this same test.
const FOLDER: &str = "MARLOWE_STATE_CRASH_FOLDER";

const KEYS: u64 = 2_000;

/// Returns the rows of a batch. Some are changed, some removed, and some are long.
fn batch(number: u64) -> impl Iterator<Item = (u64, Option<Vec<u8>>)> {
    (0..150_u64).map(move |row| {
        let key = number.wrapping_mul(7_919).wrapping_add(row * row * 31) % KEYS;
        let len = if row % 50 == 7 { 9_000 } else { (number + row) % 90 };
        let value = [number.to_be_bytes().to_vec(), vec![row as u8; len as usize]].concat();
        (key, (!(number + row).is_multiple_of(6)).then_some(value))
    })
}

fn open(folder: &Path) -> LmdbStore {
    LmdbStore::open(folder, layout(&["a", "b"]), LmdbOptions::default()).unwrap()
}

/// Writes batch after batch until the process is killed. Reports each committed batch on stdout.
fn write(folder: &Path) -> ! {
    let store = open(folder);
    let mut number = store.position(SLOT).changelog.get();
    loop {
        number += 1;
        let mut changes = [(TableIndex(0), Rows::new()), (TableIndex(1), Rows::new())];
        for (key, value) in batch(number) {
            changes[(key % 2) as usize].1.push(&key.to_be_bytes(), value.as_deref());
        }
        store.apply(&mut changes, &[(SLOT, position(number)), (PositionSlot(1), position(number))]).unwrap();
        println!("committed {number}");
    }
}

/// Returns the rows of both tables after the batches up to `last`.
fn expected(last: u64) -> [BTreeMap<Vec<u8>, Vec<u8>>; 2] {
    let mut tables = [BTreeMap::new(), BTreeMap::new()];
    for number in 1..=last {
        for (key, value) in batch(number) {
            let table = &mut tables[(key % 2) as usize];
            match value {
                Some(value) => table.insert(key.to_be_bytes().to_vec(), value),
                None => table.remove(&key.to_be_bytes()[..]),
            };
        }
    }
    tables
}

#[test]
fn a_killed_process_leaves_a_store_that_fits_its_position() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        write(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0..12_u64 {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_process_leaves_a_store_that_fits_its_position", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The writer is killed at some moment in a batch after the last one that it reported. The
        // pipe stays open until then.
        let mut told = 0;
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        for line in lines.by_ref() {
            let line = line.unwrap();
            if let Some(number) = line.strip_prefix("committed ") {
                told = number.parse().unwrap();
                if told >= last + 1 + round * round * 3 % 50 {
                    break;
                }
            }
        }
        // Waits a moment more. Its length differs in each round.
        (0..round * 40_000).for_each(|spin| drop(std::hint::black_box(spin.to_string())));
        writer.kill().unwrap();
        let end = writer.wait().unwrap();
        assert!(cfg!(not(unix)) || end.code().is_none(), "it was not killed but ended by itself: {end}");
        for line in lines.map_while(Result::ok) {
            told = line.strip_prefix("committed ").map_or(told, |number| number.parse().unwrap_or(told));
        }

        let store = open(folder.path());
        let found = store.position(SLOT);
        last = found.changelog.get();
        assert!(last >= told && told > 0, "told {told}, found {last}");
        assert_eq!((found, found), (position(last), store.position(PositionSlot(1))));
        for (table, expected) in expected(last).into_iter().enumerate() {
            let table = TableIndex(table as u16);
            let scan = store.scan(table, &KeyRange::all(), KEYS as usize, SLOT).unwrap();
            let rows: BTreeMap<_, _> =
                scan.rows.iter().map(|(key, value)| (key.to_vec(), value.unwrap().to_vec())).collect();
            assert!(rows == expected, "table {table:?} is not as batch {last} left it");
            assert_eq!(store.count(table).unwrap(), expected.len() as u64);
            let bytes: usize = expected.iter().map(|(key, value)| key.len() + value.len()).sum();
            assert_eq!(store.bytes(table).unwrap(), bytes as u64);
        }
    }
}
