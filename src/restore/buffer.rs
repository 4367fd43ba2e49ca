use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{Clock, Offset, Partition, RecordBatch, Source, Timestamp};
use marlowe_state::{MAX_KEY_BYTES, PositionSlot, Rows, SlicePosition, Store, TableIndex};

use crate::codec::CodecError;
use crate::config::TombstoneRetention;
use crate::error::RunError;
use crate::table::{AnyTable, ChangelogKey, INBOX_HEADER, escaped};
use crate::topology::TableKind;

/// How many records are collected before they are written: large sorted chunks cost a store a fraction of small ones.
/// A slice that fits into one is written from its first row to its last, page after page.
const CHUNK_RECORDS: usize = 4_000_000;
const CHUNK_BYTES: usize = 64 << 20;

/// Changelog records on their way into a store.
pub(crate) struct RestoreBuffer {
    store: Arc<dyn Store>,
    logs: BTreeMap<Source, Log>,
    chunk: Vec<(TableIndex, Rows)>,
    bytes: usize,
    records: usize,
    /// Whether something was read that is not written.
    unwritten: bool,
    key: Vec<u8>,
    clock: Arc<dyn Clock>,
}

/// One changelog partition.
struct Log {
    table: &'static dyn AnyTable,
    index: TableIndex,
    slot: PositionSlot,
    partition: Partition,
    position: Offset,
    end: Offset,
    /// When the end was looked up.
    looked_at: Timestamp,
    /// As of when the store knows of all removed rows.
    as_of: Timestamp,
    retention: TombstoneRetention,
    /// The position in the table's inbox that the last record told, where they tell it.
    inbox: Option<Offset>,
    undecodable: UndecodableKeys,
}

/// Which changelog to read, to where.
#[derive(Clone, Copy)]
pub(crate) struct ChangelogRange {
    pub(crate) table: &'static dyn AnyTable,
    pub(crate) index: TableIndex,
    pub(crate) slot: PositionSlot,
    pub(crate) partition: Partition,
    pub(crate) from: Offset,
    pub(crate) end: Offset,
    /// When the end was looked up, or before.
    pub(crate) looked_at: Timestamp,
    /// As of when the store knows of all rows that were removed.
    pub(crate) as_of: Timestamp,
    /// For how long after that it can learn of what it lacks.
    pub(crate) retention: TombstoneRetention,
}

impl Log {
    fn is_at_end(&self) -> bool {
        self.position >= self.end
    }

    /// Whether the store's note of its age is to be renewed, though nothing came.
    fn has_aged(&self) -> bool {
        self.is_at_end() && self.looked_at.since(self.as_of) >= self.retention.note_every()
    }

    /// Where the log was read to its end in time, the store knows of all rows that were removed until the end was looked up.
    fn renew(&mut self, now: Timestamp) {
        if self.is_at_end() && !self.retention.is_over(self.as_of, now) {
            self.as_of = self.looked_at;
        }
    }
}

/// Keys of a changelog that do not decode: rows that nobody can address. They stay in the log.
#[derive(Default)]
struct UndecodableKeys {
    count: u64,
    first: Option<String>,
}

impl UndecodableKeys {
    fn note(&mut self, key: &[u8], at: Offset, reason: &CodecError) {
        self.count += 1;
        self.first.get_or_insert_with(|| format!("{} at offset {at}: {reason}", escaped(key)));
    }

    /// Says what was noted since the last time.
    fn report(&mut self, table: &str, partition: Partition) {
        if let Some(first) = self.first.take() {
            let count = std::mem::take(&mut self.count);
            tracing::warn!(
                "table `{table}`, partition {partition}: {count} records of its changelog have keys that do not decode, and are                  passed over, the first of them {first}; declare the table with the key type they were written with to read them"
            );
        }
    }
}

