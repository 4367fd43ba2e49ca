//! A batch of records: the unit in which records are stored, and in which readers get them.

use std::sync::Arc;

use marlowe_broker::{Header, Offset, RecordBatch, RecordRef, Timestamp};

/// The number of records at which a batch is closed, however small the records are.
pub(crate) const MOST_RECORDS: usize = 32 * 1024;

/// The length that marks a missing key, value or header value.
pub(crate) const NULL: u32 = u32::MAX;

/// The length that marks the missing value of a tombstone with a *stamp*. The stamp is the time
/// from which the cleaner may remove the tombstone, in 8 bytes.
pub(crate) const STAMPED: u32 = u32::MAX - 1;

/// The place of a record in its batch's data. Its key, its value or stamp, and its headers follow
/// each other there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// The record's offset, counted from the batch's base.
    pub(crate) delta: u32,
    /// The index of the record's first byte.
    pub(crate) start: u32,
    /// The key's length, or [`NULL`].
    pub(crate) key: u32,
    /// The value's length, [`NULL`] or [`STAMPED`].
    pub(crate) value: u32,
    /// The record's timestamp.
    pub(crate) timestamp: i64,
}

impl Entry {
    /// The size of an entry, in bytes, in memory and on disk.
    pub(crate) const SIZE: usize = 24;

    /// Returns the index at which the key and the value or stamp end, and the headers begin.
    pub(crate) fn end(&self) -> usize {
        let stamp = if self.value == STAMPED { 8 } else { 0 };
        self.start as usize + self.key_len() + self.value_len() + stamp
    }

    #[inline]
    fn key_len(&self) -> usize {
        if self.key == NULL { 0 } else { self.key as usize }
    }

    #[inline]
    fn value_len(&self) -> usize {
        if self.value >= STAMPED { 0 } else { self.value as usize }
    }
}

/// Records of one partition that were committed together, or that the cleaner merged. It has an
/// index, and the data that the index points into. All readers share the same batch.
#[derive(Debug)]
pub(crate) struct Batch {
    base: u64,
    next: u64,
    newest: i64,
    entries: Vec<Entry>,
    data: Vec<u8>,
}

impl Batch {
    /// Creates a batch that has no offsets yet: see [`place`](Self::place).
    pub(crate) fn new(entries: Vec<Entry>, data: Vec<u8>) -> Self {
        Self::at(0, entries.len() as u64, entries, data)
    }

    /// Creates the batch that takes the offsets from `base` to before `next`. Some of these offsets
    /// may have no record.
    pub(crate) fn at(base: u64, next: u64, entries: Vec<Entry>, data: Vec<u8>) -> Self {
        let newest = entries.iter().map(|entry| entry.timestamp).max().unwrap_or(i64::MIN);
        Self { base, next, newest, entries, data }
    }

    /// Returns whether the records follow each other and fill the data, and whether their offsets
    /// grow and lie within the batch.
    pub(crate) fn is_sound(&self) -> bool {
        let mut start = 0;
        let mut least = self.base;
        for (index, entry) in self.entries.iter().enumerate() {
            let offset = self.base + u64::from(entry.delta);
            if entry.start as usize != start || offset < least {
                return false;
            }
            (start, least) = (self.end(index), offset + 1);
            // The headers lie between a record's value and the next record.
            if self.data.get(entry.end()..start).is_none_or(|headers| !are_headers(headers)) {
                return false;
            }
        }
        start == self.data.len() && least <= self.next
    }

    /// Gives a new batch, whose records have no gaps, the offsets from `base` on. With `marker`, a
    /// marker after the records takes one more offset.
    pub(crate) fn place(&mut self, base: u64, marker: bool) {
        self.base = base;
        self.next = base + self.entries.len() as u64 + u64::from(marker);
    }

    /// Returns the offset that the first record had when the batch was written.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Returns the offset after the batch, and after its marker if it has one.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Returns the highest timestamp in the batch; `i64::MIN` for a batch without records.
    pub(crate) fn newest(&self) -> i64 {
        self.newest
    }

