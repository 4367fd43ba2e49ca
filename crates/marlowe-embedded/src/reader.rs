//! The reader of explicitly assigned partitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use marlowe_broker::{BoxFuture, BrokerError, Fetched, Offset, Reader, RecordBatch, Source, TopicPartition};
use tokio::sync::Notify;

use crate::batch::Gap;
use crate::handle::Handle;
use crate::partition::{Partition, Watcher};

/// The most batches that one poll returns.
const MOST_BATCHES: usize = 64;

/// The bytes of batches after which a poll adds no more.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// A reader of explicitly assigned partitions. It sees the same records with both isolation levels,
/// because a transaction is not shown before it is committed.
pub(crate) struct PartitionReader {
    handle: Arc<Handle>,
    wakened: Arc<Notify>,
    lines: BTreeMap<Source, Line>,
    next_source: u32,
    /// The source whose turn it is.
    turn: Source,
}

struct Line {
    partition: Arc<Partition>,
    watcher: Arc<Watcher>,
    position: u64,
    /// The offset up to which this poll may read.
    limit: u64,
    paused: bool,
}

impl PartitionReader {
    pub(crate) fn new(handle: Arc<Handle>) -> Self {
        Self { handle, wakened: Arc::default(), lines: BTreeMap::new(), next_source: 0, turn: Source(0) }
    }

    /// Returns what can be read now: one batch of each source in turn, round after round.
    fn collect(&mut self) -> Result<Vec<Fetched>, BrokerError> {
        let Self { handle, lines, turn, .. } = self;
        handle.ledger.glance(|| lines.values_mut().for_each(|line| line.limit = line.partition.end()));
        let mut fetched = Vec::new();
        let mut bytes = 0;
        loop {
            let before = fetched.len();
            let order: Vec<Source> = ready(lines, *turn..).chain(ready(lines, ..*turn)).collect();
            for source in order {
                if fetched.len() >= MOST_BATCHES || bytes >= MOST_BYTES {
                    *turn = source;
                    return Ok(fetched);
                }
                let Some(line) = lines.get_mut(&source) else { continue };
                match line.fetch(handle) {
                    Ok(batch) => {
                        bytes += batch.size();
                        fetched.push(Fetched { source, batch });
                    }
                    // The batches fetched so far are returned first. The next poll meets the error
                    // again.
                    Err(_) if !fetched.is_empty() => return Ok(fetched),
                    Err(error) => {
                        if matches!(error, BrokerError::OffsetOutOfRange { .. } | BrokerError::UnknownTopic { .. }) {
                            self.unassign(source);
                        }
                        return Err(error);
                    }
                }
                *turn = Source(source.0 + 1);
            }
            if fetched.len() == before {
                return Ok(fetched);
            }
        }
    }
}

/// Returns the sources in `range` that have a batch or an error to return.
fn ready(lines: &BTreeMap<Source, Line>, range: impl std::ops::RangeBounds<Source>) -> impl Iterator<Item = Source> {
    lines.range(range).filter(|(_, line)| line.is_ready()).map(|(source, _)| *source)
}

impl Line {
    fn is_ready(&self) -> bool {
        let at_rest = self.position == self.limit && self.position >= self.partition.start();
        !self.paused && (!at_rest || self.partition.is_deleted())
    }

    fn fetch(&mut self, handle: &Handle) -> Result<Arc<dyn RecordBatch>, BrokerError> {
        let found = if self.position < self.limit {
            handle.ledger.storage.seek(self.partition.id, self.position)?
        } else {
            None
        };
        // Checked after the seek, because the start is raised before batches are removed.
        self.partition.alive()?;
        let start = self.partition.start();
        if self.position < start || self.position > self.limit {
            return Err(BrokerError::OffsetOutOfRange {
                partition: self.partition.place.clone(),
                offset: Offset::new(self.position),
                start: Offset::new(start),
                end: Offset::new(self.partition.end()),
            });
        }
        let batch: Arc<dyn RecordBatch> = match found {
            Some(batch) => batch.from(self.position),
            None => Arc::new(Gap(self.limit)),
        };
        self.position = batch.next_offset().get();
        // A batch that the cleaner merged may reach past the limit.
        self.limit = self.limit.max(self.position);
        Ok(batch)
    }
}

impl Reader for PartitionReader {
    fn assign(&mut self, partition: &TopicPartition, offset: Offset) -> Result<Source, BrokerError> {
        let found = self.handle.ledger.catalog.partition(partition)?;
        let known = self.lines.iter_mut().find(|(_, line)| line.partition.id == found.id);
        if let Some((source, line)) = known {
            line.position = offset.get();
            return Ok(*source);
        }
        let source = Source(self.next_source);
        self.next_source += 1;
        let watcher = Arc::new(Watcher { reader: self.wakened.clone(), wants: AtomicBool::new(true) });
        found.watch(watcher.clone());
        let line = Line { partition: found, watcher, position: offset.get(), limit: 0, paused: false };
        self.lines.insert(source, line);
        Ok(source)
    }

    fn unassign(&mut self, source: Source) {
        if let Some(line) = self.lines.remove(&source) {
            line.partition.unwatch(&line.watcher);
        }
    }

    fn pause(&mut self, source: Source) {
        if let Some(line) = self.lines.get_mut(&source) {
            line.paused = true;
            line.watcher.wants.store(false, Ordering::Release);
        }
    }

    fn resume(&mut self, source: Source) {
        if let Some(line) = self.lines.get_mut(&source) {
            line.paused = false;
            line.watcher.wants.store(true, Ordering::Release);
        }
    }

    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<Fetched>, BrokerError>> {
        Box::pin(async {
            loop {
                let fetched = self.collect()?;
                if !fetched.is_empty() {
                    return Ok(fetched);
                }
                self.wakened.notified().await;
            }
        })
    }
}

impl Drop for PartitionReader {
    fn drop(&mut self) {
        for line in self.lines.values() {
            line.partition.unwatch(&line.watcher);
        }
    }
}
