//! The import of a Faust app's tables: their rows are read, checked and copied before any worker
//! starts.
//!
//! # All or nothing
//!
//! - All partitions of all tables are read and checked first, and only then read again and written.
//!   So one record that does not fit keeps all of them out.
//! - A partition is written in one transaction, whose first record is a mark with a value, so that
//!   compaction keeps it. A partition with any committed record is therefore already imported, or
//!   the table has records of its own. It is left alone.
//! - The transactional id names the table and the partition. So of several processes one imports a
//!   partition. A process that is fenced waits and looks again.
//!
//! The last record of each key counts, as in a compacted log. Its key and value are converted from
//! JSON, which Faust writes, into the table's own form.
//!
//! Agents then begin where the Faust app's group was, if their own app has no position
//! ([`beginnings`]).

use std::collections::BTreeMap;
use std::fmt::Display;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{
    Broker, BrokerError, CommittedOffset, Isolation, NewRecord, Offset, OffsetSpec, Partition, Partitioner, RecordRef,
    Timestamp, TopicPartition,
};
use serde_json::Value;

use crate::backoff::Backoff;
use crate::error::RunError;
use crate::program::Program;
use crate::table::{AnyTable, ChangelogKey, Keyspace, Mark};
use crate::topology::Topology;

/// The first wait for another process that has begun, before this one looks again. Each further
/// wait is twice as long, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Returns where agents begin in partitions in which their app has no position: at the position of
/// the Faust app's group if the app takes one over, and otherwise at the first record.
pub(crate) async fn beginnings(
    faust_app: Option<&str>,
    broker: &dyn Broker,
    topic: &Arc<str>,
    partitions: &[Partition],
) -> Result<Vec<Offset>, RunError> {
    let failed = || RunError::broker(format!("looking up where to begin in `{topic}`"));
    let earliest = broker.offsets(topic, partitions, OffsetSpec::Earliest).await.map_err(failed())?;
    let Some(faust_app) = faust_app else { return Ok(earliest) };
    let at = |partition: &Partition| TopicPartition { topic: topic.clone(), partition: *partition };
    let sources: Vec<TopicPartition> = partitions.iter().map(at).collect();
    let committed = broker.committed(faust_app, &sources).await.map_err(failed())?;
    let begin = |(earliest, committed): (Offset, Option<CommittedOffset>)| {
        committed.map_or(earliest, |committed| committed.offset.max(earliest))
    };
    Ok(earliest.into_iter().zip(committed).map(begin).collect())
}

/// Checks, before any topic is created, that the tables to import can be imported as they are
/// declared. Tables that have a changelog may already have been imported, so their Faust topics are
/// not looked up.
pub(crate) async fn may_be_taken_over(
    program: &Program,
    topology: &Topology,
    broker: &dyn Broker,
    has_changelog: impl Fn(&Arc<str>) -> bool,
) -> Result<(), RunError> {
    for table in takings(program, topology) {
        table.declared(program)?;
        if !has_changelog(&table.table.identity().changelog) {
            table.fits(broker).await?;
        }
    }
    Ok(())
}

/// Imports the rows of a Faust app's tables before anything runs, for all tables that are declared
/// so and have no records yet.
///
/// Everything is read and checked first, and then read again and written.
pub(crate) async fn take_over(program: &Program, topology: &Topology, broker: &dyn Broker) -> Result<(), RunError> {
    let mut left = Vec::new();
    for table in takings(program, topology) {
        let partitions = table.left(broker).await?;
        if !partitions.is_empty() {
            table.fits(broker).await?;
            left.push((table, partitions));
        }
    }
    for (table, partitions) in &left {
        for partition in partitions {
            table.read(broker, *partition).await?;
        }
    }
    for (table, partitions) in left {
        let mut rows = 0;
        for partition in partitions {
            rows += table.take(broker, &program.app, partition).await?;
        }
        tracing::info!("table `{}` begins with {rows} rows of `{}`", table.table.name(), table.from);
    }
    Ok(())
}

