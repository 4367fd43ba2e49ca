//! Copies of an environment, for backups. Another process may be writing to the environment.

use std::fs::{self, File};
use std::path::Path;

use heed::{CompactionOption, EnvFlags, EnvOpenOptions};

use crate::check::{Content, check};
use crate::damage::{CheckError, Damage};

/// The number of attempts at a copy. A process that opens the environment removes the readers that
/// were there before. So a copy that is under way at that moment may lose its snapshot, and is
/// damaged then.
const TRIES: u32 = 3;

/// The smallest size of the memory map, in bytes. The map is larger than the file because the file
/// may grow while it is opened.
const SMALLEST_MAP: usize = 1 << 30;

/// Copies the environment in the folder `from` to the new file `to`. The copy is one snapshot. When
/// this returns, the copy is checked and on the disk.
///
/// Another process may have the environment open and write to it. This process must not have it
/// open.
///
/// # Errors
/// If the environment is damaged or does not exist, or if the system refuses. Then nothing is left
/// at `to`.
pub fn copy(from: &Path, to: &Path) -> Result<Content, CheckError> {
    let mut tried = 1;
    loop {
        let copied = try_copy(from, to);
        if copied.is_err() {
            // Fails if there is no file, which is fine.
            let _ = fs::remove_file(to);
        }
        match copied {
            Err(CheckError::Damaged(_)) if tried < TRIES => tried += 1,
            copied => return copied,
        }
    }
}

fn try_copy(from: &Path, to: &Path) -> Result<Content, CheckError> {
    let length = fs::metadata(from.join("data.mdb"))?.len();
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(usize::try_from(length).unwrap_or(usize::MAX).saturating_mul(2).max(SMALLEST_MAP));
    // SAFETY: the file is mapped, and others change it through LMDB alone. LMDB's locks are in
    // force. A damaged file does no harm, because only the system reads from the map. Where the map
    // has no file behind it, the system returns an error.
    #[allow(unsafe_code)]
    let env = unsafe { options.flags(EnvFlags::READ_ONLY).open(from) }.map_err(told)?;
    let file: File = env.copy_to_path(to, CompactionOption::Disabled).map_err(told)?;
    file.sync_all()?;
    check(to)
}

fn told(error: heed::Error) -> CheckError {
    match error {
        heed::Error::Io(error) => CheckError::Io(error),
        error => CheckError::Damaged(Damage::new(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use heed::{Env, WithoutTls};

    use super::*;
    use crate::SealedTable;

    #[allow(unsafe_code)]
    fn open(folder: &Path) -> Env<WithoutTls> {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(1 << 24).max_dbs(2);
        // SAFETY: nobody else has the file.
        unsafe { options.open(folder) }.unwrap()
    }

    #[test]
    fn a_copy_has_all_rows_and_a_damaged_one_is_refused() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = to.path().join("data.mdb");
        assert!(matches!(copy(from.path(), &file), Err(CheckError::Io(error)) if error.kind() == ErrorKind::NotFound));
        assert_eq!(fs::read_dir(from.path()).unwrap().count(), 0, "looking leaves nothing behind");

        let env = open(from.path());
        let mut txn = env.write_txn().unwrap();
        let table = SealedTable::create(&env, &mut txn, "rows").unwrap();
        for number in 0..5_000_u32 {
            table.put(&mut txn, &number.to_be_bytes(), &[7; 100]).unwrap();
        }
        txn.commit().unwrap();
        env.prepare_for_closing().wait();
        let content = copy(from.path(), &file).unwrap();
        assert_eq!(content.tables.into_iter().collect::<Vec<_>>(), ["rows"]);

        let copied = open(to.path());
        let txn = copied.read_txn().unwrap();
        let table = SealedTable::open(&copied, &txn, "rows").unwrap().unwrap();
        assert_eq!(table.len(&txn).unwrap(), 5_000);
        assert_eq!(table.get(&txn, &4_999_u32.to_be_bytes()).unwrap(), Some(&[7; 100][..]));
        drop(txn);
        copied.prepare_for_closing().wait();

        // Cuts off half of the file.
        let data = from.path().join("data.mdb");
        let length = fs::metadata(&data).unwrap().len();
        File::options().write(true).open(&data).unwrap().set_len(length / 2).unwrap();
        assert!(matches!(copy(from.path(), &file), Err(CheckError::Damaged(_))));
        assert!(!file.exists());
    }
}
