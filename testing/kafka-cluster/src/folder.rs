//! The folder of a cluster, which does not outlive the cluster's process for long.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::release::root;
use crate::storage::random;

/// The folder of a cluster that ends with its process. Dropping it removes the folder.
///
/// A killed process leaves its folder behind. So each process holds a lock on a file beside its
/// folder, and the operating system releases the lock when the process ends. Each process that
/// creates a folder first removes the folders whose locks nobody holds.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl Folder {
    pub(crate) fn new() -> Result<Folder, Error> {
        let all = root().join("run");
        fs::create_dir_all(&all).map_err(Error::file("create", &all))?;
        remove_left(&all);
        let path = all.join(format!("{}-{:08x}", std::process::id(), random() as u32));
        let lock_path = path.with_extension("lock");
        let lock = File::create(&lock_path).map_err(Error::file("create", &lock_path))?;
        lock.lock().map_err(Error::file("lock", &lock_path))?;
        fs::create_dir(&path).map_err(Error::file("create", &path))?;
        Ok(Folder { path, lock_path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // If this fails, the next process that creates a folder removes it.
        if fs::remove_dir_all(&self.path).is_ok() {
            fs::remove_file(&self.lock_path).ok();
        }
    }
}

/// Removes the folders of processes that have ended. A folder that cannot be removed is left for
/// the next call.
fn remove_left(all: &Path) {
    let Ok(entries) = fs::read_dir(all) else { return };
    for lock_path in entries.flatten().map(|entry| entry.path()) {
        if lock_path.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        let Ok(lock) = File::open(&lock_path) else { continue };
        if lock.try_lock().is_err() {
            continue;
        }
        let path = lock_path.with_extension("");
        if !path.exists() || fs::remove_dir_all(&path).is_ok() {
            fs::remove_file(&lock_path).ok();
        }
    }
}
