use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use marlowe_broker::{Offset, Partition, RecordBatch, Source};
use marlowe_state::{PositionSlot, Rows, SlicePosition, Store, TableIndex};

use super::RunError;
use crate::program::Guarantee;
use crate::shard::CommittedInputs;
use crate::table::{AnyTable, EPOCH_KEY, INBOX_HEADER, INBOX_KEY, TAKEN_OVER_KEY, TableKind};
use crate::turn::Stamp;

/// How many records are collected before they are written: large sorted chunks cost a store a fraction of small ones.
/// A slice that fits into one is written from its first row to its last, page after page.
const CHUNK_RECORDS: usize = 4_000_000;
const CHUNK_BYTES: usize = 64 << 20;

/// Changelog records on their way into a store.
pub(crate) struct Tail {
    store: Arc<dyn Store>,
    logs: BTreeMap<Source, Log>,
    chunk: Vec<(TableIndex, Rows)>,
    bytes: usize,
    records: usize,
    /// Whether something was read that is not written.
    unwritten: bool,
    key: Vec<u8>,
    /// Whether records tell in which epoch they were written, and what they include.
    guarantee: Guarantee,
    /// What is committed: records that run ahead of it are passed over.
    committed: Option<CommittedInputs>,
}

/// One changelog partition.
struct Log {
    table: &'static dyn AnyTable,
    index: TableIndex,
    slot: PositionSlot,
    position: Offset,
    end: Offset,
    /// The position in the table's inbox that the last record told, where they tell it.
    inbox: Option<Offset>,
    /// The latest epoch that a record told.
    epoch: u64,
    /// Where the first record is that was passed over for what it includes, and the epoch there: the store's position stays before
    /// it, until it is certain that the row is written again.
    held: Option<(Offset, u64)>,
    /// Keys of records that were passed over.
    skipped: Vec<Vec<u8>>,
}

/// Which changelog to read, to where.
#[derive(Clone, Copy)]
pub(crate) struct LogPlan {
    pub(crate) table: &'static dyn AnyTable,
    pub(crate) index: TableIndex,
    pub(crate) slot: PositionSlot,
    pub(crate) partition: Partition,
    pub(crate) from: Offset,
    pub(crate) end: Offset,
}

impl Tail {
    /// Nothing yet. Records that run ahead of what is committed are passed over, if any may.
    pub(crate) fn new(store: Arc<dyn Store>, guarantee: Guarantee, committed: Option<CommittedInputs>) -> Self {
        let (logs, chunk, key) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { store, logs, chunk, bytes: 0, records: 0, unwritten: false, key, guarantee, committed }
    }

