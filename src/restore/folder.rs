//! The folder of a worker's tables: its lock, and the removal of stores that do not fit their
//! changelogs any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use marlowe_broker::Broker;

use crate::error::RunError;
use crate::program::Program;
use crate::table::AnyTable;
use crate::topology::Topology;

/// The folder of a worker's tables, locked for this process.
///
/// Each store in it has a lock of its own, but a store is open only while its shard is here. With
/// those locks alone, two processes in one folder would collide only at the first rebalance.
pub(crate) struct TablesFolder {
    path: PathBuf,
    /// The system releases the lock when the process ends, even if it is killed.
    lock: File,
}

impl TablesFolder {
    /// The name of the file that says which changelogs the stores belong to.
    pub(crate) const LOGS: &str = "logs.json";

    /// Returns the folder of worker `number` below `data_dir`.
    pub(crate) fn path(data_dir: &Path, number: usize) -> PathBuf {
        data_dir.join(format!("tables-{number}"))
    }

    /// Returns all workers' folders below `data_dir`, in order.
    pub(crate) fn all_in(data_dir: &Path) -> std::io::Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(data_dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let is_one = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let number = name.strip_prefix("tables-");
            path.is_dir() && number.is_some_and(|number| number.parse::<usize>().is_ok())
        };
        let mut folders: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_one).collect();
        folders.sort();
        Ok(folders)
    }

    /// Creates the folder if it does not exist, and locks it.
    ///
    /// # Errors
    /// When another process has locked it, or the system refuses.
    pub(crate) fn take(path: &Path) -> Result<Self, RunError> {
        let failed = failed(path);
        std::fs::create_dir_all(path).map_err(failed)?;
        let file = path.join("in-use");
        let mut lock =
            File::options().read(true).write(true).create(true).truncate(false).open(file).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Without it, the error only lacks the process id.
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
        Ok(Self { path: path.to_owned(), lock })
    }

    /// Removes the stores whose changelogs have changed. A changelog of the same name may have been
    /// created again, or be in another cluster. A position in the old log then says nothing about
    /// the new one. Or its keys have another type now, which the store holds in another form.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn forget_strangers(&self, program: &Program, topology: &Topology, logs: &Logs) -> Result<(), RunError> {
        let file = self.path.join(Self::LOGS);
        let known = match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::NotFound => Logs::default(),
            Err(error) => return Err(failed(&self.path)(error)),
        };
        if known == *logs {
            return Ok(());
        }
        let mut strangers = BTreeSet::new();
        for table in &program.tables {
            let changelog = &*table.identity().changelog;
            if known.get(changelog) != logs.get(changelog) {
                let group = topology.groups.iter().find(|group| group.tables.contains(table.name()));
                strangers.extend(group.map(|group| format!("{}-", group.name)));
                strangers.insert(format!("{}-global", table.name()));
            }
        }
        self.remove(&strangers).map_err(failed(&self.path))?;
        let text = serde_json::to_vec(logs).map_err(std::io::Error::other).map_err(failed(&self.path))?;
        // Written to another file first, because half of the file would count as none.
        let aside = self.path.join(format!("{}.new", Self::LOGS));
        std::fs::write(&aside, text).and_then(|()| std::fs::rename(&aside, &file)).map_err(failed(&self.path))
    }

    /// Removes the stores whose names are in `names`, either as they are or followed by a
    /// partition's number.
    fn remove(&self, names: &BTreeSet<String>) -> std::io::Result<()> {
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let group = name.trim_end_matches(|c: char| c.is_ascii_digit());
            if entry.file_type()?.is_dir() && (names.contains(&name) || names.contains(group)) {
                tracing::info!(
                    "{} belongs to a changelog that was deleted and created again: it is restored from the start",
                    entry.path().display()
                );
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

/// The tables' changelogs. The value of each has an id, which distinguishes it from others of its
/// name, and the type of its keys.
pub(crate) type Logs = BTreeMap<String, String>;

/// Looks up the changelogs of the program's tables at the broker.
///
/// # Errors
/// When the broker cannot tell.
pub(crate) async fn logs(program: &Program, broker: &dyn Broker) -> Result<Logs, RunError> {
    let changelogs: Vec<Arc<str>> = program.tables.iter().map(|table| table.identity().changelog.clone()).collect();
    let ids = broker.topic_ids(&changelogs).await.map_err(RunError::broker("looking up the changelogs"))?;
    let log = |(table, id): (&&dyn AnyTable, Option<Arc<str>>)| {
        (table.identity().changelog.to_string(), format!("{} by {}", id.unwrap_or_default(), table.key_type()))
    };
    Ok(program.tables.iter().zip(ids).map(log).collect())
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> RunError + Copy {
    move |error| RunError::System {
        doing: format!("use the folder of tables {}", path.display()),
        reason: error.to_string(),
    }
}

impl Drop for TablesFolder {
    fn drop(&mut self) {
        // Closing the file is not enough, because a process that is being started at this moment
        // also has it open for an instant. If unlocking fails, the lock still ends with the file.
        let _ = self.lock.unlock();
    }
}
