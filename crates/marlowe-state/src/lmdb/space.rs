use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::StoreError;

/// How much room there is on a disk. An input, as time is, so that a full disk can be had without filling one.
pub trait DiskSpace: Send + Sync {
    /// How many bytes this user may still write on the disk that `folder` is on.
    fn available(&self, folder: &Path) -> io::Result<u64>;

    /// Sets the bytes from `start` on aside for `file`, so that writing there cannot find the disk full.
    fn reserve(&self, file: &File, start: u64, len: u64) -> io::Result<()>;
}

/// The disk as the system knows it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDiskSpace;

#[cfg(unix)]
impl DiskSpace for SystemDiskSpace {
    fn available(&self, folder: &Path) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(folder)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_vendor = "apple"))]
    fn reserve(&self, file: &File, start: u64, len: u64) -> io::Result<()> {
        rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), start, len)?;
        Ok(())
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_vendor = "apple")))]
    fn reserve(&self, _file: &File, _start: u64, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(not(unix))]
impl DiskSpace for SystemDiskSpace {
    fn available(&self, _folder: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn reserve(&self, _file: &File, _start: u64, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Stands before every batch that is written through the memory map.
///
/// There a write that finds the disk full is not an error but a signal (`SIGBUS`), and the end of the process. So the
/// room for the batch is made sure of first. While the disk has plenty, asking for its free space is enough; when it runs
/// low the bytes are set aside in the file, which holds also against others who fill the disk meanwhile.
pub(super) struct SpaceGuard {
    folder: PathBuf,
    data: File,
    disk: Arc<dyn DiskSpace>,
}

/// What must be free beside twice the batch for the disk to have plenty: room for the other shards' batches.
const PLENTY: u64 = 1 << 30;

impl SpaceGuard {
    pub(super) fn new(folder: &Path, data: File, disk: Arc<dyn DiskSpace>) -> Self {
        Self { folder: folder.to_owned(), data, disk }
    }

    /// Makes sure of `len` bytes from `start` on.
    pub(super) fn secure(&self, start: u64, len: u64) -> Result<(), StoreError> {
        const ACTION: &str = "make sure of the disk space for a batch";
        let failed = |error: &io::Error| StoreError::io(ACTION, &self.folder, error);
        let available = self.disk.available(&self.folder).map_err(|error| failed(&error))?;
        if available >= len.saturating_mul(2).saturating_add(PLENTY) {
            return Ok(());
        }
        match self.disk.reserve(&self.data, start, len) {
            Ok(()) => Ok(()),
            // Not every file system can; there the count of free bytes has to do.
            Err(error) if error.kind() == io::ErrorKind::Unsupported && available >= len => Ok(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::StorageFull) => {
                Err(StoreError::Storage {
                    action: ACTION,
                    path: self.folder.clone(),
                    reason: format!(
                        "it may take up to {len} bytes and the disk has {available} left: free some space there, or \
                         move the data folder to another disk; nothing of the batch was written"
                    ),
                })
            }
            Err(error) => Err(failed(&error)),
        }
    }
}
