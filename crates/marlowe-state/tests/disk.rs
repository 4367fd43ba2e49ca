//! What the store on disk does beyond what every store does.

mod fixture;

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fixture::*;
use marlowe_state::*;

fn options(boot: Option<&str>) -> LmdbOptions {
    LmdbOptions { boot_id: boot.map(str::to_owned), ..LmdbOptions::default() }
}

fn open(folder: &Path, layout: StoreLayout, options: LmdbOptions) -> Arc<dyn Store> {
    Arc::new(LmdbStore::open(folder, layout, options).unwrap())
}

fn fill(store: &Arc<dyn Store>) {
    store.apply(&mut [(TABLE, rows(&[("a", Some("1")), ("b", Some("2"))]))], &[(SLOT, position(10))]).unwrap();
}

fn is_filled(store: &Arc<dyn Store>) -> bool {
    let filled = texts(store, TABLE, &KeyRange::all()) == [("a".into(), "1".into()), ("b".into(), "2".into())];
    assert_eq!(store.position(SLOT), if filled { position(10) } else { SlicePosition::default() });
    assert_eq!(store.count(TABLE).unwrap(), if filled { 2 } else { 0 });
    assert_eq!(store.bytes(TABLE).unwrap(), if filled { 4 } else { 0 });
    filled
}

/// The state the file says, without the boot.
fn state(folder: &Path) -> String {
    fs::read_to_string(folder.join("state")).unwrap().split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_closed_store_is_used_in_any_boot() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), layout(&["a"]), options(Some("one")));
    fill(&store);
    assert_eq!(state(folder.path()), "dirty");
    store.close().unwrap();
    assert_eq!(state(folder.path()), "clean");
    drop(store);
    for boot in [Some("one"), Some("two"), None] {
        assert!(is_filled(&open(folder.path(), layout(&["a"]), options(boot))));
        // It was only read: still clean.
        assert_eq!(state(folder.path()), "clean");
    }
}

#[test]
fn a_store_that_was_not_closed_is_used_in_its_own_boot_only() {
    for (again, kept) in [(Some("one"), true), (Some("two"), false), (None, false)] {
        let folder = tempfile::tempdir().unwrap();
        fill(&open(folder.path(), layout(&["a"]), options(Some("one"))));
        assert_eq!(is_filled(&open(folder.path(), layout(&["a"]), options(again))), kept, "{again:?}");
    }
}

#[test]
fn without_a_boot_id_a_store_that_was_not_closed_is_emptied() {
    let folder = tempfile::tempdir().unwrap();
    fill(&open(folder.path(), layout(&["a"]), options(None)));
    assert!(!is_filled(&open(folder.path(), layout(&["a"]), options(None))));
}

#[test]
fn a_batch_after_closing_makes_it_dirty_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), layout(&["a"]), options(Some("one")));
    store.close().unwrap();
    fill(&store);
    assert_eq!(state(folder.path()), "dirty");
    drop(store);
    assert!(!is_filled(&open(folder.path(), layout(&["a"]), options(Some("two")))));
}

#[test]
fn a_store_left_dirty_in_this_boot_is_synced_by_a_close_without_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    fill(&open(folder.path(), layout(&["a"]), options(Some("one"))));
    let store = open(folder.path(), layout(&["a"]), options(Some("one")));
    store.close().unwrap();
    drop(store);
    assert!(is_filled(&open(folder.path(), layout(&["a"]), options(Some("two")))));
}

#[test]
fn a_store_synced_at_every_commit_is_used_in_any_boot() {
    let synced = |boot| LmdbOptions { sync: SyncPolicy::EveryCommit, ..options(boot) };
    let folder = tempfile::tempdir().unwrap();
    fill(&open(folder.path(), layout(&["a"]), synced(Some("one"))));
    assert!(is_filled(&open(folder.path(), layout(&["a"]), synced(Some("two")))));
    // From one policy to the other and back.
    let store = open(folder.path(), layout(&["a"]), options(Some("two")));
    assert!(is_filled(&store));
    store.clear().unwrap();
    fill(&store);
    drop(store);
    assert!(is_filled(&open(folder.path(), layout(&["a"]), synced(Some("two")))));
    assert!(is_filled(&open(folder.path(), layout(&["a"]), options(Some("three")))));
}

