//! Staging: encoding records into the batches of one partition, for producers and for compaction.

use std::sync::Arc;

use marlowe_broker::{NewRecord, Timestamp};

use crate::batch::{Batch, Entry, MOST_RECORDS, NULL, STAMPED};

/// Records on their way into one partition, encoded as its batches will hold them.
#[derive(Debug)]
pub(crate) struct Staging {
    /// The bytes of records at which a batch is closed and the next one begun.
    split: usize,
    entries: Vec<Entry>,
    data: Vec<u8>,
    closed: Vec<Arc<Batch>>,
    closed_bytes: usize,
}

impl Staging {
    /// Creates an empty staging area for batches of about `split` bytes: see the [storage's
    /// preference](crate::storage::Storage::batch_bytes).
    pub(crate) fn new(split: usize) -> Self {
        Self { split, entries: Vec::new(), data: Vec::new(), closed: Vec::new(), closed_bytes: 0 }
    }

    /// Adds a copy of `record`. `size` is the record's [`size`](NewRecord::size).
    #[inline]
    pub(crate) fn push(&mut self, record: &NewRecord<'_>, size: usize) {
        self.make_room(size);
        self.entries.push(Entry {
            delta: self.entries.len() as u32,
            start: self.data.len() as u32,
            key: record.key.map_or(NULL, |key| key.len() as u32),
            value: record.value.map_or(NULL, |value| value.len() as u32),
            timestamp: record.timestamp.millis(),
        });
        if let Some(key) = record.key {
            self.data.extend_from_slice(key);
        }
        if let Some(value) = record.value {
            self.data.extend_from_slice(value);
        }
        for header in record.headers {
            self.data.extend_from_slice(&(header.name.len() as u32).to_le_bytes());
            self.data.extend_from_slice(header.name.as_bytes());
            self.data.extend_from_slice(&header.value.map_or(NULL, |value| value.len() as u32).to_le_bytes());
            self.data.extend_from_slice(header.value.unwrap_or_default());
        }
    }

    /// Adds a copy of the record at `index` of `batch`, `delta` after the base of the batch that is
    /// being staged. A tombstone without a stamp gets the stamp `horizon`, the time from which it
    /// may be removed.
    pub(crate) fn copy(&mut self, batch: &Batch, index: usize, delta: u32, horizon: Timestamp) {
        let body = batch.body(index);
        let mut entry = Entry { delta, start: self.data.len() as u32, ..batch.entries()[index] };
        if entry.value == NULL {
            let key = batch.key(index).map_or(0, <[u8]>::len);
            entry.value = STAMPED;
            self.data.extend_from_slice(&body[..key]);
            self.data.extend_from_slice(&horizon.millis().to_le_bytes());
            self.data.extend_from_slice(&body[key..]);
        } else {
            self.data.extend_from_slice(body);
        }
        self.entries.push(entry);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.closed.is_empty()
    }

    pub(crate) fn split(&self) -> usize {
        self.split
    }

    /// Returns the bytes of the staged records.
    pub(crate) fn bytes(&self) -> usize {
        self.closed_bytes + self.data.len()
    }

    /// Returns whether the batch being filled is as large as a batch should get.
    pub(crate) fn is_full(&self) -> bool {
        self.data.len() >= self.split || self.entries.len() >= MOST_RECORDS
    }

    /// Takes all staged records, as batches that have no offsets yet.
    pub(crate) fn take(&mut self) -> Vec<Arc<Batch>> {
        self.close();
        self.closed_bytes = 0;
        std::mem::take(&mut self.closed)
    }

    /// Takes the staged records as one batch that has the offsets from `base` to before `next`.
    pub(crate) fn take_at(&mut self, base: u64, next: u64) -> Batch {
        Batch::at(base, next, hand_over(&mut self.entries), hand_over(&mut self.data))
    }

    /// Drops the staged records and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.data.clear();
        self.closed.clear();
        self.closed_bytes = 0;
    }

    #[inline]
    fn make_room(&mut self, size: usize) {
        if self.data.len() + size > self.split || self.entries.len() == MOST_RECORDS {
            self.close();
        }
        if self.data.capacity() - self.data.len() < size {
            self.grow(size);
        }
    }

    /// Doubles the capacity, but not past the size at which a batch is closed, so that a full batch
    /// wastes nothing.
    #[cold]
    fn grow(&mut self, size: usize) {
        let wanted = (self.data.capacity() * 2).clamp(1024, self.split).max(self.data.len() + size);
        self.data.reserve_exact(wanted - self.data.len());
    }

    #[cold]
    fn close(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        self.closed_bytes += self.data.len();
        self.closed.push(Arc::new(Batch::new(hand_over(&mut self.entries), hand_over(&mut self.data))));
    }
}

/// Takes the contents of a buffer. A buffer that is at least half full is given away itself, and a
/// new one of its capacity takes its place. Otherwise the contents are copied, and the buffer is
/// used again.
fn hand_over<T: Copy>(buffer: &mut Vec<T>) -> Vec<T> {
    if buffer.len() * 2 >= buffer.capacity() {
        let capacity = buffer.capacity();
        return std::mem::replace(buffer, Vec::with_capacity(capacity));
    }
    let fitting = buffer.as_slice().to_vec();
    buffer.clear();
    fitting
}
