//! The memory map of the database: opening it, and making it larger.

use std::io;

use heed::{Env, EnvFlags, EnvOpenOptions, WithoutTls};

use super::failure::{failed, is_damage};
use super::folder::Folder;
use super::{LmdbOptions, SyncPolicy};
use crate::StoreError;

/// The unit of the map's size, in bytes. It is a multiple of every system's page size.
const STEP: usize = 64 << 10;

/// The smallest map that is tried, in bytes. A smaller one would be of no use.
const SMALLEST_MAP: usize = 16 << 20;

/// Maps the folder's database into memory. Returns `None` if the file is not a database, or is
/// damaged.
pub(super) fn open(
    folder: &Folder,
    databases: u32,
    options: &LmdbOptions,
) -> Result<Option<Env<WithoutTls>>, StoreError> {
    let mut map_size = options.map_size.max(STEP).next_multiple_of(STEP);
    loop {
        match open_sized(folder, databases, options, map_size) {
            Ok(env) => return Ok(Some(env)),
            Err(error) if is_damage(&error) => return Ok(None),
            // The system may refuse that many addresses (`ulimit -v`), or the disk that large a
            // file.
            Err(heed::Error::Io(error)) if is_too_large(&error) && map_size / 4 >= SMALLEST_MAP => {
                map_size = (map_size / 4).next_multiple_of(STEP);
            }
            Err(error) => return Err(failed("open the database", folder, error)),
        }
    }
}

#[allow(unsafe_code)]
fn open_sized(
    folder: &Folder,
    databases: u32,
    options: &LmdbOptions,
    map_size: usize,
) -> heed::Result<Env<WithoutTls>> {
    let mut open = EnvOpenOptions::new().read_txn_without_tls();
    open.map_size(map_size).max_dbs(databases).max_readers(options.max_readers);
    let mut flags = EnvFlags::NO_READ_AHEAD;
    if options.sync == SyncPolicy::BootId {
        flags |= EnvFlags::WRITE_MAP | EnvFlags::NO_SYNC;
    }
    // SAFETY: The map is sound as long as no other process changes the file, and this process
    // changes it through LMDB alone. The folder is locked, so no other process of ours has the
    // file. Users must not edit the file by hand, as with every database. NO_SYNC may leave a
    // damaged file behind when the machine goes down. The state file tells so, and such a file is
    // removed before it is ever opened. LMDB's own locks are in force.
    unsafe {
        open.flags(flags);
        open.open(folder.path())
    }
}

/// Doubles the size of the map.
///
/// The caller must hold the map lock exclusively. This means that no transaction is open, neither
/// for reading nor for writing.
#[allow(unsafe_code)]
pub(super) fn grow(env: &Env<WithoutTls>, folder: &Folder) -> Result<(), StoreError> {
    let size = env.info().map_size.saturating_mul(2);
    // SAFETY: LMDB requires that no transaction is open in this process. Every transaction holds
    // the store's map lock shared, and the caller holds it exclusively.
    unsafe { env.resize(size) }.map_err(|error| failed("enlarge the database's map", folder, error))
}

fn is_too_large(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, InvalidInput, OutOfMemory};
    matches!(error.kind(), FileTooLarge | InvalidInput | OutOfMemory)
}