#[test]
fn a_folder_without_a_state_file_or_with_damaged_data_is_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), layout(&["a"]), options(Some("one")));
    fill(&store);
    store.close().unwrap();
    drop(store);
    fs::remove_file(folder.path().join("state")).unwrap();
    let store = open(folder.path(), layout(&["a"]), options(Some("one")));
    assert!(!is_filled(&store));
    fill(&store);
    store.close().unwrap();
    drop(store);
    fs::write(folder.path().join("data.mdb"), vec![7; 100_000]).unwrap();
    let store = open(folder.path(), layout(&["a"]), options(Some("one")));
    assert!(!is_filled(&store));
    fill(&store);
    assert!(is_filled(&store));
}

#[test]
fn one_store_at_a_time_has_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), layout(&["a"]), LmdbOptions::default());
    let error = LmdbStore::open(folder.path(), layout(&["a"]), LmdbOptions::default()).err().unwrap();
    assert!(matches!(&error, StoreError::InUse { path } if path == folder.path()), "{error}");
    fill(&store);
    drop(store);
    assert!(is_filled(&open(folder.path(), layout(&["a"]), LmdbOptions::default())));
}

#[test]
fn tables_come_and_go_with_their_positions() {
    let folder = tempfile::tempdir().unwrap();
    let write = |store: &Arc<dyn Store>, place: usize, text: &str, offset: u64| {
        let (table, slot) = (TableIndex(place as u16), PositionSlot(place as u32));
        store.apply(&mut [(table, rows(&[("key", Some(text))]))], &[(slot, position(offset))]).unwrap();
    };
    let read = |store: &Arc<dyn Store>, place: usize| {
        let value = get(store, TableIndex(place as u16), b"key").map(|value| String::from_utf8(value).unwrap());
        (value.unwrap_or_default(), store.position(PositionSlot(place as u32)))
    };
    let with = |tables: &[&str]| open(folder.path(), layout(tables), LmdbOptions::default());

    let store = with(&["a", "b"]);
    write(&store, 0, "A", 1);
    write(&store, 1, "B", 2);
    drop(store);
    let store = with(&["c", "b", "a"]);
    assert_eq!(read(&store, 0), (String::new(), SlicePosition::default()));
    assert_eq!((read(&store, 1), read(&store, 2)), (("B".into(), position(2)), ("A".into(), position(1))));
    write(&store, 0, "C", 3);
    drop(store);
    let store = with(&["c"]);
    assert_eq!(read(&store, 0), ("C".into(), position(3)));
    assert_eq!(store.position(PositionSlot(1)), SlicePosition::default());
    drop(store);
    // What was dropped does not come back.
    let store = with(&["a", "c", "b"]);
    for place in [0, 2] {
        assert_eq!(read(&store, place), (String::new(), SlicePosition::default()));
        assert_eq!(
            (store.count(TableIndex(place as u16)).unwrap(), store.bytes(TableIndex(place as u16)).unwrap()),
            (0, 0)
        );
    }
    assert_eq!(read(&store, 1), ("C".into(), position(3)));
}

#[test]
fn positions_may_be_added_and_anything_else_is_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let with = |slots| open(folder.path(), StoreLayout { tables: vec!["a".into()], slots }, LmdbOptions::default());
    let store = with(2);
    fill(&store);
    store.apply(&mut [], &[(PositionSlot(1), position(7))]).unwrap();
    drop(store);
    let store = with(3);
    assert!(is_filled(&store));
    assert_eq!(store.position(PositionSlot(1)), position(7));
    assert_eq!(store.position(PositionSlot(2)), SlicePosition::default());
    drop(store);
    assert!(!is_filled(&with(2)));
}

#[test]
fn the_map_grows_with_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let small = LmdbOptions { map_size: 64 << 10, ..LmdbOptions::default() };
    let store = open(folder.path(), layout(&["a"]), small.clone());
    let value = vec![7; 1_000];
    let over = AtomicU64::new(0);
    std::thread::scope(|scope| {
        // Reads go on meanwhile.
        let (over, reader) = (&over, Arc::clone(&store));
        scope.spawn(move || {
            while over.load(Ordering::Relaxed) == 0 {
                let scan = reader.scan(TABLE, &KeyRange::all(), 100, SLOT).unwrap();
                assert_eq!(scan.rows.is_empty(), scan.position == SlicePosition::default());
            }
        });
        for batch in 0..20_u64 {
            let mut rows = Rows::new();
            for row in 0..500_u64 {
                rows.push(&(row * 1_000 + batch).to_be_bytes(), Some(&value));
            }
            store.apply(&mut [(TABLE, rows)], &[(SLOT, position(batch + 1))]).unwrap();
        }
        over.store(1, Ordering::Relaxed);
    });
    assert_eq!(store.count(TABLE).unwrap(), 10_000);
    drop(store);
    // The file is larger than the map that is asked for now.
    let store = open(folder.path(), layout(&["a"]), small);
    assert_eq!((store.count(TABLE).unwrap(), store.position(SLOT)), (10_000, position(20)));
}

