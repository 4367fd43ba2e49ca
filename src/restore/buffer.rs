//! The buffer through which changelog records go into a store, for restores, standbys and copies of
//! global tables.
//!
//! # When a store is too old
//!
//! When a row is removed, compaction deletes its records and, after the changelog's
//! `delete.retention.ms`, also its tombstone. The start and the end of the log do not show this. A
//! store that did not read the tombstone in time would keep the row forever.
//!
//! So each store notes, beside its position, a time `as_of`: it knows of all rows that were removed
//! before that time. The tombstones that it lacks were written later, and can be read until the
//! retention is over ([`TombstoneRetention::is_over`]). After that the store is *outlived* and must
//! be rebuilt.
//!
//! `as_of` moves forward when the log was read to an end in time. Its new value is the time just
//! before that end was looked up. On a log to which nothing is written, the end is looked up again
//! and again ([`RestoreBuffer::look_to`]), so that `as_of` does not grow old.

use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{Clock, Offset, Partition, RecordBatch, Source, Timestamp};
use marlowe_state::{MAX_KEY_BYTES, PositionSlot, Rows, SlicePosition, Store, TableIndex};

use crate::codec::CodecError;
use crate::config::TombstoneRetention;
use crate::error::RunError;
use crate::table::{AnyTable, ChangelogKey, INBOX_HEADER, escaped};
use crate::topology::TableKind;

/// The most records, and the most bytes, that are collected before they are written. Writing large
/// sorted chunks costs a store a fraction of the cost of small ones. A slice that fits into one
/// chunk is written from its first row to its last, page after page.
const CHUNK_RECORDS: usize = 4_000_000;
const CHUNK_BYTES: usize = 64 << 20;

/// Changelog records on their way into a store.
pub(crate) struct RestoreBuffer {
    store: Arc<dyn Store>,
    logs: BTreeMap<Source, Log>,
    chunk: Vec<(TableIndex, Rows)>,
    bytes: usize,
    records: usize,
    /// Set when something was read that is not written yet.
    unwritten: bool,
    key: Vec<u8>,
    clock: Arc<dyn Clock>,
}

/// A changelog partition, and how far it was read.
struct Log {
    table: &'static dyn AnyTable,
    index: TableIndex,
    slot: PositionSlot,
    partition: Partition,
    position: Offset,
    end: Offset,
    /// The time at which the end was looked up, or an earlier one.
    looked_at: Timestamp,
    /// The store knows of all rows that were removed before this time.
    as_of: Timestamp,
    retention: TombstoneRetention,
    /// The latest position in the table's inbox that a record named. Only records of global tables
    /// name one.
    inbox: Option<Offset>,
    undecodable: UndecodableKeys,
}

/// A part of a changelog that is to be read into a store.
#[derive(Clone, Copy)]
pub(crate) struct ChangelogRange {
    pub(crate) table: &'static dyn AnyTable,
    pub(crate) index: TableIndex,
    pub(crate) slot: PositionSlot,
    pub(crate) partition: Partition,
    pub(crate) from: Offset,
    pub(crate) end: Offset,
    /// The time at which the end was looked up, or an earlier one.
    pub(crate) looked_at: Timestamp,
    /// The store knows of all rows that were removed before this time.
    pub(crate) as_of: Timestamp,
    /// How long after `as_of` the store can still learn of the removals that it lacks.
    pub(crate) retention: TombstoneRetention,
}

impl Log {
    fn is_at_end(&self) -> bool {
        self.position >= self.end
    }

    /// Returns whether the store's `as_of` must be renewed, although no record came.
    fn has_aged(&self) -> bool {
        self.is_at_end() && self.looked_at.since(self.as_of) >= self.retention.note_every()
    }

    /// Moves `as_of` forward if the log was read to its end in time. The store then knows of all
    /// rows that were removed before the end was looked up.
    fn renew(&mut self, now: Timestamp) {
        if self.is_at_end() && !self.retention.is_over(self.as_of, now) {
            self.as_of = self.looked_at;
        }
    }
}

/// The keys of a changelog that do not decode. They are rows that no program can address, and they
/// stay in the log.
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

    /// Warns about the keys that were noted since the last time.
    fn report(&mut self, table: &str, partition: Partition) {
        if let Some(first) = self.first.take() {
            let count = std::mem::take(&mut self.count);
            tracing::warn!(
                "table `{table}`, partition {partition}: {count} records of its changelog have keys that do not \
                 decode, and are skipped, the first of them {first}; to read them, declare the table with the key \
                 type that they were written with"
            );
        }
    }
}

impl RestoreBuffer {
    /// Creates a buffer for `store` that has no logs yet.
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let (logs, chunk, key) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { store, logs, chunk, bytes: 0, records: 0, unwritten: false, key, clock }
    }

    /// Adds a log whose records come from `source`.
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

    /// Returns whether every log was read to its end. This is decided by position, because markers
    /// and gaps are not records.
    pub(crate) fn is_done(&self) -> bool {
        self.logs.values().all(|log| log.position >= log.end)
    }

    /// Returns how many offsets are still to be read.
    pub(crate) fn remaining(&self) -> u64 {
        self.logs.values().map(|log| log.position.distance_to(log.end)).sum()
    }

    /// Returns how far a log was read.
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
            // A record without a key is not a row.
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
                // No table writes such a key, and no store could keep it. An error here would stop
                // the worker at each start.
                let (topic, partition, offset) = (&log.table.identity().changelog, log.partition, record.offset);
                tracing::error!(
                    "{topic}[{partition}]@{offset}: a record that is not a row of the table is skipped: {error}; \
                     another producer wrote it: let only this app write to its changelogs"
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

    /// Returns whether enough was collected to be written.
    pub(crate) fn is_full(&self) -> bool {
        self.records >= CHUNK_RECORDS || self.bytes >= CHUNK_BYTES
    }

    /// Returns how many bytes of records were collected.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns whether there is something to write: records that were collected since the last
    /// time, or a new `as_of`.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.unwritten || self.logs.values().any(Log::has_aged)
    }

    /// Returns whether tombstones may be gone that the store lacks, so that it must be rebuilt.
    pub(crate) fn is_outlived(&self) -> bool {
        let now = self.clock.now();
        self.logs.values().any(|log| log.retention.is_over(log.as_of, now))
    }

    /// Sets the end of a log. `looked_at` is a time before the end was looked up. An end that was
    /// set earlier stays until it is reached.
    pub(crate) fn look_to(&mut self, source: Source, end: Offset, looked_at: Timestamp) {
        let Some(log) = self.logs.get_mut(&source) else { return };
        if log.is_at_end() {
            log.renew(looked_at);
            (log.end, log.looked_at) = (end, looked_at);
        }
    }

    /// Writes the collected records, together with the positions that go with them.
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
