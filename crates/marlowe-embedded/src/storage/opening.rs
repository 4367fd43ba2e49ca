//! Opening a folder: what is checked first, and what the folder holds.
//!
//! The order is: lock the folder, check its file without LMDB, open the environment, check the
//! format's version, check the id and the owner, take the generations of this opening, and read
//! everything but the batches.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use heed::{Env, EnvOpenOptions, RoTxn, RwTxn, WithoutTls};
use marlowe_broker::{BrokerError, CommittedOffset, Partition as Number, Reads, TopicConfig};
use marlowe_lmdb::{CheckError, Content, SealedTable};

use super::failure::{damaged, failure, io_failure};
use super::format;
use super::groups::GroupNumbers;
use super::lock::FolderLock;
use crate::config::EmbeddedConfig;
use crate::group::generation_by;
use crate::partition::{Extent, Partition};
use crate::topic::Topic;

const FORMAT: &[u8] = b"format";
pub(super) const NEXT_PARTITION: &[u8] = b"next-partition";
const NEXT_GENERATION: &[u8] = b"next-generation";
const ID: &[u8] = b"id";
const OWNER: &[u8] = b"owner";

/// The names of the tables.
const TABLES: [&str; 7] = ["about", "topics", "extents", "batches", "groups", "positions", "reads"];

/// The number of generations that one opening of a folder may use. Members that come and go cannot
/// use up that many.
const GENERATIONS: u64 = 1 << 32;

/// The tables of a folder.
#[derive(Clone, Copy)]
pub(super) struct Tables {
    pub(super) about: SealedTable,
    pub(super) topics: SealedTable,
    pub(super) extents: SealedTable,
    pub(super) batches: SealedTable,
    pub(super) groups: SealedTable,
    pub(super) positions: SealedTable,
    pub(super) reads: SealedTable,
}

/// The contents of a folder when it was opened.
pub(crate) struct Held {
    pub(crate) topics: Vec<Arc<Topic>>,
    pub(crate) positions: Vec<(Arc<str>, Arc<Partition>, CommittedOffset)>,
    pub(crate) reads: Vec<(Arc<str>, Vec<Reads>)>,
    pub(crate) next_partition: u32,
    /// The broker's id.
    pub(crate) id: Arc<str>,
    /// The first generation of this opening's groups. It is later than all generations of earlier
    /// openings, whatever the clock says. This matters because records in topics carry a
    /// generation, and the newest one counts.
    pub(crate) generation: u64,
}

/// A folder that is open.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) env: Env<WithoutTls>,
    pub(super) tables: Tables,
    pub(super) groups: GroupNumbers,
    pub(super) held: Held,
    pub(super) lock: FolderLock,
}

/// Opens the folder, which is created if it is missing.
pub(super) fn open(path: &Path, config: &EmbeddedConfig) -> Result<Opened, BrokerError> {
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
    // Makes the files' names survive a power cut, as their contents do.
    std::fs::File::open(&path)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| io_failure("open", &path, &error))?;
    Ok(Opened { path, env, tables, groups, held, lock })
}

/// Opens the environment with as large a map as the address space allows. A map takes no space
/// before it is used.
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
        // SAFETY: the file is mapped into memory, and must not change except through this
        // environment. The folder's lock is held, so no other broker opens the file, in this
        // process or another. No flag that weakens LMDB's own locking is set.
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

/// Checks the folder's file before LMDB opens it. A new folder has no file. A folder that must hold
/// a certain broker may not be new.
fn check_file(path: &Path, config: &EmbeddedConfig) -> Result<(), BrokerError> {
    let refused = |found: String| Err(BrokerError::NotTheBroker { folder: path.display().to_string(), found });
    let content = match marlowe_lmdb::check(&path.join("data.mdb")) {
        Ok(content) => content,
        Err(CheckError::Damaged(damage)) => return refused(format!("has a damaged data.mdb: {damage}")),
        Err(CheckError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Content::default(),
        Err(CheckError::Io(error)) => return Err(io_failure("open", path, &error)),
    };
    // Nobody in LMDB's table of readers is alive, because this process holds the folder's lock.
    match std::fs::remove_file(path.join("lock.mdb")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io_failure("open", path, &error)),
        _ => {}
    }
    if content.tables.is_empty() {
        return match &config.expected_id {
            Some(id) => refused(format!("holds no broker, but broker {id} is expected there")),
            None => Ok(()),
        };
    }
    match TABLES.iter().find(|table| !content.tables.contains(**table)) {
        Some(table) => refused(format!("has a damaged data.mdb: its table `{table}` is missing")),
        None => Ok(()),
    }
}

/// Returns the broker's id, and gives a new broker one. Refuses a broker that is not the expected
/// one, or that belongs to another owner.
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
        return refused(format!("holds broker {id}, but broker {expected} is expected there"));
    }
    match (about.get(txn, OWNER).map_err(failed)?.map(text), &config.owner) {
        (Some(found), Some(owner)) if found != *owner => refused(format!("belongs to {found}, not to {owner}")),
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

/// Returns the first generation of this opening. It is the clock's, or the one after the
/// generations of the opening before if that is later.
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

/// Returns what the folder holds, without its batches, and the numbers of its groups.
fn held(
    path: &Path,
    tables: &Tables,
    txn: &RoTxn<'_>,
    tombstone_retention: Duration,
    (id, generation): (Arc<str>, u64),
) -> Result<(Held, GroupNumbers), BrokerError> {
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
    let next = next.and_then(|next| next.first_chunk()).map_or(0, |next| u32::from_le_bytes(*next));
    // Two topics must never share a partition's batches.
    let next_partition = partitions.keys().max().map_or(next, |last| next.max(last.saturating_add(1)));
    let groups = GroupNumbers {
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
            // Nothing was written to the partition yet.
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
    fn a_lost_partition_count_does_not_reuse_partitions() {
        let folder = tempfile::tempdir().unwrap();
        let config = EmbeddedConfig::default();
        let opened = open(folder.path(), &config).unwrap();
        let mut txn = opened.env.write_txn().unwrap();
        let topic = Topic::new(&TopicConfig::new("t", 3), Duration::ZERO, 7, &[]);
        opened.tables.topics.put(&mut txn, b"t", &format::write_topic(&topic, 7)).unwrap();
        opened.tables.about.delete(&mut txn, NEXT_PARTITION).unwrap();
        txn.commit().unwrap();
        drop(opened);
        assert_eq!(open(folder.path(), &config).unwrap().held.next_partition, 10);
    }

    #[test]
    fn a_format_to_come_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let config = EmbeddedConfig::default();
        for _ in 0..2 {
            match open(folder.path(), &config) {
                Ok(opened) => {
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
}
