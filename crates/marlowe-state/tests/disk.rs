//! Tests of the store on disk alone: crashes, damage, other layouts, and full disks.

mod fixture;

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

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

/// Returns the state in the state file, without the boot id.
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
        // The store was only read, so it is still clean.
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
fn a_close_without_a_batch_syncs_a_store_that_was_left_dirty() {
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
    // The policy changes from one to the other and back.
    let store = open(folder.path(), layout(&["a"]), options(Some("two")));
    assert!(is_filled(&store));
    store.clear().unwrap();
    fill(&store);
    drop(store);
    assert!(is_filled(&open(folder.path(), layout(&["a"]), synced(Some("two")))));
    assert!(is_filled(&open(folder.path(), layout(&["a"]), options(Some("three")))));
}

#[test]
fn a_folder_without_state_or_with_damaged_data_is_rebuilt() {
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
fn a_damaged_file_gives_its_rows_or_none_and_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), layout(&["a"]), options(Some("one")));
    let keys: Vec<String> = (0..2000).map(|number| format!("key-{number:04}")).collect();
    let all: Vec<(&str, Option<&str>)> = keys.iter().map(|key| (key.as_str(), Some("value"))).collect();
    store.apply(&mut [(TABLE, rows(&all))], &[(SLOT, position(10))]).unwrap();
    store.close().unwrap();
    drop(store);
    let data = folder.path().join("data.mdb");
    let sound = fs::read(&data).unwrap();
    let used = sound.iter().rposition(|byte| *byte != 0).unwrap();
    let (mut rebuilt, mut kept) = (0, 0);
    for number in 0..300 {
        let mut bytes = sound.clone();
        match number % 3 {
            0 => bytes.truncate(used * number / 300),
            1 => bytes[used * number / 300] ^= 1 << (number % 8),
            _ => bytes[used * number / 300..][..512].fill(0),
        }
        let _ = fs::remove_file(folder.path().join("damaged.mdb"));
        fs::write(&data, &bytes).unwrap();
        fs::write(folder.path().join("state"), "clean\n").unwrap();
        let store = open(folder.path(), layout(&["a"]), options(Some("one")));
        match store.count(TABLE).unwrap() {
            0 => {
                assert_eq!(store.position(SLOT), SlicePosition::default());
                assert_eq!(
                    fs::read(folder.path().join("damaged.mdb")).unwrap(),
                    bytes,
                    "it is kept for who wants to look"
                );
                rebuilt += 1;
            }
            _ => {
                let found = texts(&store, TABLE, &KeyRange::all());
                assert!(found.len() == keys.len() && found.iter().zip(&keys).all(|((key, _), same)| key == same));
                assert!(found.iter().all(|(_, value)| value == "value"));
                assert_eq!(store.position(SLOT), position(10));
                kept += 1;
            }
        }
    }
    assert!(rebuilt > 200 && kept > 0, "{rebuilt} rebuilt, {kept} kept");
}

#[test]
fn a_store_that_was_put_elsewhere_is_refused_and_left_as_it_is() {
    let [one, two] = [(), ()].map(|()| tempfile::tempdir().unwrap());
    let of = |owner: &str| LmdbOptions { owner: Some(owner.to_owned()), ..options(Some("boot")) };
    fill(&open(one.path(), layout(&["a"]), of("shard 0")));
    fs::create_dir_all(two.path().join("moved")).unwrap();
    for file in ["data.mdb", "state"] {
        fs::copy(one.path().join(file), two.path().join("moved").join(file)).unwrap();
    }
    let refused = LmdbStore::open(&two.path().join("moved"), layout(&["a"]), of("shard 1")).err().unwrap();
    let told = refused.to_string();
    assert!(told.contains("belongs to shard 0, but shard 1 opens it") && told.contains("moved"), "{told}");
    assert!(is_filled(&open(&two.path().join("moved"), layout(&["a"]), of("shard 0"))));
    // Without an owner in the options, any store is accepted.
    assert!(is_filled(&open(one.path(), layout(&["a"]), options(Some("boot")))));
}

