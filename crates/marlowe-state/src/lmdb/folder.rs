//! A store's folder: its lock, and its files.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::StoreError;

/// A store's folder, held by this process alone.
pub(super) struct Folder {
    path: PathBuf,
    /// The system releases the lock when the process ends, even if it is killed.
    lock: File,
}

impl Folder {
    /// Takes the folder for this process. Creates it if it does not exist.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let failed = |error: io::Error| StoreError::io("make the store's folder", path, &error);
        fs::create_dir_all(path).map_err(failed)?;
        let lock = File::create(path.join("in-use")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(StoreError::io("lock the store's folder", path, &error)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data.mdb")
    }

    /// Removes LMDB's table of readers. All readers in it are gone, because this process alone has
    /// the folder.
    pub(super) fn forget_readers(&self) -> Result<(), StoreError> {
        self.remove(&self.path.join("lock.mdb"))
    }

    /// Moves damaged data aside and returns its new path. It replaces data that was moved there
    /// before.
    pub(super) fn set_aside(&self) -> Result<PathBuf, StoreError> {
        let aside = self.path.join("damaged.mdb");
        let failed = |error: io::Error| StoreError::io("move the damaged data aside", &self.path, &error);
        fs::rename(self.data(), &aside).map_err(failed)?;
        self.forget_readers()?;
        Ok(aside)
    }

    /// Removes the data.
    pub(super) fn wipe(&self) -> Result<(), StoreError> {
        self.remove(&self.data())?;
        self.forget_readers()
    }

    fn remove(&self, file: &Path) -> Result<(), StoreError> {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("remove the old data", &self.path, &error))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closing the file is not enough: a process that is being started at this moment has the
        // file open too, for an instant. If unlocking fails, closing the file still releases the
        // lock.
        let _ = self.lock.unlock();
    }
}
