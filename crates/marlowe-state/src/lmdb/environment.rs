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

/// An open LMDB environment, and the rules every transaction on it keeps: the state file says `dirty` before anything
/// changes, the disk has room before anything is written, and the map is moved only while nobody uses it.
pub(super) struct Environment {
    env: Env<WithoutTls>,
    /// Every transaction holds it shared; who holds it alone may move the map.
    map: RwLock<()>,
    /// Whether the state file says that there may be something that is not on the disk. Whoever writes holds it.
    marked_dirty: Mutex<bool>,
    /// `None`: every batch is synced and none is written through the map, so that a full disk is an ordinary error.
    space: Option<SpaceGuard>,
    boot_id: Option<String>,
    /// The last field: the folder is let go when the environment is closed.
    folder: Folder,
}

/// What became of opening a folder's data.
pub(super) enum Opened {
    Usable(Environment),
    /// It is no database, or a damaged one.
    Damaged(Folder),
}

impl Environment {
    /// Opens the folder's data, which `state` says may be used.
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
            // From now on every batch is on the disk when it is committed; what was there before must be, too.
            environment.sync(&mut environment.marked_dirty.lock())?;
        }
        Ok(Opened::Usable(environment))
    }

    /// Closes it, and keeps the folder.
    pub(super) fn into_folder(self) -> Folder {
        self.folder
    }

    pub(super) fn env(&self) -> &Env<WithoutTls> {
        &self.env
    }

    pub(super) fn error(&self, action: &'static str, error: heed::Error) -> StoreError {
        failed(action, &self.folder, error)
    }

    /// Reads in one transaction.
    pub(super) fn read<R>(
        &self,
        action: &'static str,
        work: impl FnOnce(&RoTxn<'_>) -> heed::Result<R>,
    ) -> Result<R, StoreError> {
        let _held = self.map.read();
        let result = self.env.read_txn().and_then(|txn| work(&txn));
        result.map_err(|error| self.error(action, error))
    }

    /// Writes with `work` in one transaction, for which `pages` tells how many new pages it may take. A map that is too
    /// small is enlarged, and the work done again.
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
        // Beyond the map nothing is written: it is enlarged first, and then this is asked again.
        let end = start.saturating_add(pages.saturating_mul(page)).min(info.map_size as u64);
        if end > start { space.secure(start, end - start) } else { Ok(()) }
    }

    /// Puts everything on the disk, and says so in the state file.
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
