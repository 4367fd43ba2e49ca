use std::collections::HashMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use heed::{Env, EnvOpenOptions, RoTxn, RwTxn, WithoutTls};
use marlowe_broker::{BrokerError, CommittedOffset, Partition as Number, Reads, TopicConfig};
use marlowe_lmdb::{CheckError, Content, SealedTable};
use parking_lot::Mutex;

use super::failure::{damaged, failure, io_failure};
use super::lock::FolderLock;
use super::tail::Tail;
use super::{Outline, Step, Storage, format};
use crate::batch::Batch;
use crate::config::EmbeddedConfig;
use crate::group::generation_by;
use crate::partition::{Extent, Partition};
use crate::topic::Topic;

const FORMAT: &[u8] = b"format";
const NEXT_PARTITION: &[u8] = b"next-partition";
const NEXT_GENERATION: &[u8] = b"next-generation";
const ID: &[u8] = b"id";
const OWNER: &[u8] = b"owner";

/// The names of the tables.
const TABLES: [&str; 7] = ["about", "topics", "extents", "batches", "groups", "positions", "reads"];

/// How many generations an opening of a folder may use: more than any number of members that come and go.
const GENERATIONS: u64 = 1 << 32;

/// Batches in a folder: one LMDB environment, in which each change is one transaction, synced to the disk.
pub(crate) struct Folder {
    path: PathBuf,
    env: Env<WithoutTls>,
    tables: Tables,
    groups: Mutex<Groups>,
    tail: Tail,
    // Last, so that the folder is free only when all else is closed.
    _lock: FolderLock,
}

/// The groups' numbers: names may be longer than a key.
#[derive(Default)]
struct Groups {
    numbers: HashMap<Arc<str>, u32>,
    next: u32,
    /// Those of the transaction being written.
    new: Vec<Arc<str>>,
}

impl Groups {
    fn find(&self, group: &str) -> Option<u32> {
        self.numbers.get(group).copied()
    }

    fn add(&mut self, group: &Arc<str>) -> u32 {
        let number = self.next;
        self.next += 1;
        self.numbers.insert(group.clone(), number);
        self.new.push(group.clone());
        number
    }

    fn keep_new(&mut self) {
        self.new.clear();
    }

    fn forget_new(&mut self) {
        for group in self.new.drain(..) {
            self.numbers.remove(&group);
        }
    }
}

#[derive(Clone, Copy)]
struct Tables {
    about: SealedTable,
    topics: SealedTable,
    extents: SealedTable,
    batches: SealedTable,
    groups: SealedTable,
    positions: SealedTable,
    reads: SealedTable,
}

/// What a folder held when it was opened.
pub(crate) struct Held {
    pub(crate) topics: Vec<Arc<Topic>>,
    pub(crate) positions: Vec<(Arc<str>, Arc<Partition>, CommittedOffset)>,
    pub(crate) reads: Vec<(Arc<str>, Vec<Reads>)>,
    pub(crate) next_partition: u32,
    /// The broker's.
    pub(crate) id: Arc<str>,
    /// The first generation of this opening's groups. It is later than all of earlier openings, whatever the clock says:
    /// what carries a generation is kept in topics, and the newest counts.
    pub(crate) generation: u64,
}