    /// Takes in the records of a log, which come from `source`.
    pub(crate) fn add(&mut self, source: Source, log: LogPlan) {
        let LogPlan { table, index, slot, from, end, .. } = log;
        let epoch = self.store.position(slot).epoch;
        let log = Log { table, index, slot, position: from, end, inbox: None, epoch, held: None, skipped: Vec::new() };
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
    pub(crate) fn take(&mut self, source: Source, batch: &dyn RecordBatch) -> Result<(), RunError> {
        self.take_part(source, batch, 0..batch.len())
    }

    /// Collects some of a batch's records. The position is then after them, and after the last one past the batch.
    pub(crate) fn take_part(
        &mut self,
        source: Source,
        batch: &dyn RecordBatch,
        part: Range<usize>,
    ) -> Result<(), RunError> {
        let Some(log) = self.logs.get_mut(&source) else { return Ok(()) };
        let rows = self.chunk.iter_mut().find(|(index, _)| *index == log.index).map(|(_, rows)| rows);
        let Some(rows) = rows else { return Ok(()) };
        for index in part.clone() {
            let record = batch.get(index);
            // What has no key is no row.
            let Some(topic_key) = record.key else { continue };
            if topic_key == TAKEN_OVER_KEY {
                continue;
            }
            // Of a time when the program was at least once, perhaps.
            if topic_key == EPOCH_KEY && self.guarantee == Guarantee::ExactlyOnce {
                continue;
            }
            if log.table.identity().kind == TableKind::Global || self.guarantee == Guarantee::AtLeastOnce {
                let headers = batch.headers(index);
                let find = |name| headers.iter().find(|header| header.name == name).map(|header| header.value);
                let stamp = find(Stamp::HEADER).and_then(Stamp::read);
                if let Some(stamp) = stamp {
                    if stamp.epoch < log.epoch {
                        log.skipped.push(topic_key.to_vec());
                        continue;
                    }
                    log.epoch = stamp.epoch;
                }
                if topic_key == EPOCH_KEY {
                    continue;
                }
                if let (Some(committed), Some(stamp)) = (&self.committed, stamp)
                    && committed.are_behind(stamp)
                {
                    log.held.get_or_insert((record.offset, log.epoch));
                    log.skipped.push(topic_key.to_vec());
                    continue;
                }
                if let Some(inbox) = find(INBOX_HEADER).and_then(read_number).map(Offset::new) {
                    log.inbox = log.inbox.max(Some(inbox));
                }
                if topic_key == INBOX_KEY && record.value.is_none() {
                    continue;
                }
            }
            self.records += 1;
            if log.table.same_key_bytes() {
                rows.push(topic_key, record.value);
                continue;
            }
            self.key.clear();
            log.table.ordered_key(topic_key, &mut self.key).map_err(|error| RunError::Codec {
                doing: format!("restoring table `{}` at {:?}", log.table.name(), record.offset),
                reason: error.to_string(),
            })?;
            rows.push(&self.key, record.value);
        }
        self.bytes += batch.size() * part.len() / batch.len().max(1);
        log.position = if part.end < batch.len() { batch.get(part.end).offset } else { batch.next_offset() };
        self.unwritten = true;
        Ok(())
    }

    /// Whether so much has come together that it should be written.
    pub(crate) fn is_full(&self) -> bool {
        self.records >= CHUNK_RECORDS || self.bytes >= CHUNK_BYTES
    }

    /// How many bytes of records were collected.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether something was collected since the last time it was written.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.unwritten
    }

    /// Writes what was collected, with the positions that go with it.
    pub(crate) fn write(&mut self) -> Result<(), RunError> {
        let positions: Vec<_> = self
            .logs
            .values()
            .map(|log| {
                let inbox = log.inbox.unwrap_or(self.store.position(log.slot).inbox);
                let (changelog, epoch) = log.held.unwrap_or((log.position, log.epoch));
                (log.slot, SlicePosition { changelog, inbox, epoch })
            })
            .collect();
        self.store.apply(&mut self.chunk, &positions).map_err(RunError::store("restoring a store"))?;
        self.chunk.iter_mut().for_each(|(_, rows)| rows.clear());
        self.records = 0;
        self.bytes = 0;
        self.unwritten = false;
        Ok(())
    }

    /// The latest epoch that any record told.
    pub(crate) fn epoch(&self) -> u64 {
        self.logs.values().map(|log| log.epoch).max().unwrap_or_default()
    }

    /// The tables, and the keys of records that were passed over since the last time.
    pub(crate) fn take_skipped(&mut self) -> Vec<(&'static dyn AnyTable, TableIndex, Vec<Vec<u8>>)> {
        self.logs.values_mut().map(|log| (log.table, log.index, std::mem::take(&mut log.skipped))).collect()
    }

    /// The rows of records that were passed over are written again, and read: positions are what they are.
    pub(crate) fn release(&mut self) {
        self.logs.values_mut().for_each(|log| log.held = None);
        self.unwritten = true;
    }

    /// Reads a table's log further, to what is its end by now.
    pub(crate) fn read_to(&mut self, table: TableIndex, end: Offset) {
        self.logs.values_mut().filter(|log| log.index == table).for_each(|log| log.end = log.end.max(end));
    }
}

fn read_number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}