#[test]
fn the_file_of_a_small_store_is_small() {
    let folder = tempfile::tempdir().unwrap();
    fill(&open(folder.path(), layout(&["a"]), options(Some("one"))));
    let length = fs::metadata(folder.path().join("data.mdb")).unwrap().len();
    assert!(length <= 16 << 20, "{length} bytes are copied by who copies it");
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
    // The rows of a dropped table do not come back.
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
        // Reads go on while the map grows.
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

/// A disk with a given number of free bytes. No more than those can be reserved.
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

/// A disk that never has plenty of room. It remembers the start and end of the last reserved bytes.
#[derive(Default)]
struct ScarceDisk(Mutex<(u64, u64)>);

impl DiskSpace for ScarceDisk {
    fn available(&self, _: &Path) -> io::Result<u64> {
        Ok(0)
    }

    fn reserve(&self, _: &fs::File, start: u64, len: u64) -> io::Result<()> {
        *self.0.lock().unwrap() = (start, start + len);
        Ok(())
    }
}

#[test]
fn a_batch_takes_no_more_than_was_set_aside_for_it() {
    for (seed, len) in [(1, 8), (2, 100), (3, 700), (4, 1_400), (5, 2_100), (6, 9_000)] {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(ScarceDisk::default());
        let options = LmdbOptions { disk_space: disk.clone(), ..LmdbOptions::default() };
        let store = open(folder.path(), layout(&["a", "b"]), options);
        let mut draw = seed;
        let mut next = |bound: u64| {
            draw = u64::wrapping_mul(draw, 6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (draw >> 24) % bound
        };
        let mut set_aside = u64::MAX;
        for _ in 0..120 {
            let mut changes = [(TableIndex(0), Rows::new()), (TableIndex(1), Rows::new())];
            let (rows, keys, removed) = (1 << next(11), 10 << next(12), next(3));
            for _ in 0..rows {
                let key = [&next(keys).to_be_bytes()[..], &vec![1; next(200) as usize]].concat();
                let value = vec![2; next(len * 2) as usize];
                changes[next(2) as usize].1.push(&key, (next(4) >= removed).then_some(&value[..]));
            }
            match next(40) {
                0 => store.clear().unwrap(),
                _ => store.apply(&mut changes, &[(SLOT, position(rows))]).unwrap(),
            }
            // The next batch starts where this one ended.
            let (start, end) = *disk.0.lock().unwrap();
            assert!(start <= set_aside, "{} bytes too few, values of {len} bytes", start - set_aside);
            set_aside = end;
        }
    }
}

/// A small disk that is mounted as long as this value lives.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Mounts a small disk. Returns `None` if this user may not mount one here.
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
fn a_disk_that_fills_up_is_an_error_and_no_crash() {
    for (len, keys) in [(10, 1 << 40), (500, 1 << 40), (500, 20_000), (3_000, 3_000), (30_000, 200)] {
        let Some(disk) = SmallDisk::mount("size=16m") else {
            eprintln!("not run: mounting a small disk needs more rights than this user has here");
            return;
        };
        let folder = disk.0.path().join("store");
        let store = open(&folder, layout(&["a"]), LmdbOptions::default());
        let mut draw = 1_u64;
        let mut batch = |rows: usize, tag: u64| {
            let mut batch = Rows::new();
            for _ in 0..rows {
                draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let value = [&tag.to_be_bytes()[..], &vec![3; (draw >> 20) as usize % len * 2]].concat();
                batch.push(&((draw >> 16) % keys).to_be_bytes(), (draw >> 60 > 0).then_some(&value[..]));
            }
            store.apply(&mut [(TABLE, batch)], &[(SLOT, position(tag))])
        };
        let (mut done, mut refused) = (0, 0);
        // Writes large batches until one is refused, and then small ones until those are refused
        // too. Some tables never fill the disk.
        for rows in [(1 << 18) / len + 1, 20, 1] {
            for _ in 0..400 {
                match batch(rows, done + 1) {
                    Ok(()) => done += 1,
                    Err(error) => {
                        assert!(matches!(&error, StoreError::Storage { .. }), "{error}");
                        assert!(error.to_string().contains("free some space"), "{error}");
                        refused += 1;
                        break;
                    }
                }
            }
        }
        assert!(
            done > 5 && (refused > 0 || keys < 1 << 40),
            "{done} batches of values of {len} bytes, {refused} refused"
        );
        // The rows in the store are whole.
        let scan = store.scan(TABLE, &KeyRange::all(), usize::MAX, SLOT).unwrap();
        assert_eq!(
            (scan.rows.len() as u64, scan.rows.bytes() as u64),
            (store.count(TABLE).unwrap(), store.bytes(TABLE).unwrap())
        );
        assert_eq!((store.position(SLOT), scan.position), (position(done), position(done)));
        store.close().unwrap();
    }
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
        assert!(error.to_string().contains("a file has the name of the folder"), "{error}");
    }
}