/// A disk of so many free bytes, on which nothing can be set aside beyond them.
struct FullDisk(AtomicU64);

impl DiskSpace for FullDisk {
    fn available(&self, _: &Path) -> io::Result<u64> {
        Ok(self.0.load(Ordering::Relaxed))
    }

    fn reserve(&self, _: &fs::File, _: u64, len: u64) -> io::Result<()> {
        if len <= self.0.load(Ordering::Relaxed) { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }
}

#[test]
fn a_batch_that_the_disk_has_no_room_for_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(FullDisk(AtomicU64::new(10 << 20)));
    let store = open(folder.path(), layout(&["a"]), LmdbOptions { disk_space: disk.clone(), ..LmdbOptions::default() });
    fill(&store);
    disk.0.store(1 << 20, Ordering::Relaxed);
    let mut large = Rows::new();
    for row in 0..4_000_u64 {
        large.push(&row.to_be_bytes(), Some(&[1; 1_000]));
    }
    let error = store.apply(&mut [(TABLE, large.clone())], &[(SLOT, position(11))]).unwrap_err();
    assert!(matches!(&error, StoreError::Storage { path, .. } if path == folder.path()), "{error}");
    assert!(error.to_string().contains("free some space"), "{error}");
    assert!(is_filled(&store));
    disk.0.store(100 << 20, Ordering::Relaxed);
    store.apply(&mut [(TABLE, large)], &[(SLOT, position(11))]).unwrap();
    assert_eq!(store.count(TABLE).unwrap(), 4_002);
}

/// A small disk of its own, while it lives.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`: this user may not mount one here.
    fn mount(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(folder.path()).output();
        mount.is_ok_and(|output| output.status.success()).then(|| Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[test]
fn a_disk_that_fills_up_is_an_error_and_not_the_end_of_the_process() {
    let Some(disk) = SmallDisk::mount("size=16m") else {
        eprintln!("not run: mounting a small disk needs more rights than this user has here");
        return;
    };
    let folder = disk.0.path().join("store");
    let store = open(&folder, layout(&["a"]), LmdbOptions::default());
    let mut batch = 0;
    let error = loop {
        let mut rows = Rows::new();
        for row in 0..200_u64 {
            rows.push(&(batch * 200 + row).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes(), Some(&[3; 500]));
        }
        match store.apply(&mut [(TABLE, rows)], &[(SLOT, position(batch + 1))]) {
            Ok(()) => batch += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, StoreError::Storage { .. }) && error.to_string().contains("free some space"), "{error}");
    // It used a fair part of the disk before that, and what it has is whole.
    assert!(batch * 100_000 > 2 << 20, "{batch} batches");
    assert_eq!((store.count(TABLE).unwrap(), store.position(SLOT)), (batch * 200, position(batch)));
    store.close().unwrap();
}

#[test]
fn a_read_only_disk_is_an_error_that_says_so() {
    let Some(disk) = SmallDisk::mount("size=1m,ro") else {
        eprintln!("not run: mounting a small disk needs more rights than this user has here");
        return;
    };
    let error = LmdbStore::open(&disk.0.path().join("store"), layout(&["a"]), LmdbOptions::default()).err().unwrap();
    assert!(error.to_string().contains("choose a data folder on another"), "{error}");
}

#[test]
fn a_file_in_the_place_of_the_folder_is_an_error_that_says_so() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for path in [file.path().to_owned(), file.path().join("store")] {
        let error = LmdbStore::open(&path, layout(&["a"]), LmdbOptions::default()).err().unwrap();
        assert!(matches!(&error, StoreError::Storage { .. }), "{error}");
        assert!(error.to_string().contains("a file stands in the way"), "{error}");
    }
}