fn takings(program: &Program, topology: &Topology) -> impl Iterator<Item = FaustImport> {
    program.tables.iter().filter_map(|table| {
        let faust_app = table.takes_over()?;
        let from = format!("{faust_app}-{}-changelog", table.name()).into();
        let partitions = topology.partitions.get(&table.identity().changelog).copied().unwrap_or(1);
        Some(FaustImport { table: *table, faust_app, from, partitions })
    })
}

/// A table that is to be imported.
struct FaustImport {
    table: &'static dyn AnyTable,
    faust_app: Arc<str>,
    /// The Faust table's changelog.
    from: Arc<str>,
    /// How many partitions the table has.
    partitions: u32,
}

/// The last record of a key in a Faust table's changelog.
struct Last {
    offset: Offset,
    timestamp: Timestamp,
    /// `None` if the row was removed.
    value: Option<Vec<u8>>,
}

/// A row in the table's own form.
struct ImportedRow {
    /// The JSON type of the Faust table's key.
    key_type: Discriminant<Value>,
    value: Vec<u8>,
    timestamp: Timestamp,
}

/// The rows by key, in the form that keys have in the topic.
type Rows = BTreeMap<Vec<u8>, ImportedRow>;

impl FaustImport {
    fn refused(&self, reason: String) -> RunError {
        RunError::TakeOver { table: self.table.name().clone(), from: self.from.clone(), reason }
    }

    /// Checks what can be checked without the broker.
    fn declared(&self, program: &Program) -> Result<(), RunError> {
        if self.faust_app == program.app {
            return Err(self.refused(format!(
                "it is the app's own changelog: give this app another id than the Faust app's, `{}`",
                program.app
            )));
        }
        match program.takes_over() {
            Some(first) if first != self.faust_app => Err(self.refused(format!(
                "another table is taken over from `{first}`, and an app can continue only one Faust app: make two apps"
            ))),
            _ => Ok(()),
        }
    }

    /// Checks that the Faust table exists and has as many partitions as this table.
    async fn fits(&self, broker: &dyn Broker) -> Result<(), RunError> {
        let found = broker.topic(&self.from).await.map_err(RunError::broker("looking up a Faust table"))?;
        match found.map(|topic| topic.partitions) {
            Some(partitions) if partitions == self.partitions => Ok(()),
            Some(partitions) => Err(self.refused(format!(
                "it has {partitions} partitions, and the table {}, so keys would be in other partitions: give the \
                 topics of this app as many partitions as they had in Faust, or declare the table with \
                 `.partitions({partitions})`",
                self.partitions
            ))),
            None => Err(self.refused(format!(
                "there is no such topic: `{}` must be the id of the Faust app (with its version, as in `app-v2`), and \
                 the table must have its name in Faust",
                self.faust_app
            ))),
        }
    }

    /// Returns the partitions in which the table has no record yet.
    async fn left(&self, broker: &dyn Broker) -> Result<Vec<Partition>, RunError> {
        let mut left = Vec::new();
        for partition in Partition::all(self.partitions) {
            if !self.has_records(broker, partition).await? {
                left.push(partition);
            }
        }
        Ok(left)
    }

