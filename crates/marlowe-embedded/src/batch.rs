use std::sync::Arc;

use marlowe_broker::{Header, Offset, RecordBatch, RecordRef, Timestamp};

/// Records after which a batch is closed, however small they are.
pub(crate) const MOST_RECORDS: usize = 32 * 1024;

/// A key, value or header's value that is not there.
pub(crate) const NULL: u32 = u32::MAX;

/// A value that is not there, followed by the moment from which the cleaner may remove the tombstone.
pub(crate) const STAMPED: u32 = u32::MAX - 1;

/// Where a record lies in its batch's bytes: key, value (or stamp), headers, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Its offset, counted from the batch's base.
    pub(crate) delta: u32,
    /// Where its bytes begin.
    pub(crate) start: u32,
    /// The key's length, or [`NULL`].
    pub(crate) key: u32,
    /// The value's length, [`NULL`] or [`STAMPED`].
    pub(crate) value: u32,
    /// The record's timestamp.
    pub(crate) timestamp: i64,
}

impl Entry {
    /// The bytes of an entry, in memory as on disk.
    pub(crate) const SIZE: usize = 24;

    /// Where its key and value or stamp end, and its headers begin.
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

/// Records of one partition as they were committed together: an index, and the bytes it points into. Every reader is
/// handed the same one.
#[derive(Debug)]
pub(crate) struct Batch {
    base: u64,
    next: u64,
    newest: i64,
    entries: Vec<Entry>,
    data: Vec<u8>,
}

impl Batch {
    /// A batch that has no place in a partition yet: see [`place`](Self::place).
    pub(crate) fn new(entries: Vec<Entry>, data: Vec<u8>) -> Self {
        Self::at(0, entries.len() as u64, entries, data)
    }

    /// The batch that takes the offsets from `base` up to `next`, of which some may have no record.
    pub(crate) fn at(base: u64, next: u64, entries: Vec<Entry>, data: Vec<u8>) -> Self {
        let newest = entries.iter().map(|entry| entry.timestamp).max().unwrap_or(i64::MIN);
        Self { base, next, newest, entries, data }
    }

    /// Returns whether records lie one after the other and fill its bytes, and their offsets grow and lie within its own.
    pub(crate) fn is_sound(&self) -> bool {
        let mut start = 0;
        let mut least = self.base;
        for (index, entry) in self.entries.iter().enumerate() {
            let offset = self.base + u64::from(entry.delta);
            if entry.start as usize != start || offset < least {
                return false;
            }
            (start, least) = (self.end(index), offset + 1);
            // Between a record's value and the next record are its headers.
            if self.data.get(entry.end()..start).is_none_or(|headers| !are_headers(headers)) {
                return false;
            }
        }
        start == self.data.len() && least <= self.next
    }

    /// Puts a new batch, whose records are numbered without gaps, at `base`; a marker after it takes one offset.
    pub(crate) fn place(&mut self, base: u64, marker: bool) {
        self.base = base;
        self.next = base + self.entries.len() as u64 + u64::from(marker);
    }

    /// The offset of its first record when it was written.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// The offset after it, any marker counted.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The highest timestamp in it.
    pub(crate) fn newest(&self) -> i64 {
        self.newest
    }

    /// What it takes in memory and on disk.
    pub(crate) fn bytes(&self) -> usize {
        self.data.len() + self.entries.len() * Entry::SIZE
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    /// All bytes of the record at `index`: key, value or stamp, headers.
    pub(crate) fn body(&self, index: usize) -> &[u8] {
        &self.data[self.entries[index].start as usize..self.end(index)]
    }

    /// The key of the record at `index`.
    pub(crate) fn key(&self, index: usize) -> Option<&[u8]> {
        self.record(&self.entries[index]).key
    }

    /// The moment from which the tombstone at `index` may be removed, once a cleaner has set it.
    pub(crate) fn stamp(&self, index: usize) -> Option<i64> {
        let entry = &self.entries[index];
        if entry.value != STAMPED {
            return None;
        }
        let start = entry.start as usize + entry.key_len();
        let stamp = self.data.get(start..start + 8)?;
        Some(i64::from_le_bytes(stamp.try_into().ok()?))
    }

    /// The offset of the record at `index`.
    pub(crate) fn offset(&self, index: usize) -> u64 {
        self.base + u64::from(self.entries[index].delta)
    }

    /// How many of its records come before `offset`.
    pub(crate) fn before(&self, offset: u64) -> usize {
        // A reader that reads on begins with the first. A search would touch memory that nothing else needs yet.
        if offset <= self.base {
            return 0;
        }
        self.entries.partition_point(|entry| self.base + u64::from(entry.delta) < offset)
    }

    /// The records from `offset` on, sharing this batch's memory.
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
            // It was a string when it was produced.
            let Ok(name) = std::str::from_utf8(name) else { break };
            headers.push(Header { name, value });
            rest = after;
        }
        headers
    }
}

/// Splits a length-prefixed piece off the front, which may be one that is not there.
fn sized(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    match u32::from_le_bytes(*length) {
        NULL => Some((None, rest)),
        length => rest.split_at_checked(length as usize).map(|(piece, rest)| (Some(piece), rest)),
    }
}

/// Returns whether headers fill `bytes`.
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

/// A batch without its first records, for a reader that starts inside it.
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

/// Offsets without records, up to where the next ones will be.
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
