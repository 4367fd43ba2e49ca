use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::RunError;

/// The folder of a worker's tables, held by this process alone.
///
/// Its stores are locked each, but a store is open only while its shard is here: two processes in one folder would get into
/// each other's way at the first rebalance only.
pub(crate) struct TablesFolder {
    /// The system lets the lock go when the process ends, also when it is killed.
    lock: File,
}

impl TablesFolder {
    /// The folder of worker `number` below `data_dir`.
    pub(crate) fn path(data_dir: &Path, number: usize) -> PathBuf {
        data_dir.join(format!("tables-{number}"))
    }

    /// Makes the folder if need be, and takes it.
    ///
    /// # Errors
    /// When another process has it, or the system refuses.
    pub(crate) fn take(path: &Path) -> Result<Self, RunError> {
        let failed = |error: std::io::Error| RunError::System {
            doing: format!("use the folder of tables {}", path.display()),
            reason: error.to_string(),
        };
        std::fs::create_dir_all(path).map_err(failed)?;
        let file = path.join("in-use");
        let mut lock =
            File::options().read(true).write(true).create(true).truncate(false).open(file).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Without it the message only lacks the number.
                let _ = lock.read_to_string(&mut holder);
                return Err(RunError::FolderInUse {
                    folder: path.display().to_string(),
                    holder: holder.trim().parse().ok(),
                });
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
        let note = (|| {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        })();
        note.map_err(failed)?;
        Ok(Self { lock })
    }
}

impl Drop for TablesFolder {
    fn drop(&mut self) {
        // Closing the file is not enough: a process that is being started at this moment has it too, for an instant. If
        // unlocking fails the lock goes with the file all the same.
        let _ = self.lock.unlock();
    }
}
