//! Disk space: making sure that the disk has room for a batch before the batch is written.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::StoreError;

/// A source of the room that is left on a disk. It is an input, as time is, so that a test can have
/// a full disk without filling one.
pub trait DiskSpace: Send + Sync {
    /// Returns the number of bytes that this user may still write on the disk of `folder`.
    fn available(&self, folder: &Path) -> io::Result<u64>;

    /// Reserves `len` bytes of `file` from `start` on, so that writing them cannot find the disk
    /// full.
    fn reserve(&self, file: &File, start: u64, len: u64) -> io::Result<()>;
}

/// The disk as the system reports it.
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

/// A guard that every batch passes before it is written through the memory map.
///
/// A write through the map that finds the disk full is not an error. It is a signal (`SIGBUS`),
/// which ends the process. So the guard makes sure of the room for the batch first. While the disk
/// has plenty of room, it only asks for the free space. When the disk runs low, it reserves the
/// bytes in the file. Other programs that fill the disk meanwhile cannot take them.
pub(super) struct SpaceGuard {
    folder: PathBuf,
    data: File,
    disk: Arc<dyn DiskSpace>,
}

/// The bytes that must be free in addition to twice the batch, for the disk to have plenty of room.
/// They are for the batches of other shards.
const PLENTY: u64 = 1 << 30;

impl SpaceGuard {
    pub(super) fn new(folder: &Path, data: File, disk: Arc<dyn DiskSpace>) -> Self {
        Self { folder: folder.to_owned(), data, disk }
    }

    /// Makes sure that the disk has room for `len` bytes of the file from `start` on.
    pub(super) fn secure(&self, start: u64, len: u64) -> Result<(), StoreError> {
        const ACTION: &str = "reserve disk space for a batch";
        let failed = |error: &io::Error| StoreError::io(ACTION, &self.folder, error);
        let available = self.disk.available(&self.folder).map_err(|error| failed(&error))?;
        if available >= len.saturating_mul(2).saturating_add(PLENTY) {
            return Ok(());
        }
        match self.disk.reserve(&self.data, start, len) {
            Ok(()) => Ok(()),
            // Not every file system can reserve bytes. There the number of free bytes must do.
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