impl Folder {
    pub(crate) fn open(path: &Path, config: &EmbeddedConfig) -> Result<(Self, Held), BrokerError> {
        std::fs::create_dir_all(path).map_err(|error| io_failure("open", path, &error))?;
        let path = path.canonicalize().map_err(|error| io_failure("open", path, &error))?;
        let lock = FolderLock::acquire(&path)?;
        let failed = |error| failure("open", &path, error);
        check_file(&path, config)?;
        let env = open_env(&path, config.max_folder_bytes).map_err(failed)?;
        let mut txn = env.write_txn().map_err(failed)?;
        let mut table = |name: &str| SealedTable::create(&env, &mut txn, name).map_err(failed);
        let tables = Tables {
            about: table("about")?,
            topics: table("topics")?,
            extents: table("extents")?,
            batches: table("batches")?,
            groups: table("groups")?,
            positions: table("positions")?,
            reads: table("reads")?,
        };
        check_version(&path, tables.about, &mut txn)?;
        let id = identify(&path, tables.about, &mut txn, config)?;
        let generation = next_generation(&path, tables.about, &mut txn, generation_by(&*config.clock))?;
        let (held, groups) = held(&path, &tables, &txn, config.tombstone_retention, (id, generation))?;
        txn.commit().map_err(failed)?;
        // So that the files' names survive a power cut as their contents do.
        std::fs::File::open(&path)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| io_failure("open", &path, &error))?;
        let tail = Tail::new(config.cache_bytes);
        Ok((Self { path, env, tables, groups: Mutex::new(groups), tail, _lock: lock }, held))
    }

    fn write_all(&self, steps: &[Step], groups: &mut Groups) -> heed::Result<()> {
        let mut txn = self.env.write_txn()?;
        for step in steps {
            self.write_step(&mut txn, step, groups)?;
        }
        txn.commit()
    }

    fn write_step(&self, txn: &mut RwTxn<'_>, step: &Step, groups: &mut Groups) -> heed::Result<()> {
        let tables = &self.tables;
        match step {
            Step::CreateTopic { topic, next_partition } => {
                let first = topic.partitions.first().map_or(0, |partition| partition.id);
                let name = topic.description.name.as_bytes();
                tables.topics.put(txn, name, &format::write_topic(topic, first))?;
                tables.about.put(txn, NEXT_PARTITION, &next_partition.to_le_bytes())
            }
            Step::DeleteTopic(topic) => {
                tables.topics.delete(txn, topic.description.name.as_bytes())?;
                for partition in &topic.partitions {
                    tables.extents.delete(txn, &partition.id.to_be_bytes())?;
                    let (first, last) = (format::batch_key(partition.id, 0), format::batch_key(partition.id, u64::MAX));
                    let all = (Bound::Included(&first[..]), Bound::Included(&last[..]));
                    tables.batches.delete_range(txn, &all)?;
                }
                Ok(())
            }
            Step::Append { partition, batches, extent } => self.replace(txn, partition.id, &[], batches, extent),
            Step::Replace { partition, removed, added, extent } => {
                self.replace(txn, partition.id, removed, added, extent)
            }
            Step::Reads { group, reads } => {
                let number = self.number(txn, group, groups)?.to_be_bytes();
                match reads.is_empty() {
                    true => tables.reads.delete(txn, &number),
                    false => tables.reads.put(txn, &number, &format::write_reads(reads)),
                }
            }
            Step::Position { group, partition, committed } => {
                let number = self.number(txn, group, groups)?;
                let key = format::position_key(number, partition.id);
                match committed {
                    Some(committed) => tables.positions.put(txn, &key, &format::write_position(committed)),
                    None => tables.positions.delete(txn, &key),
                }
            }
        }
    }

    /// The number of a group, which it gets if it has none.
    fn number(&self, txn: &mut RwTxn<'_>, group: &Arc<str>, groups: &mut Groups) -> heed::Result<u32> {
        if let Some(number) = groups.find(group) {
            return Ok(number);
        }
        let number = groups.add(group);
        self.tables.groups.put(txn, &number.to_be_bytes(), group.as_bytes())?;
        Ok(number)
    }

    fn replace(
        &self,
        txn: &mut RwTxn<'_>,
        partition: u32,
        removed: &[u64],
        added: &[Arc<Batch>],
        extent: &Extent,
    ) -> heed::Result<()> {
        let batches = &self.tables.batches;
        for base in removed {
            batches.delete(txn, &format::batch_key(partition, *base))?;
        }
        for batch in added {
            let key = format::batch_key(partition, batch.base());
            batches.put_with(txn, &key, format::batch_size(batch), |space| format::write_batch(batch, space))?;
        }
        self.tables.extents.put(txn, &partition.to_be_bytes(), &format::write_extent(extent))
    }

    /// Looks at the bytes of the first batch that reaches past `offset`.
    fn look<T>(
        &self,
        partition: u32,
        offset: u64,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, BrokerError> {
        let failed = |error| failure("read", &self.path, error);
        let txn = self.env.read_txn().map_err(failed)?;
        let batches = &self.tables.batches;
        let key = format::batch_key(partition, offset);
        let own = |(found, _): &(&[u8], &[u8])| found.starts_with(&key[..4]);
        let before = batches.get_lower_than_or_equal_to(&txn, &key).map_err(failed)?.filter(own);
        let found = match before {
            Some((_, blob)) if format::read_outline(blob).is_some_and(|outline| outline.next > offset) => Some(blob),
            _ => batches.get_greater_than(&txn, &key).map_err(failed)?.filter(own).map(|(_, blob)| blob),
        };
        found.map(|blob| read(blob).ok_or_else(|| damaged(&self.path, "a batch"))).transpose()
    }
}

