//! The options with which a store on disk is opened.

use std::fmt;
use std::sync::Arc;

use super::space::{DiskSpace, SystemDiskSpace};
use super::state_file::system_boot_id;

/// The moment at which a store's data becomes safe against a crash of the machine. Against a crash
/// of the process it is always safe.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SyncPolicy {
    /// At [`close`](crate::Store::close). If the machine goes down before the store is closed, the
    /// store is emptied when it is next opened, and rebuilt from the changelog. The machine's boot
    /// id tells that the machine went down.
    #[default]
    BootId,
    /// At every batch. This is several times slower, but the store is never rebuilt.
    EveryCommit,
}

/// The options of [`LmdbStore::open`](crate::LmdbStore::open).
#[derive(Clone)]
pub struct LmdbOptions {
    /// The moment at which data is synced to the disk.
    pub sync: SyncPolicy,
    /// The length of the file at first, in bytes. The default is 16 MiB, so that a small store is
    /// quickly copied. The file takes no space on the disk until it is used. If the length does not
    /// suffice, it is doubled. If the system refuses that much, less is taken.
    pub map_size: usize,
    /// The most reads at a time. The default is 1,024.
    pub max_readers: u32,
    /// The id of the machine's current boot. The default is the system's. If it is `None`, the boot
    /// is not known, and a store that was not closed is always emptied.
    pub boot_id: Option<String>,
    /// The owner of the store, as a text for people. A store of another owner is refused. With
    /// `None`, the owner is not checked.
    pub owner: Option<String>,
    /// The source of the disk's free space.
    pub disk_space: Arc<dyn DiskSpace>,
}

impl Default for LmdbOptions {
    fn default() -> Self {
        Self {
            sync: SyncPolicy::default(),
            map_size: 16 << 20,
            max_readers: 1_024,
            boot_id: system_boot_id(),
            owner: None,
            disk_space: Arc::new(SystemDiskSpace),
        }
    }
}

impl fmt::Debug for LmdbOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LmdbOptions")
            .field("sync", &self.sync)
            .field("map_size", &self.map_size)
            .field("max_readers", &self.max_readers)
            .field("boot_id", &self.boot_id)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}
