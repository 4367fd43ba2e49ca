//! Tests of the check, with files that LMDB wrote and files that were then damaged.

use std::fs;
use std::path::PathBuf;

use heed::{Env, EnvFlags, EnvOpenOptions, WithoutTls};
use tempfile::TempDir;

use super::*;
use crate::SealedTable;

/// A generator of numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

struct Base {
    folder: TempDir,
}

#[allow(unsafe_code)]
impl Base {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("data.mdb")
    }

    fn open(&self, flags: EnvFlags) -> Env<WithoutTls> {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(64 << 20).max_dbs(4);
        // SAFETY: nobody else has the file.
        unsafe { options.flags(flags).open(self.folder.path()).unwrap() }
    }

    /// Returns a file of two tables, in which rows of all lengths came and went in many
    /// transactions.
    fn filled(flags: EnvFlags, rounds: u32) -> Self {
        let base = Self::new();
        let env = base.open(flags);
        let mut random = Random(7);
        let mut next = move |below| random.below(below);
        for round in 0..rounds {
            let mut txn = env.write_txn().unwrap();
            for name in ["small", "large"] {
                let table = SealedTable::create(&env, &mut txn, name).unwrap();
                for _ in 0..200 {
                    let key = format!("{:05}{}", next(4000), "k".repeat(next(300) as usize));
                    let length = if name == "large" { next(12_000) } else { next(60) };
                    match next(3) {
                        0 => table.delete(&mut txn, key.as_bytes()).unwrap(),
                        _ => table.put(&mut txn, key.as_bytes(), &vec![round as u8; length as usize]).unwrap(),
                    }
                }
                if round % 10 == 9 {
                    let (from, to) = (format!("{:05}", next(2000)), format!("{:05}", 2000 + next(2000)));
                    let range = (std::ops::Bound::Included(from.as_bytes()), std::ops::Bound::Excluded(to.as_bytes()));
                    table.delete_range(&mut txn, &range).unwrap();
                }
            }
            txn.commit().unwrap();
            base.check().unwrap_or_else(|error| panic!("after round {round}: {error}"));
        }
        base
    }

    fn check(&self) -> Result<Content, CheckError> {
        check(&self.file())
    }
}

#[test]
fn a_file_that_lmdb_wrote_is_sound() {
    for flags in [EnvFlags::empty(), EnvFlags::WRITE_MAP | EnvFlags::NO_SYNC] {
        let base = Base::new();
        drop(base.open(flags));
        assert_eq!(base.check().unwrap(), Content::default());
        let base = Base::filled(flags, 60);
        assert_eq!(base.check().unwrap().tables, BTreeSet::from(["large".to_owned(), "small".to_owned()]));
    }
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let base = Base::new();
    for bytes in [vec![], vec![0; 100], vec![0; 1 << 16], vec![0xff; 1 << 16], b"{}".repeat(9000)] {
        fs::write(base.file(), bytes).unwrap();
        assert!(matches!(base.check(), Err(CheckError::Damaged(_))));
    }
    fs::remove_file(base.file()).unwrap();
    assert!(matches!(base.check(), Err(CheckError::Io(_))));
}

/// Guards the memory: each page that a value claims is noted, so a made-up number of pages must not
/// fill the memory.
#[test]
fn a_value_with_more_pages_than_the_file_is_refused() {
    let base = Base::filled(EnvFlags::empty(), 6);
    let mut bytes = fs::read(base.file()).unwrap();
    let page_size = 4096;
    let begins_a_value = |page: &&[u8]| page[10..12] == [4, 0] && page[12] > 0;
    let number = bytes.chunks_exact(page_size).skip(2).position(|page| begins_a_value(&page)).unwrap() + 2;
    bytes[page_size * number + 12..][..4].copy_from_slice(&0x00ff_ffff_u32.to_le_bytes());
    for header in [0, page_size] {
        let last_page = header + page::PAGE_HEADER + 120;
        bytes[last_page..][..8].copy_from_slice(&u64::from(u32::MAX).to_le_bytes());
    }
    fs::write(base.file(), bytes).unwrap();
    let told = base.check().unwrap_err().to_string();
    assert!(told.contains("cut off"), "{told}");
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    let base = Base::filled(EnvFlags::empty(), 20);
    let bytes = fs::read(base.file()).unwrap();
    // Some of the pages at the end are free, others are not.
    for length in (0..bytes.len() - (256 << 10)).step_by(4096 * 7 + 100) {
        fs::write(base.file(), &bytes[..length]).unwrap();
        let damage = base.check().unwrap_err();
        assert!(matches!(damage, CheckError::Damaged(_)), "{length}: {damage}");
    }
}

/// Checks that LMDB reads a file that passes as it was before: the flipped bit was in a place that
/// nothing reaches.
#[test]
fn a_flipped_bit_is_found_or_does_no_harm() {
    let base = Base::filled(EnvFlags::empty(), 6);
    let sound = fs::read(base.file()).unwrap();
    let rows = all_rows(&base);
    let (mut told, mut random) = (0, Random(1));
    for _ in 0..400 {
        let mut bytes = sound.clone();
        let (place, bit) = (random.below(bytes.len() as u64) as usize, random.below(8));
        bytes[place] ^= 1 << bit;
        fs::write(base.file(), bytes).unwrap();
        match base.check() {
            Ok(_) => assert_eq!(all_rows(&base), rows, "byte {place}, bit {bit}"),
            Err(CheckError::Damaged(_)) => told += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(told > 100, "{told}");
}

fn all_rows(base: &Base) -> Vec<(Vec<u8>, Vec<u8>)> {
    let env = base.open(EnvFlags::empty());
    let txn = env.read_txn().unwrap();
    let mut rows = Vec::new();
    for name in ["small", "large"] {
        let table = SealedTable::open(&env, &txn, name).unwrap().unwrap();
        for row in table.iter(&txn).unwrap() {
            let (key, value) = row.unwrap();
            rows.push((key.to_vec(), value.to_vec()));
        }
    }
    rows
}
