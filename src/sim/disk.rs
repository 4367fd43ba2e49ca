//! The simulated disk of a worker's machine, which can be slow and can lose what was not synced.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use marlowe_state::{
    KeyRange, LmdbOptions, LmdbStore, PositionSlot, Rows, Scan, SlicePosition, Store, StoreError, StoreLayout,
    TableIndex,
};
use parking_lot::Mutex;

use super::chance::Chance;
use super::trace::Trace;

/// The disk of a worker's machine: its folder, and the synced state of each store in it, which
/// survives a loss of power.
pub(crate) struct Disk {
    owner: String,
    folder: tempfile::TempDir,
    chance: Chance,
    trace: Trace,
    /// The number of starts of the machine.
    boots: AtomicU64,
    is_slow: AtomicBool,
    /// Each store's file as it was when it was last synced, by the store's folder.
    synced: Mutex<BTreeMap<PathBuf, Vec<u8>>>,
}

/// The initial size of a simulated store's map, in bytes. The file has the same size and is copied,
/// so the map is small.
const MAP_SIZE: usize = 1 << 20;

/// The bytes that reach a disk at a time.
const PAGE: usize = 4096;

/// The name of LMDB's file in a store's folder.
const DATA: &str = "data.mdb";

impl Disk {
    /// Creates a disk. Its folder is in memory, if the system has such a folder.
    pub(crate) fn new(owner: &str, chance: Chance, trace: Trace) -> Self {
        let made = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let folder = made.unwrap_or_else(|error| panic!("a folder cannot be made: {error}"));
        Self {
            owner: owner.to_owned(),
            folder,
            chance,
            trace,
            boots: AtomicU64::new(1),
            is_slow: AtomicBool::new(false),
            synced: Mutex::default(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn set_slow(&self, is_slow: bool) {
        if self.is_slow.swap(is_slow, Ordering::Relaxed) != is_slow {
            let what = if is_slow { "is slow" } else { "is fast again" };
            self.trace.note(&self.owner, format_args!("its disk {what}"));
        }
    }

    /// Simulates a machine that goes down and comes back. Of what was written to the stores since
    /// they were synced, each page is there or not.
    ///
    /// No process may have the stores open.
    pub(crate) fn lose_power(&self) {
        self.boots.fetch_add(1, Ordering::Relaxed);
        // This has a chance of its own, so that the number of pages does not influence what happens
        // next.
        let chance = Chance::of_seed(self.chance.number(0..u64::MAX));
        for store in self.stores() {
            let data = store.join(DATA);
            let Ok(mut now) = std::fs::read(&data) else { continue };
            let synced = self.synced.lock().get(&store).cloned().unwrap_or_default();
            for (number, page) in now.chunks_mut(PAGE).enumerate() {
                let before = synced.get(number * PAGE..).unwrap_or_default();
                let before = &before[..before.len().min(page.len())];
                let differs = !page.starts_with(before) || page[before.len()..].iter().any(|byte| *byte != 0);
                if differs && chance.happens(500) {
                    page.fill(0);
                    page[..before.len()].copy_from_slice(before);
                }
            }
            // This must be a new file, because a reader of the old file must go on seeing the old
            // state.
            let written = std::fs::remove_file(&data).and_then(|()| std::fs::write(&data, &now));
            written.unwrap_or_else(|error| panic!("{}: {error}", data.display()));
            self.synced.lock().insert(store, now);
        }
        self.trace.note(&self.owner, "its machine lost power");
    }

    /// Returns the stores' folders, in order.
    fn stores(&self) -> Vec<PathBuf> {
        let folders = |folder: &Path| -> Vec<PathBuf> {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
        };
        let mut stores: Vec<PathBuf> = folders(self.folder()).iter().flat_map(|tables| folders(tables)).collect();
        stores.sort();
        stores
    }

    /// Returns the time that a write or a sync takes, at most `longest`.
    fn takes(&self, longest: Duration) -> Duration {
        if self.is_slow.load(Ordering::Relaxed) && self.chance.happens(400) {
            self.chance.time(Duration::from_millis(1)..longest)
        } else {
            Duration::ZERO
        }
    }

    fn synced(&self, store: &Path) {
        if let Ok(data) = std::fs::read(store.join(DATA)) {
            self.synced.lock().insert(store.to_owned(), data);
        }
    }
}

/// The state between a process and its disk.
#[derive(Debug, Default)]
pub(crate) struct DiskUse {
    /// The microseconds for which the running thread must stand still, because it waits for the
    /// disk.
    waits: AtomicU64,
    /// True if the process has crashed. Its values, when they are dropped, must not change the disk
    /// any more.
    has_crashed: AtomicBool,
}

impl DiskUse {
    fn wait(&self, time: Duration) {
        self.waits.fetch_add(time.as_micros() as u64, Ordering::Relaxed);
    }

    /// Returns the time for which the running thread must stand still, and resets it.
    pub(crate) fn take_wait(&self) -> Option<Duration> {
        let micros = self.waits.swap(0, Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    pub(crate) fn crash(&self) {
        self.has_crashed.store(true, Ordering::Relaxed);
    }
}

/// A store on a simulated disk.
pub(crate) struct DiskStore {
    store: LmdbStore,
    path: PathBuf,
    disk: Arc<Disk>,
    used: Arc<DiskUse>,
}

impl DiskStore {
    pub(crate) fn open(
        path: &Path,
        layout: StoreLayout,
        owner: String,
        disk: Arc<Disk>,
        used: Arc<DiskUse>,
    ) -> Result<Self, StoreError> {
        let boot = format!("{}-{}", disk.owner, disk.boots.load(Ordering::Relaxed));
        let options =
            LmdbOptions { map_size: MAP_SIZE, boot_id: Some(boot), owner: Some(owner), ..LmdbOptions::default() };
        Ok(Self { store: LmdbStore::open(path, layout, options)?, path: path.to_owned(), disk, used })
    }

    fn writes(&self) {
        self.used.wait(self.disk.takes(Duration::from_millis(300)));
    }
}

impl Store for DiskStore {
    fn layout(&self) -> &StoreLayout {
        self.store.layout()
    }

    fn get(&self, table: TableIndex, key: &[u8], out: &mut Vec<u8>) -> Result<bool, StoreError> {
        self.store.get(table, key, out)
    }

    fn get_at(
        &self,
        table: TableIndex,
        key: &[u8],
        slot: PositionSlot,
        out: &mut Vec<u8>,
    ) -> Result<(bool, SlicePosition), StoreError> {
        self.store.get_at(table, key, slot, out)
    }

    fn scan_within(
        &self,
        table: TableIndex,
        range: &KeyRange,
        limit: usize,
        bytes: usize,
        slot: PositionSlot,
    ) -> Result<Scan, StoreError> {
        self.store.scan_within(table, range, limit, bytes, slot)
    }

    fn count(&self, table: TableIndex) -> Result<u64, StoreError> {
        self.store.count(table)
    }

    fn bytes(&self, table: TableIndex) -> Result<u64, StoreError> {
        self.store.bytes(table)
    }

    fn position(&self, slot: PositionSlot) -> SlicePosition {
        self.store.position(slot)
    }

    fn apply(
        &self,
        changes: &mut [(TableIndex, Rows)],
        positions: &[(PositionSlot, SlicePosition)],
    ) -> Result<(), StoreError> {
        self.writes();
        self.store.apply(changes, positions)
    }

    fn clear(&self) -> Result<(), StoreError> {
        self.writes();
        self.store.clear()
    }

    fn close(&self) -> Result<(), StoreError> {
        if self.used.has_crashed.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.used.wait(self.disk.takes(Duration::from_millis(1000)));
        self.store.close()?;
        self.disk.synced(&self.path);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use marlowe_broker::Offset;

    fn position(store: &dyn Store) -> u64 {
        store.position(PositionSlot(0)).changelog.get()
    }

    #[tokio::test(start_paused = true)]
    async fn unsynced_pages_are_not_trusted_after_a_loss_of_power() {
        let disk = Arc::new(Disk::new("w0", Chance::of_seed(7), Trace::begin()));
        let path = disk.folder().join("tables-0").join("shard-0");
        let open = || {
            let layout = StoreLayout { tables: vec!["table".into()], slots: 1 };
            DiskStore::open(&path, layout, "a store".to_owned(), disk.clone(), Arc::default()).unwrap()
        };
        let write = |store: &DiskStore, until: u64| {
            let mut rows = Rows::new();
            (0..until).for_each(|number| rows.push(format!("{number:04}").as_bytes(), Some(&[7; 100])));
            let at = SlicePosition { changelog: Offset::new(until), ..SlicePosition::default() };
            store.apply(&mut [(TableIndex(0), rows)], &[(PositionSlot(0), at)]).unwrap();
        };
        let store = open();
        write(&store, 100);
        drop(store);
        let store = open();
        assert_eq!(position(&store), 100, "after a crash of the process all is there");
        store.close().unwrap();
        drop(store);
        disk.lose_power();
        let store = open();
        assert_eq!(position(&store), 100, "and what was synced is there after a loss of power");
        write(&store, 200);
        drop(store);
        let before = std::fs::read(path.join(DATA)).unwrap();
        disk.lose_power();
        assert_ne!(std::fs::read(path.join(DATA)).unwrap(), before, "parts of what was not synced are gone");
        let store = open();
        assert_eq!((position(&store), store.count(TableIndex(0)).unwrap()), (0, 0), "so nothing of it is believed");
    }
}
