//! The target for LMDB's files. LMDB trusts its file, so a file that passes the check must not
//! mislead it: the target opens such a file, reads it and writes to it.

use std::fs;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use heed::{Env, EnvFlags, EnvOpenOptions, WithoutTls};
use marlowe_lmdb::{Content, SealedTable, check};

/// A folder to work in, and the bytes of an intact file.
static BASE: LazyLock<(tempfile::TempDir, Vec<u8>)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("there is room for a file");
    fill(folder.path());
    let sound = fs::read(file(folder.path())).expect("LMDB has written it");
    (folder, sound)
});

/// Changes an intact file and checks it. Returns `None` if the check finds the damage.
///
/// The first two bytes of `input` are the number of 8-byte words after which the file is cut off
/// (0: it is not cut off). Each of the following groups of three bytes is a place in the first 64
/// KiB, and the byte to put there.
///
/// # Panics
/// When the check finds no damage, but the file does not hold what the check says. LMDB may end the
/// process in other ways. Both are findings.
pub(crate) fn run(input: &[u8]) -> Option<()> {
    let (words, edits) = input.split_first_chunk::<2>()?;
    let (folder, sound) = &*BASE;
    let mut bytes = sound.clone();
    let cut_off = usize::from(u16::from_le_bytes(*words));
    if cut_off > 0 {
        bytes.truncate(cut_off * 8);
    }
    for [low, high, byte] in edits.as_chunks::<3>().0 {
        *bytes.get_mut(usize::from(u16::from_le_bytes([*low, *high])))? = *byte;
    }
    fs::write(file(folder.path()), bytes).expect("a file is written");
    let content = check(&file(folder.path())).ok()?;
    work(folder.path(), &content);
    Some(())
}

/// Returns the intact file, and changes that nobody reads.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![vec![0, 0], vec![0, 0, 200, 0, 7], [&[0, 0][..], &[0xff, 0x0f, 1]].concat()]
}

fn file(folder: &Path) -> PathBuf {
    folder.join("data.mdb")
}

fn open(folder: &Path) -> Env<WithoutTls> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(4 << 20).max_dbs(4);
    // SAFETY: nothing else has the folder open.
    #[allow(unsafe_code)]
    unsafe { options.flags(EnvFlags::NO_LOCK | EnvFlags::NO_SYNC).open(folder) }.expect("what passed the check opens")
}

/// Writes and removes rows of all lengths, so that there are trees of two levels, long values and
/// free pages.
fn fill(folder: &Path) {
    let env = open(folder);
    for round in 0..4u32 {
        let mut txn = env.write_txn().expect("a transaction begins");
        for name in ["small", "large"] {
            let table = SealedTable::create(&env, &mut txn, name).expect("a table is made");
            for number in 0..40u32 {
                let key = format!("{:03}{}", (number * 7 + round * 3) % 50, "k".repeat(number as usize));
                let length = if name == "large" { 97 * number } else { number };
                let value = vec![round as u8; length as usize];
                table.put(&mut txn, key.as_bytes(), &value).expect("a row is written");
            }
            let some = (Bound::Included(&b"010"[..]), Bound::Excluded(&b"020"[..]));
            table.delete_range(&mut txn, &some).expect("rows are removed");
        }
        txn.commit().expect("a transaction is committed");
    }
    env.prepare_for_closing().wait();
}

/// Does what a store does with its file: reads all rows, then writes and removes some. The file
/// must then still be intact.
fn work(folder: &Path, content: &Content) {
    let env = open(folder);
    let mut txn = env.write_txn().expect("a transaction begins");
    for name in &content.tables {
        let table = SealedTable::create(&env, &mut txn, name).expect("a table opens");
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for row in table.iter(&txn).expect("a table is read") {
            keys.push(row.expect("each value has its checksum").0.to_vec());
        }
        assert!(keys.is_sorted_by(|before, after| before < after));
        assert_eq!(table.len(&txn).ok(), Some(keys.len() as u64));
        for (number, key) in keys.iter().enumerate() {
            assert!(table.get(&txn, key).is_ok_and(|value| value.is_some()), "each row is found");
            match number % 3 {
                0 => table.delete(&mut txn, key).expect("a row is removed"),
                1 => table.put(&mut txn, key, &vec![7; number * 50]).expect("a row is written"),
                _ => {}
            }
        }
        for number in 0..20u8 {
            table.put(&mut txn, &[number], &vec![number; 300]).expect("a row is written");
        }
    }
    txn.commit().expect("a transaction is committed");
    env.prepare_for_closing().wait();
    let after = check(&file(folder)).expect("LMDB leaves a sound file");
    assert_eq!(&after, content);
}
