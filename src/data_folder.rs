//! The data folder of an app: whom it belongs to, and how it is claimed, set aside and backed up.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use marlowe_broker::BrokerError;
use marlowe_embedded::{EmbeddedBroker, EmbeddedConfig};
use marlowe_state::{LmdbOptions, LmdbStore};
use serde::{Deserialize, Serialize};

use crate::error::RunError;
use crate::restore::{FolderOwner, TablesFolder};

/// The folder of an app. It holds the tables of the workers, and the topics if the broker is the
/// embedded one.
///
/// The folder names its owner in `folder.json`, and so do the broker and each store in it. So if a
/// part was moved, copied from elsewhere or lost, this is noticed before anything else is done with
/// the folder.
pub(crate) struct DataFolder {
    path: PathBuf,
    app: Arc<str>,
    /// The identity that was found. A new folder has none.
    identity: Option<FolderIdentity>,
}

/// The identity of a folder, as it is in `folder.json`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
struct FolderIdentity {
    /// The version of the folder's layout.
    format: u32,
    app: Arc<str>,
    /// With the embedded broker, this is the broker's id.
    id: Arc<str>,
    topics: Topics,
}

/// The place of the tables' topics.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Topics {
    /// In the folder, with the embedded broker.
    Here,
    /// On another broker.
    Elsewhere,
}

/// The version of the layout: `folder.json`, `broker` and `tables-N`.
const FORMAT: u32 = 1;

const IDENTITY: &str = "folder.json";
const BROKER: &str = "broker";

