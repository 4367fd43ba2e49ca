//! The lock that lets one process at a time open a folder.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use marlowe_broker::BrokerError;

use super::failure::io_failure;

/// The lock on a folder. The system releases it when the process ends, however it ends.
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    pub(crate) fn acquire(folder: &Path) -> Result<Self, BrokerError> {
        let path = folder.join("lock");
        let failed = |error| io_failure("open", &path, &error);
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // If this fails, the message only lacks the process id.
                let _ = file.read_to_string(&mut holder);
                return Err(BrokerError::FolderInUse {
                    folder: folder.display().to_string(),
                    holder: holder.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let note = (|| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        })();
        note.map_err(|error| io_failure("write to", &path, &error))?;
        Ok(Self { _file: file })
    }
}
