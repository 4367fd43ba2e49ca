use std::fmt;
use std::sync::Arc;

use super::space::{DiskSpace, SystemDiskSpace};
use super::state_file::system_boot_id;

/// When what a store holds becomes safe against a crash of the machine. Against a crash of the process it always is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SyncPolicy {
    /// At [`close`](crate::Store::close). A store that was not closed before the machine went down is emptied when it is
    /// opened next, and rebuilt from the changelog; the machine's boot id tells.
    #[default]
    BootId,
    /// At every batch: slower by several times, and nothing is ever rebuilt.
    EveryCommit,
}

/// How an [`LmdbStore`](crate::LmdbStore) is opened.
#[derive(Clone)]
pub struct LmdbOptions {
    /// When to sync.
    pub sync: SyncPolicy,
    /// How many bytes the file has at first, so that a small store is quickly copied. It takes no space on the disk until it is
    /// used. Where it does not suffice, it is doubled; where the system refuses so much, less is taken. Default 16 MiB.
    pub map_size: usize,
    /// How many reads may go on at a time.
    pub max_readers: u32,
    /// The id of the machine's current boot. `None`: not known, and then a store that was not closed is always emptied.
    pub boot_id: Option<String>,
    /// Whose the store is, for people. A store that belongs to another is refused. `None`: it is not looked at.
    pub owner: Option<String>,
    /// Tells how much space the disk has.
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