impl Storage for Folder {
    fn location(&self) -> String {
        self.path.display().to_string()
    }

    fn apply(&self, steps: &[Step]) -> Result<(), BrokerError> {
        let mut groups = self.groups.lock();
        if let Err(error) = self.write_all(steps, &mut groups) {
            groups.forget_new();
            return Err(failure("write to", &self.path, error));
        }
        groups.keep_new();
        for step in steps {
            match step {
                Step::Append { partition, batches, .. } => {
                    batches.iter().for_each(|batch| self.tail.add(partition.id, batch.clone()));
                }
                Step::Replace { partition, removed, .. } => {
                    removed.iter().for_each(|base| self.tail.remove(partition.id, *base));
                }
                Step::CreateTopic { .. } | Step::DeleteTopic(_) | Step::Position { .. } | Step::Reads { .. } => {}
            }
        }
        Ok(())
    }

    fn seek(&self, partition: u32, offset: u64) -> Result<Option<Arc<Batch>>, BrokerError> {
        if let Some(batch) = self.tail.find(partition, offset) {
            return Ok(Some(batch));
        }
        let found = self.read(partition, offset)?;
        if let Some(batch) = &found {
            self.tail.add(partition, batch.clone());
        }
        Ok(found)
    }

    fn read(&self, partition: u32, offset: u64) -> Result<Option<Arc<Batch>>, BrokerError> {
        self.look(partition, offset, format::read_batch)
    }

    fn outline(&self, partition: u32, offset: u64) -> Result<Option<Outline>, BrokerError> {
        self.look(partition, offset, format::read_outline)
    }
}