impl RestoreBuffer {
    /// Nothing yet.
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let (logs, chunk, key) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { store, logs, chunk, bytes: 0, records: 0, unwritten: false, key, clock }
    }

    /// Takes in the records of a log, which come from `source`.
    pub(crate) fn add(&mut self, source: Source, log: ChangelogRange) {
        let ChangelogRange { table, index, slot, partition, from, end, looked_at, as_of, retention } = log;
        let log = Log {
            table,
            index,
            slot,
            partition,
            position: from,
            end,
            looked_at,
            as_of,
            retention: retention.while_reading(),
            inbox: None,
            undecodable: UndecodableKeys::default(),
        };
        self.logs.insert(source, log);
        if !self.chunk.iter().any(|(known, _)| *known == index) {
            self.chunk.push((index, Rows::new()));
        }
    }

    /// Whether every log was read to the end it had. By position: markers and gaps are no records.
    pub(crate) fn is_done(&self) -> bool {
        self.logs.values().all(|log| log.position >= log.end)
    }

    /// How many offsets are still to be read.
    pub(crate) fn remaining(&self) -> u64 {
        self.logs.values().map(|log| log.position.distance_to(log.end)).sum()
    }

    /// How far a log was read.
    pub(crate) fn position(&self, source: Source) -> Offset {
        self.logs.get(&source).map_or(Offset::ZERO, |log| log.position)
    }

    /// Collects a whole batch.
    pub(crate) fn take(&mut self, source: Source, batch: &dyn RecordBatch) {
        let Some(log) = self.logs.get_mut(&source) else { return };
        let rows = self.chunk.iter_mut().find(|(index, _)| *index == log.index).map(|(_, rows)| rows);
        let Some(rows) = rows else { return };
        for index in 0..batch.len() {
            let record = batch.get(index);
            // What has no key is no row.
            let Some(log_key) = record.key else { continue };
            let key = ChangelogKey::read(log_key);
            if log.table.identity().kind == TableKind::Global {
                let headers = batch.headers(index);
                let inbox = headers.iter().find(|header| header.name == INBOX_HEADER).and_then(|header| header.value);
                log.inbox = log.inbox.max(inbox.and_then(read_number).map(Offset::new));
            }
            let ChangelogKey::Row(topic_key) = key else { continue };
            let key = if log.table.same_key_bytes() {
                topic_key
            } else {
                self.key.clear();
                if let Err(error) = log.table.ordered_key(topic_key, &mut self.key) {
                    log.undecodable.note(topic_key, record.offset, &error);
                    continue;
                }
                &self.key
            };
            if key.len() > MAX_KEY_BYTES
                && let Err(error) = log.table.check_length(key)
            {
                // No table writes such a key, and no store could keep it. To stop here would be to stop at each start.
                let (topic, partition, offset) = (&log.table.identity().changelog, log.partition, record.offset);
                tracing::error!(
                    "{topic}[{partition}]@{offset}: a record that is no row of the table is passed over: {error}; another \
                     producer wrote it there"
                );
                continue;
            }
            self.records += 1;
            rows.push(key, record.value);
        }
        self.bytes += batch.size();
        log.position = batch.next_offset();
        self.unwritten = true;
    }

    /// Whether so much has come together that it should be written.
    pub(crate) fn is_full(&self) -> bool {
        self.records >= CHUNK_RECORDS || self.bytes >= CHUNK_BYTES
    }

    /// How many bytes of records were collected.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is something to write: what was collected since the last time, or how old the store is.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.unwritten || self.logs.values().any(Log::has_aged)
    }

    /// Whether tombstones may be gone that the store lacks, so that it has to be rebuilt.
    pub(crate) fn is_outlived(&self) -> bool {
        let now = self.clock.now();
        self.logs.values().any(|log| log.retention.is_over(log.as_of, now))
    }

    /// A log's end was looked up, and before that the time. One that was looked up before counts until it is reached.
    pub(crate) fn look_to(&mut self, source: Source, end: Offset, looked_at: Timestamp) {
        let Some(log) = self.logs.get_mut(&source) else { return };
        if log.is_at_end() {
            log.renew(looked_at);
            (log.end, log.looked_at) = (end, looked_at);
        }
    }

    /// Writes what was collected, with the positions that go with it.
    pub(crate) fn write(&mut self) -> Result<(), RunError> {
        let now = self.clock.now();
        let store = &self.store;
        let positions: Vec<_> = self
            .logs
            .values_mut()
            .map(|log| {
                log.renew(now);
                log.undecodable.report(log.table.name(), log.partition);
                let inbox = log.inbox.unwrap_or(store.position(log.slot).inbox);
                (log.slot, SlicePosition { changelog: log.position, inbox, as_of: log.as_of })
            })
            .collect();
        self.store.apply(&mut self.chunk, &positions).map_err(RunError::store("restoring a store"))?;
        self.chunk.iter_mut().for_each(|(_, rows)| rows.clear());
        self.records = 0;
        self.bytes = 0;
        self.unwritten = false;
        Ok(())
    }
}

pub(crate) fn read_number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}