    /// Returns the size of the index and the data, in bytes, in memory and on disk.
    pub(crate) fn bytes(&self) -> usize {
        self.data.len() + self.entries.len() * Entry::SIZE
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    /// Returns all bytes of the record at `index`: key, value or stamp, headers.
    pub(crate) fn body(&self, index: usize) -> &[u8] {
        &self.data[self.entries[index].start as usize..self.end(index)]
    }

    /// Returns the key of the record at `index`.
    pub(crate) fn key(&self, index: usize) -> Option<&[u8]> {
        self.record(&self.entries[index]).key
    }

    /// Returns the time from which the tombstone at `index` may be removed, or `None` if the
    /// cleaner has not set it.
    pub(crate) fn stamp(&self, index: usize) -> Option<i64> {
        let entry = &self.entries[index];
        if entry.value != STAMPED {
            return None;
        }
        let start = entry.start as usize + entry.key_len();
        let stamp = self.data.get(start..start + 8)?;
        Some(i64::from_le_bytes(stamp.try_into().ok()?))
    }

    /// Returns the offset of the record at `index`.
    pub(crate) fn offset(&self, index: usize) -> u64 {
        self.base + u64::from(self.entries[index].delta)
    }

    /// Returns the number of records before `offset`.
    pub(crate) fn before(&self, offset: u64) -> usize {
        // A reader that reads on begins with the first record. A search would touch memory that
        // nothing else needs yet.
        if offset <= self.base {
            return 0;
        }
        self.entries.partition_point(|entry| self.base + u64::from(entry.delta) < offset)
    }

    /// Returns the records from `offset` on, which share this batch's memory.
    pub(crate) fn from(self: Arc<Self>, offset: u64) -> Arc<dyn RecordBatch> {
        match self.before(offset) {
            0 => self,
            first => Arc::new(Rest { batch: self, first }),
        }
    }

    fn end(&self, index: usize) -> usize {
        self.entries.get(index + 1).map_or(self.data.len(), |entry| entry.start as usize)
    }

    #[inline]
    fn record(&self, entry: &Entry) -> RecordRef<'_> {
        let start = entry.start as usize;
        let key_len = entry.key_len();
        let (key, value) = self.data[start..start + key_len + entry.value_len()].split_at(key_len);
        RecordRef {
            offset: Offset::new(self.base + u64::from(entry.delta)),
            timestamp: Timestamp::from_millis(entry.timestamp),
            key: (entry.key != NULL).then_some(key),
            value: (entry.value < STAMPED).then_some(value),
        }
    }

    fn headers_of(&self, index: usize) -> Vec<Header<'_>> {
        let mut rest = &self.data[self.entries[index].end()..self.end(index)];
        let mut headers = Vec::new();
        while let Some((Some(name), after)) = sized(rest) {
            let Some((value, after)) = sized(after) else { break };
            // It was a valid string when it was produced, so this never breaks off.
            let Ok(name) = std::str::from_utf8(name) else { break };
            headers.push(Header { name, value });
            rest = after;
        }
        headers
    }
}

/// Splits a length-prefixed piece off the front of `bytes`. The piece is `None` if its length is
/// [`NULL`]. Returns `None` if `bytes` is too short.
fn sized(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    match u32::from_le_bytes(*length) {
        NULL => Some((None, rest)),
        length => rest.split_at_checked(length as usize).map(|(piece, rest)| (Some(piece), rest)),
    }
}

/// Returns whether `bytes` consists of whole headers.
fn are_headers(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let Some((Some(name), after)) = sized(bytes) else { return false };
        let Some((_, after)) = sized(after) else { return false };
        if std::str::from_utf8(name).is_err() {
            return false;
        }
        bytes = after;
    }
    true
}

impl RecordBatch for Batch {
    #[inline]
    fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    fn get(&self, index: usize) -> RecordRef<'_> {
        self.record(&self.entries[index])
    }

    fn headers(&self, index: usize) -> Vec<Header<'_>> {
        self.headers_of(index)
    }

    fn next_offset(&self) -> Offset {
        Offset::new(self.next)
    }

    fn size(&self) -> usize {
        self.data.len()
    }
}

/// A batch without its first records, for a reader that starts inside the batch.
struct Rest {
    batch: Arc<Batch>,
    first: usize,
}

impl RecordBatch for Rest {
    #[inline]
    fn len(&self) -> usize {
        self.batch.entries.len() - self.first
    }

    #[inline]
    fn get(&self, index: usize) -> RecordRef<'_> {
        self.batch.record(&self.batch.entries[self.first + index])
    }

    fn headers(&self, index: usize) -> Vec<Header<'_>> {
        self.batch.headers_of(self.first + index)
    }

    fn next_offset(&self) -> Offset {
        self.batch.next_offset()
    }

    fn size(&self) -> usize {
        let start = self.batch.entries.get(self.first).map_or(self.batch.data.len(), |entry| entry.start as usize);
        self.batch.data.len() - start
    }
}

/// A batch without records, which moves a reader's position to this offset.
pub(crate) struct Gap(pub(crate) u64);

impl RecordBatch for Gap {
    fn len(&self) -> usize {
        0
    }

    fn get(&self, index: usize) -> RecordRef<'_> {
        panic!("index {index} of a batch of 0 records")
    }

    fn headers(&self, index: usize) -> Vec<Header<'_>> {
        panic!("index {index} of a batch of 0 records")
    }

    fn next_offset(&self) -> Offset {
        Offset::new(self.0)
    }

    fn size(&self) -> usize {
        0
    }
}
