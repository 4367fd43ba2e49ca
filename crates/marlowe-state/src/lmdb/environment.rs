//! An open LMDB environment, and the rules that every transaction on it keeps.

use std::fs::File;

use heed::{Env, MdbError, RoTxn, RwTxn, WithoutTls};
use parking_lot::{Mutex, RwLock};

use super::failure::failed;
use super::folder::Folder;
use super::map;
use super::space::SpaceGuard;
use super::state_file::State;
use super::{LmdbOptions, SyncPolicy};
use crate::StoreError;

/// An open LMDB environment. Every transaction on it keeps these rules:
///
/// - The state file says `dirty` before anything changes.
/// - The disk has room before anything is written.
/// - The map is moved only while no transaction uses it.
pub(super) struct Environment {
    env: Env<WithoutTls>,
    /// A lock that every transaction holds shared. Only an exclusive holder may move the map.
    map: RwLock<()>,
    /// `true` if the state file says that some data may not be on the disk. Every write holds the
    /// lock.
    marked_dirty: Mutex<bool>,
    /// `None` if every batch is synced. Then no batch is written through the map, and a full disk
    /// is an ordinary error.
    space: Option<SpaceGuard>,
    boot_id: Option<String>,
    /// Must be the last field, so that the folder is released only after the environment is closed.
    folder: Folder,
}

/// The result of opening a folder's data.
pub(super) enum Opened {
    Usable(Environment),
    /// The data is not a database, or it is damaged.
    Damaged(Folder),
}

impl Environment {
    /// Opens the folder's data. `state` is the content of the state file, or `None` if the folder
    /// has no data that can be used.
    pub(super) fn open(
        folder: Folder,
        state: Option<&State>,
        databases: u32,
        options: &LmdbOptions,
    ) -> Result<Opened, StoreError> {
        let Some(env) = map::open(&folder, databases, options)? else { return Ok(Opened::Damaged(folder)) };
        let space = match options.sync {
            SyncPolicy::BootId => {
                let data = File::options().read(true).write(true).open(folder.data());
                let data = data.map_err(|error| StoreError::io("open the database's file", folder.path(), &error))?;
                Some(SpaceGuard::new(folder.path(), data, options.disk_space.clone()))
            }
            SyncPolicy::EveryCommit => None,
        };
        let environment = Self {
            env,
            map: RwLock::new(()),
            marked_dirty: Mutex::new(matches!(state, Some(State::Dirty(_)))),
            space,
            boot_id: options.boot_id.clone(),
            folder,
        };
        if options.sync == SyncPolicy::EveryCommit && state != Some(&State::Clean) {
            // From now on every batch is on the disk when it is committed. The data from before
            // must be on the disk too.
            environment.sync(&mut environment.marked_dirty.lock())?;
        }
        Ok(Opened::Usable(environment))
    }

    /// Closes the environment and returns its folder.
    pub(super) fn into_folder(self) -> Folder {
        self.folder
    }

    pub(super) fn env(&self) -> &Env<WithoutTls> {
        &self.env
    }

    pub(super) fn error(&self, action: &'static str, error: heed::Error) -> StoreError {
        failed(action, &self.folder, error)
    }

    /// Runs `work` in one read transaction.
    pub(super) fn read<R>(
        &self,
        action: &'static str,
        work: impl FnOnce(&RoTxn<'_>) -> heed::Result<R>,
    ) -> Result<R, StoreError> {
        let _held = self.map.read();
        let result = self.env.read_txn().and_then(|txn| work(&txn));
        result.map_err(|error| self.error(action, error))
    }

    /// Runs `work` in one write transaction. `pages` returns the most new pages that the
    /// transaction may take. If the map is too small, it is enlarged, and `work` runs again.
    pub(super) fn write(
        &self,
        action: &'static str,
        pages: impl FnOnce(&RoTxn<'_>) -> heed::Result<u64>,
        mut work: impl FnMut(&mut RwTxn<'_>) -> heed::Result<()>,
    ) -> Result<(), StoreError> {
        let mut marked_dirty = self.marked_dirty.lock();
        if self.space.is_some() && !*marked_dirty {
            State::dirty(self.boot_id.as_deref())
                .write(self.folder.path())
                .map_err(|error| StoreError::io("mark the store as in use", self.folder.path(), &error))?;
            *marked_dirty = true;
        }
        let pages = self.read(action, pages)?;
        loop {
            self.secure(pages)?;
            let result = {
                let _held = self.map.read();
                self.env.write_txn().and_then(|mut txn| {
                    work(&mut txn)?;
                    txn.commit()
                })
            };
            match result {
                Err(heed::Error::Mdb(MdbError::MapFull)) => {
                    let _alone = self.map.write();
                    map::grow(&self.env, &self.folder)?;
                }
                result => return result.map_err(|error| self.error(action, error)),
            }
        }
    }

    fn secure(&self, pages: u64) -> Result<(), StoreError> {
        let Some(space) = &self.space else { return Ok(()) };
        let page = u64::from(self.env.stat().page_size);
        let info = self.env.info();
        let start = (info.last_page_number as u64 + 1) * page;
        // Nothing is written beyond the end of the map. If the map must grow, this is called again
        // afterwards.
        let end = start.saturating_add(pages.saturating_mul(page)).min(info.map_size as u64);
        if end > start { space.secure(start, end - start) } else { Ok(()) }
    }

    /// Syncs everything to the disk, and notes that in the state file.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        let mut marked_dirty = self.marked_dirty.lock();
        if *marked_dirty { self.sync(&mut marked_dirty) } else { Ok(()) }
    }

    fn sync(&self, marked_dirty: &mut bool) -> Result<(), StoreError> {
        self.env.force_sync().map_err(|error| self.error("sync the database", error))?;
        State::Clean
            .write(self.folder.path())
            .map_err(|error| StoreError::io("mark the store as closed", self.folder.path(), &error))?;
        *marked_dirty = false;
        Ok(())
    }
}
