use std::collections::HashMap;

use marlowe_broker::{Offset, Partition, Reader, Source, TopicPartition};
use marlowe_state::{PositionSlot, Rows, SlicePosition, Store, TableIndex};

use super::RunError;
use crate::table::{AnyTable, INBOX_HEADER, INBOX_KEY, INCLUDES_HEADER, TableKind};

/// How many records are collected before they are written: large sorted chunks cost a store a fraction of small ones.
/// A slice that fits into one is written from its first row to its last, page after page.
const CHUNK_RECORDS: usize = 4_000_000;
const CHUNK_BYTES: usize = 64 << 20;

/// Reads changelogs into a store.
pub(crate) struct Replay<'a> {
    store: &'a dyn Store,
    reader: Box<dyn Reader>,
    logs: HashMap<Source, Log>,
    chunk: Vec<(TableIndex, Rows)>,
    bytes: usize,
    records: usize,
    key: Vec<u8>,
    skip: Option<Skip<'a>>,
}

/// Whether a changelog record, by the input positions it includes, is passed over.
pub(crate) type Skip<'a> = Box<dyn Fn(&[u8]) -> bool + 'a>;

/// One changelog partition.
struct Log {
    table: &'static dyn AnyTable,
    index: TableIndex,
    slot: PositionSlot,
    position: Offset,
    /// Where it is done; `None` to follow it for ever.
    end: Option<Offset>,
    /// The position in the table's inbox that the last record told, where they tell it.
    inbox: Option<Offset>,
    /// Keys of records that were passed over.
    skipped: Vec<Vec<u8>>,
}

/// Which changelog to read, to where.
pub(crate) struct LogPlan {
    pub(crate) table: &'static dyn AnyTable,
    pub(crate) index: TableIndex,
    pub(crate) slot: PositionSlot,
    pub(crate) partition: Partition,
    pub(crate) from: Offset,
    pub(crate) end: Offset,
}

impl<'a> Replay<'a> {
    /// A replay that passes over the records that `skip` says, if any may have to be.
    pub(crate) fn new(store: &'a dyn Store, reader: Box<dyn Reader>, skip: Option<Skip<'a>>) -> Self {
        Self { store, reader, logs: HashMap::new(), chunk: Vec::new(), bytes: 0, records: 0, key: Vec::new(), skip }
    }

    pub(crate) fn add(&mut self, log: LogPlan) -> Result<(), RunError> {
        let partition = TopicPartition { topic: log.table.identity().changelog.clone(), partition: log.partition };
        let source = self
            .reader
            .assign(&partition, log.from)
            .map_err(RunError::broker(format!("restoring from {partition} at {}", log.from)))?;
        let LogPlan { table, index, slot, from, end, .. } = log;
        let log = Log { table, index, slot, position: from, end: Some(end), inbox: None, skipped: Vec::new() };
        self.logs.insert(source, log);
        if !self.chunk.iter().any(|(known, _)| *known == index) {
            self.chunk.push((index, Rows::new()));
        }
        Ok(())
    }

    /// Whether every log was read to the end it had. By position: markers and gaps are no records.
    pub(crate) fn is_done(&self) -> bool {
        self.logs.values().all(|log| log.end.is_none_or(|end| log.position >= end))
    }

    /// How many offsets are still to be read.
    pub(crate) fn remaining(&self) -> u64 {
        self.logs.values().filter_map(|log| Some(log.position.distance_to(log.end?))).sum()
    }

    /// Reads what there is next; writes it when enough has come together.
    pub(crate) async fn step(&mut self) -> Result<(), RunError> {
        let fetched = self.reader.poll().await.map_err(RunError::broker("restoring"))?;
        for fetched in fetched {
            let Some(log) = self.logs.get_mut(&fetched.source) else { continue };
            let rows = self.chunk.iter_mut().find(|(index, _)| *index == log.index).map(|(_, rows)| rows);
            let Some(rows) = rows else { continue };
            for index in 0..fetched.batch.len() {
                let record = fetched.batch.get(index);
                // What has no key is no row.
                let Some(topic_key) = record.key else { continue };
                if log.table.identity().kind == TableKind::Global || self.skip.is_some() {
                    let headers = fetched.batch.headers(index);
                    let find = |name| headers.iter().find(|header| header.name == name).map(|header| header.value);
                    if let (Some(skip), Some(includes)) = (&self.skip, find(INCLUDES_HEADER))
                        && skip(includes)
                    {
                        log.skipped.push(topic_key.to_vec());
                        continue;
                    }
                    if let Some(inbox) = find(INBOX_HEADER).and_then(read_inbox) {
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
            self.bytes += fetched.batch.size();
            log.position = fetched.batch.next_offset();
        }
        if self.records >= CHUNK_RECORDS || self.bytes >= CHUNK_BYTES {
            self.write()?;
        }
        Ok(())
    }

    /// Writes what was read, with the positions that go with it.
    pub(crate) fn write(&mut self) -> Result<(), RunError> {
        let positions: Vec<_> = self
            .logs
            .values()
            .map(|log| {
                let inbox = log.inbox.unwrap_or(self.store.position(log.slot).inbox);
                (log.slot, SlicePosition { changelog: log.position, inbox })
            })
            .collect();
        self.store.apply(&mut self.chunk, &positions).map_err(RunError::store("restoring a store"))?;
        self.chunk.iter_mut().for_each(|(_, rows)| rows.clear());
        self.records = 0;
        self.bytes = 0;
        Ok(())
    }

    /// The keys of records that were passed over, by table.
    pub(crate) fn skipped(&self) -> impl Iterator<Item = (&'static dyn AnyTable, TableIndex, &[Vec<u8>])> {
        self.logs.values().map(|log| (log.table, log.index, log.skipped.as_slice()))
    }
}

fn read_inbox(value: &[u8]) -> Option<Offset> {
    std::str::from_utf8(value).ok()?.parse().ok().map(Offset::new)
}