    /// Returns whether the table has a committed record in a partition. An import that was broken
    /// off leaves others.
    async fn has_records(&self, broker: &dyn Broker, partition: Partition) -> Result<bool, RunError> {
        let own = TopicPartition { topic: self.table.identity().changelog.clone(), partition };
        let mut found = false;
        let see = |_: RecordRef<'_>| {
            found = true;
            ReadDecision::Stop
        };
        PartitionLog { broker, at: own }.read(see).await?;
        Ok(found)
    }

    /// Reads the Faust table's rows in a partition. Returns them in this table's form, and the end
    /// up to which they were read.
    async fn read(&self, broker: &dyn Broker, partition: Partition) -> Result<(Rows, Offset), RunError> {
        let mut lasts: BTreeMap<Vec<u8>, Last> = BTreeMap::new();
        let log = PartitionLog { broker, at: TopicPartition { topic: self.from.clone(), partition } };
        let take = |record: RecordRef<'_>| {
            // A record without a key is not a row.
            if let Some(key) = record.key {
                let value = record.value.map(<[u8]>::to_vec);
                lasts.insert(key.to_vec(), Last { offset: record.offset, timestamp: record.timestamp, value });
            }
            ReadDecision::GoOn
        };
        let end = log.read(take).await?;
        let mut lasts: Vec<(Vec<u8>, Last)> = lasts.into_iter().collect();
        lasts.sort_by_key(|(_, last)| last.offset);
        let mut rows = Rows::new();
        for (key, last) in lasts {
            let here = format!("the record at {}, offset {}, with key {}", log.at, last.offset, text(&key));
            self.add(&mut rows, partition, &key, last).map_err(|unfit| self.refused(format!("{here}: {unfit}")))?;
        }
        Ok((rows, end))
    }

    /// Adds a record to the rows, or returns why it cannot be a row.
    fn add(&self, rows: &mut Rows, partition: Partition, key: &[u8], last: Last) -> Result<(), String> {
        let unfit = |what: &str, reason: &dyn Display| {
            format!(
                "its {what} does not fit: {reason}; declare the table with the types of the Faust table, which are in \
                 JSON by default (tables with windows and tables of sets cannot be taken over)"
            )
        };
        let key_json: Result<Value, _> = serde_json::from_slice(key);
        let key = match &key_json {
            Ok(json) => self.table.key_from_json(json).map_err(|error| unfit("key", &error)),
            Err(error) => Err(unfit("key", error)),
        };
        let Some(value) = last.value else {
            // The same key may have been written in another form, such as with other escapes. A
            // record whose key is not valid has no row to remove.
            if let Ok(key) = key {
                rows.remove(&key);
            }
            return Ok(());
        };
        let (key, key_json) = (key?, key_json.unwrap_or_default());
        self.check_home(&key, partition)?;
        let mut ordered = Vec::new();
        self.table.ordered_key(&key, &mut ordered).map_err(|error| unfit("key", &error))?;
        self.table.check_length(&ordered).map_err(|error| error.to_string())?;
        let value = std::str::from_utf8(&value).map_err(|error| unfit("value", &error))?;
        let value = self.table.value_from_json(value).map_err(|error| unfit("value", &error))?;
        let row = ImportedRow { key_type: discriminant(&key_json), value, timestamp: last.timestamp };
        let earlier = rows.insert(key, row);
        if earlier.is_some_and(|earlier| earlier.key_type != discriminant(&key_json)) {
            return Err(unfit(
                "key",
                &"another row has the same key as a number or as text, and here both would be one row",
            ));
        }
        Ok(())
    }

    /// Checks that a row is at its key's home. Faust keeps a row in the partition of the event that
    /// wrote it.
    fn check_home(&self, key: &[u8], partition: Partition) -> Result<(), String> {
        let home = self.table.home(key, self.partitions);
        if self.table.keyspace() == Keyspace::PartitionLocal || home == partition {
            return Ok(());
        }
        let agrees = Partitioner::ALL.into_iter().find(|other| other.partition(key, self.partitions) == partition);
        let agrees = agrees.map(|other| format!("`.partitioner(Partitioner::{other:?})` if its producers use it, "));
        Err(format!(
            "its home is partition {home} (by {}), but Faust keeps a row in the partition of the event that wrote it; \
             declare the table {}`.partition_local()` if each partition has its own rows, or read the topic with an \
             agent that sends each row to the table's inbox",
            self.table.partitioner(),
            agrees.unwrap_or_default(),
        ))
    }

    /// Imports a partition, unless another process does.
    async fn take(&self, broker: &dyn Broker, app: &str, partition: Partition) -> Result<usize, RunError> {
        let mut backoff = Backoff::doubling(FIRST_WAIT, LONGEST_WAIT);
        loop {
            match self.write(broker, app, partition).await {
                Err(RunError::Broker { source: BrokerError::Fenced { .. }, .. }) => {
                    // Two processes would fence each other forever if neither waited longer each
                    // time.
                    backoff.wait().await;
                }
                done => return done,
            }
        }
    }

    async fn write(&self, broker: &dyn Broker, app: &str, partition: Partition) -> Result<usize, RunError> {
        let own = TopicPartition { topic: self.table.identity().changelog.clone(), partition };
        let failed = || RunError::broker(format!("taking {own} over from `{}`", self.from));
        // All processes use this id. From here on no other process can commit with it, and an
        // import that one has committed before is visible.
        let id = format!("{app}-{}-take-over-{partition}", self.table.name());
        let mut producer = broker.transactional_producer(&id).await.map_err(failed())?;
        if self.has_records(broker, partition).await? {
            return Ok(0);
        }
        let (rows, end) = self.read(broker, partition).await?;
        producer.begin().map_err(failed())?;
        let to = producer.destination(&own).map_err(failed())?;
        let mark = serde_json::json!({ "topic": self.from, "end": end.get() }).to_string();
        let mut send = |key: &[u8], value: &[u8], timestamp| {
            producer
                .send(to, NewRecord { timestamp, key: Some(key), value: Some(value), headers: &[] })
                .map_err(failed())
        };
        send(Mark::TakenOver.key(), mark.as_bytes(), Timestamp::default())?;
        let mut room = Vec::new();
        for (key, row) in &rows {
            send(ChangelogKey::of_row(key, &mut room), &row.value, row.timestamp)?;
        }
        producer.commit().await.map_err(failed())?;
        let now = broker.offsets(&self.from, &[partition], OffsetSpec::Latest).await.map_err(failed())?;
        if now.first().is_some_and(|now| *now > end) {
            tracing::warn!(
                "the Faust app still writes to `{}`: the records of partition {partition} from offset {end} on are \
                 not taken over; stop the Faust app, `reset` this app, and start it again",
                self.from
            );
        }
        Ok(rows.len())
    }
}