/// Opens the environment with as large a map as the address space lends: it takes no room before it is used.
fn open_env(path: &Path, limit: Option<usize>) -> heed::Result<Env<WithoutTls>> {
    const STEP: usize = 64 * 1024;
    const SIZES: [u64; 4] = [1 << 40, 64 << 30, 4 << 30, 1 << 30];
    let limit = limit.map(|limit| limit.max(STEP).next_multiple_of(STEP));
    let sizes: Vec<usize> = match limit {
        Some(limit) => vec![limit],
        None => SIZES.iter().filter_map(|size| usize::try_from(*size).ok()).collect(),
    };
    let mut refused = heed::Error::Mdb(heed::MdbError::MapFull);
    for size in sizes {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(size).max_dbs(7).max_readers(1024);
        // SAFETY: the file is mapped; it must not change but through this environment. The folder's lock is held, so no
        // other broker opens it, in this process or another, and no flag that weakens LMDB's own locking is set.
        #[allow(unsafe_code)]
        match unsafe { options.open(path) } {
            Ok(env) => return Ok(env),
            Err(heed::Error::Io(error)) if error.kind() == std::io::ErrorKind::OutOfMemory => {
                refused = heed::Error::Io(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

/// Checks the folder's file before it is opened. A new folder has none; one that must hold a certain broker may not be new.
fn check_file(path: &Path, config: &EmbeddedConfig) -> Result<(), BrokerError> {
    let refused = |found: String| Err(BrokerError::NotTheBroker { folder: path.display().to_string(), found });
    let content = match marlowe_lmdb::check(&path.join("data.mdb")) {
        Ok(content) => content,
        Err(CheckError::Damaged(damage)) => return refused(format!("has a damaged data.mdb: {damage}")),
        Err(CheckError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Content::default(),
        Err(CheckError::Io(error)) => return Err(io_failure("open", path, &error)),
    };
    // Whoever was in LMDB's list of readers is gone: the folder's lock is held.
    match std::fs::remove_file(path.join("lock.mdb")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io_failure("open", path, &error)),
        _ => {}
    }
    if content.tables.is_empty() {
        return match &config.expected_id {
            Some(id) => refused(format!("holds no broker, and broker {id} should be there")),
            None => Ok(()),
        };
    }
    match TABLES.iter().find(|table| !content.tables.contains(**table)) {
        Some(table) => refused(format!("has a damaged data.mdb: its table `{table}` is not there")),
        None => Ok(()),
    }
}

/// The broker's id, which a new one gets, if it is the one that is expected and its owner's.
fn identify(
    path: &Path,
    about: SealedTable,
    txn: &mut RwTxn<'_>,
    config: &EmbeddedConfig,
) -> Result<Arc<str>, BrokerError> {
    let failed = |error| failure("open", path, error);
    let refused = |found: String| Err(BrokerError::NotTheBroker { folder: path.display().to_string(), found });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let id = match about.get(txn, ID).map_err(failed)?.map(text) {
        Some(id) => id,
        None => {
            let id = format!("{:016x}", config.entropy.next());
            about.put(txn, ID, id.as_bytes()).map_err(failed)?;
            id
        }
    };
    if let Some(expected) = config.expected_id.as_ref().filter(|expected| **expected != id) {
        return refused(format!("holds broker {id}, and broker {expected} should be there"));
    }
    match (about.get(txn, OWNER).map_err(failed)?.map(text), &config.owner) {
        (Some(found), Some(owner)) if found != *owner => refused(format!("is of {found}, and not of {owner}")),
        (None, Some(owner)) => {
            about.put(txn, OWNER, owner.as_bytes()).map_err(failed)?;
            Ok(id.into())
        }
        _ => Ok(id.into()),
    }
}

fn check_version(path: &Path, about: SealedTable, txn: &mut RwTxn<'_>) -> Result<(), BrokerError> {
    let failed = |error| failure("open", path, error);
    let Some(found) = about.get(txn, FORMAT).map_err(failed)? else {
        return about.put(txn, FORMAT, &format::VERSION.to_le_bytes()).map_err(failed);
    };
    let version = found.first_chunk().map(|version| u32::from_le_bytes(*version));
    match version {
        Some(format::VERSION) => Ok(()),
        Some(version) => Err(BrokerError::Storage {
            action: "open",
            path: path.display().to_string(),
            reason: format!(
                "it has format {version} and this version of Marlowe knows format {}: use the version that wrote it, or a \
                 newer one",
                format::VERSION
            ),
        }),
        None => Err(damaged(path, "the format's version")),
    }
}

/// The first generation of this opening: that of the clock, or the one after those of the opening before.
fn next_generation(path: &Path, about: SealedTable, txn: &mut RwTxn<'_>, by_clock: u64) -> Result<u64, BrokerError> {
    let failed = |error| failure("open", path, error);
    let kept = match about.get(txn, NEXT_GENERATION).map_err(failed)? {
        Some(kept) => {
            let bytes = kept.first_chunk().ok_or_else(|| damaged(path, "the groups' generation"))?;
            u64::from_le_bytes(*bytes)
        }
        None => 0,
    };
    let generation = kept.max(by_clock);
    about.put(txn, NEXT_GENERATION, &generation.saturating_add(GENERATIONS).to_le_bytes()).map_err(failed)?;
    Ok(generation)
}

/// What the folder holds, without its batches; and the groups' numbers.
fn held(
    path: &Path,
    tables: &Tables,
    txn: &RoTxn<'_>,
    tombstone_retention: Duration,
    (id, generation): (Arc<str>, u64),
) -> Result<(Held, Groups), BrokerError> {
    let failed = |error| failure("open", path, error);
    let mut topics = Vec::new();
    let mut partitions = HashMap::new();
    for found in tables.topics.iter(txn).map_err(failed)? {
        let (name, bytes) = found.map_err(failed)?;
        let (config, first) = format::read_topic(name, bytes).ok_or_else(|| damaged(path, "a topic"))?;
        let topic = topic(path, tables, txn, (&config, first), tombstone_retention)?;
        partitions.extend(topic.partitions.iter().map(|partition| (partition.id, partition.clone())));
        topics.push(topic);
    }
    let mut names = HashMap::new();
    for found in tables.groups.iter(txn).map_err(failed)? {
        let (number, name) = found.map_err(failed)?;
        let number = number.first_chunk().map(|number| u32::from_be_bytes(*number));
        let name = std::str::from_utf8(name).ok().map(Arc::<str>::from);
        let (number, name) = number.zip(name).ok_or_else(|| damaged(path, "a group"))?;
        names.insert(number, name);
    }
    let mut positions = Vec::new();
    for found in tables.positions.iter(txn).map_err(failed)? {
        let (key, bytes) = found.map_err(failed)?;
        let position = format::read_position_key(key).and_then(|(group, partition)| {
            Some((names.get(&group)?.clone(), partitions.get(&partition)?.clone(), format::read_position(bytes)?))
        });
        positions.push(position.ok_or_else(|| damaged(path, "a group's position"))?);
    }
    let mut reads = Vec::new();
    for found in tables.reads.iter(txn).map_err(failed)? {
        let (number, bytes) = found.map_err(failed)?;
        let number = number.first_chunk().map(|number| u32::from_be_bytes(*number));
        let read = number.and_then(|number| Some((names.get(&number)?.clone(), format::read_reads(bytes)?)));
        reads.push(read.ok_or_else(|| damaged(path, "what a group reads"))?);
    }
    let next = tables.about.get(txn, NEXT_PARTITION).map_err(failed)?;
    let next_partition = next.and_then(|next| next.first_chunk()).map_or(0, |next| u32::from_le_bytes(*next));
    let groups = Groups {
        next: names.keys().max().map_or(0, |last| last + 1),
        numbers: names.into_iter().map(|(number, name)| (name, number)).collect(),
        new: Vec::new(),
    };
    Ok((Held { topics, positions, reads, next_partition, id, generation }, groups))
}

fn topic(
    path: &Path,
    tables: &Tables,
    txn: &RoTxn<'_>,
    (config, first): (&TopicConfig, u32),
    tombstone_retention: Duration,
) -> Result<Arc<Topic>, BrokerError> {
    let mut extents = Vec::with_capacity(config.partitions as usize);
    for number in Number::all(config.partitions) {
        let id = first + number.get();
        let bytes = tables.extents.get(txn, &id.to_be_bytes()).map_err(|error| failure("open", path, error))?;
        let extent = match bytes {
            Some(bytes) => format::read_extent(bytes).ok_or_else(|| damaged(path, "a partition's extent"))?,
            // Nothing was written to it yet.
            None => Extent::default(),
        };
        extents.push(extent);
    }
    Ok(Arc::new(Topic::new(config, tombstone_retention, first, &extents)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_to_come_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let config = EmbeddedConfig::default();
        for _ in 0..2 {
            match Folder::open(folder.path(), &config) {
                Ok((opened, _)) => {
                    let mut txn = opened.env.write_txn().unwrap();
                    opened.tables.about.put(&mut txn, FORMAT, &(format::VERSION + 1).to_le_bytes()).unwrap();
                    txn.commit().unwrap();
                }
                Err(error) => {
                    let told = error.to_string();
                    assert!(told.contains("has format 3") && told.contains("use the version that wrote it"), "{told}");
                    return;
                }
            }
        }
        panic!("it was opened");
    }

    #[test]
    fn a_topic_is_read_as_it_was_written_by_earlier_versions_too() {
        let plain = TopicConfig::new("t", 3).cleanup(marlowe_broker::Cleanup::Compact);
        let chosen = plain.clone().tombstone_retention(Duration::from_millis(5));
        for config in [plain.clone(), chosen.clone()] {
            let bytes = format::write_topic(&Topic::new(&config, Duration::ZERO, 7, &[]), 7);
            assert_eq!(format::read_topic(b"t", &bytes), Some((config, 7)));
        }
        let of_before = &format::write_topic(&Topic::new(&chosen, Duration::ZERO, 7, &[]), 7)[..20];
        assert_eq!(format::read_topic(b"t", of_before), Some((plain, 7)));
    }

    #[test]
    fn a_damaged_batch_is_told_and_not_read() {
        assert!(format::read_batch(&[]).is_none());
        assert!(format::read_batch(&[0xff; 40]).is_none());
        let entry = crate::batch::Entry { delta: 0, start: 0, key: 5, value: 5, timestamp: 0 };
        let mut blob = Vec::new();
        format::write_batch(&Batch::new(vec![entry], vec![0; 9]), &mut blob).unwrap();
        assert!(format::read_batch(&blob).is_none(), "its record reaches past its bytes");
    }
}