impl DataFolder {
    /// Looks into the folder, which may not exist yet. Changes nothing.
    ///
    /// # Errors
    /// When the folder belongs to another app or a later version of Marlowe, or cannot be read.
    pub(crate) fn look(path: &Path, app: &Arc<str>) -> Result<Self, RunError> {
        let folder = Self { path: path.to_owned(), app: app.clone(), identity: None };
        let file = path.join(IDENTITY);
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(folder),
            Err(error) => return Err(failed("read", &file)(error)),
        };
        let identity: FolderIdentity = serde_json::from_slice(&text).map_err(|error| {
            folder.refused(
                format!("has a damaged {IDENTITY} ({error})"),
                "put the file back from a backup; or remove it: the other files in the folder also say which app it \
                 belongs to",
            )
        })?;
        if identity.format != FORMAT {
            let found = format!("has format {}, and this version of Marlowe knows format {FORMAT}", identity.format);
            return Err(folder.refused(found, "use the version that wrote it, or a newer one"));
        }
        if identity.app != *app {
            let found = format!("belongs to app `{}`, and this is app `{app}`", identity.app);
            return Err(folder.refused(found, "give this app a --data-dir of its own"));
        }
        Ok(Self { identity: Some(identity), ..folder })
    }

    /// Returns whether the folder holds an embedded broker.
    pub(crate) fn has_broker(path: &Path) -> bool {
        path.join(BROKER).is_dir()
    }

    /// Opens the embedded broker in the folder. A new folder gets a new broker. Any other folder
    /// must hold the broker that it held before.
    ///
    /// # Errors
    /// When that broker is missing, the folder is for tables whose topics are on another broker, or
    /// the disk refuses.
    pub(crate) fn open_broker(&self, config: EmbeddedConfig) -> Result<EmbeddedBroker, RunError> {
        let path = self.path.join(BROKER);
        let expected_id = match &self.identity {
            Some(FolderIdentity { topics: Topics::Elsewhere, .. }) => {
                let found = "holds tables whose topics are on another broker".to_owned();
                return Err(self.refused(found, "give the embedded broker a --data-dir of its own"));
            }
            Some(identity) => Some(identity.id.to_string()),
            None if !path.join("data.mdb").exists() && !self.tables()?.is_empty() => {
                let found =
                    format!("holds tables, and the broker that their topics were on is not in {}", path.display());
                return Err(self.lost(found));
            }
            None => None,
        };
        let config = EmbeddedConfig { owner: Some(format!("app `{}`", self.app)), expected_id, ..config };
        let broker = EmbeddedBroker::open(&path, config).map_err(|error| match error {
            BrokerError::NotTheBroker { found, .. } => {
                self.lost(format!("has no broker to use: {} {found}", path.display()))
            }
            error => RunError::broker("opening the embedded broker")(error),
        })?;
        if self.identity.is_none() {
            let id = broker.id().unwrap_or_default().into();
            self.write(&FolderIdentity { format: FORMAT, app: self.app.clone(), id, topics: Topics::Here })?;
        }
        Ok(broker)
    }

    /// Checks that the folder is for tables whose topics are on another broker.
    ///
    /// # Errors
    /// When the folder has a broker of its own.
    pub(crate) fn check_elsewhere(&self) -> Result<(), RunError> {
        match &self.identity {
            Some(FolderIdentity { topics: Topics::Here, .. }) => {
                let found = "belongs to the embedded broker".to_owned();
                Err(self.refused(found, "give the tables of another broker's topics a --data-dir of their own"))
            }
            _ => Ok(()),
        }
    }

    /// Claims the folder for tables. `new_id` makes the id of a folder that has none.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn claim(&self, new_id: impl FnOnce() -> u64) -> Result<FolderOwner, RunError> {
        // If the broker is the embedded one, it has already claimed the folder.
        let identity = match Self::look(&self.path, &self.app)?.identity {
            Some(identity) => identity,
            None => {
                let id = format!("{:016x}", new_id()).into();
                let identity = FolderIdentity { format: FORMAT, app: self.app.clone(), id, topics: Topics::Elsewhere };
                self.write(&identity)?;
                identity
            }
        };
        Ok(FolderOwner { app: identity.app, folder: identity.id })
    }

    /// Moves everything in the folder to a new folder inside it, so that the folder is like a new
    /// one. Returns the path of the inner folder.
    ///
    /// # Errors
    /// When a worker uses a part of the folder, or the disk refuses.
    pub(crate) fn set_aside(&self) -> Result<PathBuf, RunError> {
        let tables = self.tables()?;
        let locks = tables.iter().map(|folder| TablesFolder::take(folder)).collect::<Result<Vec<_>, _>>()?;
        let mut number = 1;
        let aside = loop {
            let aside = self.path.join(format!("set-aside-{number}"));
            if !aside.exists() {
                break aside;
            }
            number += 1;
        };
        std::fs::create_dir(&aside).map_err(failed("make", &aside))?;
        let others = [self.path.join(BROKER), self.path.join(IDENTITY)];
        for from in tables.iter().chain(others.iter().filter(|path| path.exists())) {
            let to = aside.join(from.file_name().unwrap_or_default());
            std::fs::rename(from, to).map_err(failed("move aside", from))?;
        }
        drop(locks);
        Ok(aside)
    }

    /// Copies the folder to `to`, which must not exist or must be empty. Workers may use the folder
    /// meanwhile. The copy is as if they had been killed at that moment.
    ///
    /// # Errors
    /// When there is something at `to`, the broker is damaged, or the disk refuses. Nothing of the
    /// copy is left at `to` then.
    pub(crate) fn back_up(&self, to: &Path) -> Result<Backup, RunError> {
        if std::fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some()) || to.is_file() {
            let doing = format!("back up {} to {}", self.path.display(), to.display());
            let reason = "it is not an empty folder: name a new folder, or an empty one".to_owned();
            return Err(RunError::System { doing, reason });
        }
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial = to.with_file_name(name);
        let removed = || match std::fs::remove_dir_all(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", &partial)(error)),
            _ => Ok(()),
        };
        removed()?;
        let backup = self.copy_to(&partial).inspect_err(|_| {
            // The first error is the one that is returned.
            let _ = removed();
        })?;
        std::fs::rename(&partial, to).map_err(failed("make", to))?;
        Ok(backup)
    }

    fn copy_to(&self, to: &Path) -> Result<Backup, RunError> {
        std::fs::create_dir_all(to).map_err(failed("make", to))?;
        let mut backup = Backup::default();
        // The tables come first. So the broker's copy, which is made later, has everything that is
        // in them.
        for tables in self.tables()? {
            let copy = to.join(tables.file_name().unwrap_or_default());
            backup.add_tables(&tables, &copy)?;
        }
        let broker = self.path.join(BROKER);
        if broker.is_dir() {
            let copied = EmbeddedBroker::copy(&broker, &to.join(BROKER));
            copied.map_err(RunError::broker("backing up the embedded broker"))?;
            backup.has_broker = true;
        }
        copy_file(&self.path, to, IDENTITY)?;
        backup.bytes = bytes_in(to).map_err(failed("look into", to))?;
        sync(to)?;
        Ok(backup)
    }

    /// Returns the folders in which workers keep their tables.
    pub(crate) fn tables(&self) -> Result<Vec<PathBuf>, RunError> {
        TablesFolder::all_in(&self.path).map_err(failed("look into", &self.path))
    }

    fn write(&self, identity: &FolderIdentity) -> Result<(), RunError> {
        std::fs::create_dir_all(&self.path).map_err(failed("make", &self.path))?;
        let file = self.path.join(IDENTITY);
        let text =
            serde_json::to_vec_pretty(identity).map_err(std::io::Error::other).map_err(failed("write", &file))?;
        // Written to another file first, because half of the file would not be valid JSON.
        let aside = self.path.join(format!("{IDENTITY}.new"));
        let written = File::create(&aside).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written.and_then(|()| std::fs::rename(&aside, &file)).map_err(failed("write", &file))?;
        sync(&self.path)
    }

    fn lost(&self, found: String) -> RunError {
        RunError::LostBroker { folder: self.path.display().to_string(), found }
    }

    fn refused(&self, found: String, ways_on: &'static str) -> RunError {
        RunError::DataFolder { folder: self.path.display().to_string(), found, ways_on }
    }
}