/// A partition that is to be read from its start to the end that it has now.
struct PartitionLog<'a> {
    broker: &'a dyn Broker,
    at: TopicPartition,
}

/// The decision to read on or to stop.
#[derive(PartialEq, Eq)]
enum ReadDecision {
    GoOn,
    Stop,
}

impl PartitionLog<'_> {
    /// Passes each committed record to `each`. Returns the end of the log.
    async fn read(&self, mut each: impl FnMut(RecordRef<'_>) -> ReadDecision) -> Result<Offset, RunError> {
        let failed = || RunError::broker(format!("reading {}", self.at));
        let offset = async |spec| {
            let found = self.broker.offsets(&self.at.topic, &[self.at.partition], spec).await.map_err(failed())?;
            Ok::<_, RunError>(found.first().copied().unwrap_or(Offset::ZERO))
        };
        let (start, end) = (offset(OffsetSpec::Earliest).await?, offset(OffsetSpec::Latest).await?);
        if start >= end {
            return Ok(end);
        }
        let mut reader = self.broker.reader(Isolation::ReadCommitted).map_err(failed())?;
        reader.assign(&self.at, start).map_err(failed())?;
        loop {
            for fetched in reader.poll().await.map_err(failed())? {
                let batch = &fetched.batch;
                for index in 0..batch.len() {
                    let record = batch.get(index);
                    if record.offset >= end || each(record) == ReadDecision::Stop {
                        return Ok(end);
                    }
                }
                if batch.next_offset() >= end {
                    return Ok(end);
                }
            }
        }
    }
}

/// Returns bytes as text for people to read.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
