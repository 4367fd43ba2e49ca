use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::release::root;
use crate::storage::random;

/// The folder of a cluster that ends with its process; removed at the end.
///
/// A process that is killed leaves its folder. So a lock, which ends with the process, tells who is still there, and
/// whoever makes the next folder removes those that nobody holds.
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
        // What cannot be removed now is removed by the next one.
        if fs::remove_dir_all(&self.path).is_ok() {
            fs::remove_file(&self.lock_path).ok();
        }
    }
}

/// Removes the folders of processes that are no more. What fails is left to the next one.
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