/// The content of a backup.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Backup {
    /// Set if the backup holds the topics.
    pub(crate) has_broker: bool,
    /// How many stores of tables the backup holds.
    pub(crate) stores: usize,
    /// The stores that were left out because they cannot be used. They are restored from their
    /// changelogs.
    pub(crate) left_out: Vec<PathBuf>,
    pub(crate) bytes: u64,
}

impl Backup {
    /// Copies the stores of one worker.
    fn add_tables(&mut self, tables: &Path, to: &Path) -> Result<(), RunError> {
        std::fs::create_dir_all(to).map_err(failed("make", to))?;
        for entry in std::fs::read_dir(tables).map_err(failed("look into", tables))? {
            let store = entry.map_err(failed("look into", tables))?.path();
            if !store.is_dir() {
                continue;
            }
            let copy = to.join(store.file_name().unwrap_or_default());
            match LmdbStore::copy(&store, &copy, &LmdbOptions::default()) {
                Ok(true) => self.stores += 1,
                // Its shard went to another worker, or the machine crashed.
                Ok(false) => self.left_out.push(store),
                Err(error) => {
                    tracing::warn!("left out of the backup, to be restored from the changelog: {error}");
                    std::fs::remove_dir_all(&copy).map_err(failed("remove", &copy))?;
                    self.left_out.push(store);
                }
            }
        }
        copy_file(tables, to, TablesFolder::LOGS)?;
        sync(to)
    }
}

/// Copies the file `name`, if it exists.
fn copy_file(from: &Path, to: &Path, name: &str) -> Result<(), RunError> {
    let (from, to) = (from.join(name), to.join(name));
    match std::fs::copy(&from, &to).and_then(|_| File::open(&to)?.sync_all()) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        copied => copied.map_err(failed("copy", &from)),
    }
}

/// Writes the names in a folder to the disk.
fn sync(folder: &Path) -> Result<(), RunError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("write to", folder))
}

fn bytes_in(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() { bytes_in(&entry.path())? } else { about.len() };
    }
    Ok(bytes)
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(std::io::Error) -> RunError {
    move |error| RunError::System { doing: format!("{doing} {}", path.display()), reason: error.to_string() }
}
