//! [`RecordArena`]: copies of records that wait to be sent, in one buffer.

use crate::{Header, NewRecord, Timestamp};

/// Copies of records that wait to be sent, in the order in which they came. Each has a destination
/// of type `T`.
///
/// The bytes of all records lie one after the other in one buffer. So keeping a record costs one
/// copy, and it allocates nothing while the arena has room. Reading a record without headers
/// allocates nothing either. A key, a value or a header's value that is `None` stays different from
/// an empty one.
///
/// Records that follow each other often have equal headers. These records share one copy of them.
///
/// ```
/// use marlowe_broker::{Destination, NewRecord, RecordArena, Timestamp};
///
/// let mut arena = RecordArena::new();
/// let key = Some(b"ada".as_slice());
/// let record = NewRecord { timestamp: Timestamp::from_millis(7), key, value: None, headers: &[] };
/// arena.push(Destination(3), &record);
/// arena.lend(0, |to, record| assert_eq!((to, record.key), (Destination(3), key)));
/// ```
pub struct RecordArena<T> {
    bytes: Vec<u8>,
    entries: Vec<Entry<T>>,
    header_sets: Vec<HeaderSet>,
}

/// The place of a record in the bytes. Its value follows its key.
struct Entry<T> {
    to: T,
    timestamp: Timestamp,
    /// The index of the record's first byte.
    start: usize,
    /// The key's length, or [`NULL`].
    key: u32,
    /// The value's length, or [`NULL`].
    value: u32,
    /// The index of the record's headers in the header sets, or [`NO_HEADERS`].
    headers: u32,
}

/// The place in the bytes of the headers that one or more records have. Each name and each value
/// has its length before it, in 4 bytes. The length of a value may be [`NULL`].
#[derive(Clone, Copy)]
struct HeaderSet {
    start: usize,
    /// The number of headers, at least 1.
    count: u32,
}

/// The length that stands for a missing key, value or header value.
const NULL: u32 = u32::MAX;

/// The index that stands for the headers of a record that has none.
const NO_HEADERS: u32 = u32::MAX;

impl<T: Copy> RecordArena<T> {
    /// Creates an empty arena. It allocates nothing yet.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), entries: Vec::new(), header_sets: Vec::new() }
    }

    /// Appends a copy of `record`.
    ///
    /// # Panics
    /// If the key, the value, or the name or value of a header has 4 GiB or more.
    pub fn push(&mut self, to: T, record: &NewRecord<'_>) {
        let headers = self.keep_headers(record.headers);
        let entry = Entry {
            to,
            timestamp: record.timestamp,
            start: self.bytes.len(),
            key: length(record.key),
            value: length(record.value),
            headers,
        };
        self.bytes.extend_from_slice(record.key.unwrap_or_default());
        self.bytes.extend_from_slice(record.value.unwrap_or_default());
        self.entries.push(entry);
    }

    /// Returns the number of records.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the memory that the records take, in bytes, without the memory that is kept for
    /// further records.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry<T>>() + self.header_sets.len() * size_of::<HeaderSet>()
    }

    /// Moves all records of `other` to the end of this arena. Both keep their memory.
    pub fn append(&mut self, other: &mut Self) {
        let (bytes, header_sets) = (self.bytes.len(), self.header_sets.len() as u32);
        self.bytes.append(&mut other.bytes);
        let moved = other.header_sets.drain(..).map(|set| HeaderSet { start: set.start + bytes, ..set });
        self.header_sets.extend(moved);
        self.entries.extend(other.entries.drain(..).map(|entry| Entry {
            start: entry.start + bytes,
            headers: if entry.headers == NO_HEADERS { NO_HEADERS } else { entry.headers + header_sets },
            ..entry
        }));
    }

    /// Drops all records and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.header_sets.clear();
    }

    /// Lends the record at `index` to `act`, with its destination.
    ///
    /// # Panics
    /// If there are not more than `index` records.
    pub fn lend<R>(&self, index: usize, act: impl FnOnce(T, &NewRecord<'_>) -> R) -> R {
        let entry = &self.entries[index];
        let mut headers = Vec::new();
        self.read_headers(entry.headers, &mut headers);
        act(entry.to, &self.record(entry, &headers))
    }

    /// Calls `each` with every record from the index `first` on, in order. All records stay.
    ///
    /// For records with headers, this is faster than [`lend`](Self::lend). It allocates memory for
    /// headers once for all records, and reads headers that several records share only once.
    ///
    /// # Errors
    /// The first error of `each`, which is not called again after it.
    pub fn try_for_each_from<E>(
        &self,
        first: usize,
        mut each: impl FnMut(T, &NewRecord<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut headers, mut has_read) = (Vec::new(), NO_HEADERS);
        for entry in self.entries.get(first..).unwrap_or_default() {
            if entry.headers != has_read {
                self.read_headers(entry.headers, &mut headers);
                has_read = entry.headers;
            }
            each(entry.to, &self.record(entry, &headers))?;
        }
        Ok(())
    }

    /// Calls `each` with every record, in order. Afterwards the arena is empty, also after an
    /// error. It keeps its memory.
    ///
    /// # Errors
    /// The first error of `each`, which is not called again after it.
    pub fn drain<E>(&mut self, each: impl FnMut(T, &NewRecord<'_>) -> Result<(), E>) -> Result<(), E> {
        let drained = self.try_for_each_from(0, each);
        self.clear();
        drained
    }

    /// Keeps the headers of a record, and returns their index.
    fn keep_headers(&mut self, headers: &[Header<'_>]) -> u32 {
        if headers.is_empty() {
            return NO_HEADERS;
        }
        if !self.header_sets.last().is_some_and(|last| self.is_same(*last, headers)) {
            let set = HeaderSet { start: self.bytes.len(), count: headers.len() as u32 };
            for header in headers {
                for part in [Some(header.name.as_bytes()), header.value] {
                    self.bytes.extend_from_slice(&length(part).to_le_bytes());
                    self.bytes.extend_from_slice(part.unwrap_or_default());
                }
            }
            self.header_sets.push(set);
        }
        self.header_sets.len() as u32 - 1
    }

    fn is_same(&self, set: HeaderSet, headers: &[Header<'_>]) -> bool {
        let mut rest = &self.bytes[set.start..];
        set.count as usize == headers.len()
            && headers
                .iter()
                .all(|header| take(&mut rest) == Some(header.name.as_bytes()) && take(&mut rest) == header.value)
    }

    /// Replaces the contents of `headers` by the headers at `index`.
    fn read_headers<'a>(&'a self, index: u32, headers: &mut Vec<Header<'a>>) {
        headers.clear();
        if index == NO_HEADERS {
            return;
        }
        let HeaderSet { start, count } = self.header_sets[index as usize];
        headers.reserve(count as usize);
        let mut rest = &self.bytes[start..];
        for _ in 0..count {
            let (name, value) = (take(&mut rest).unwrap_or_default(), take(&mut rest));
            let name = std::str::from_utf8(name).expect("it was text when it was pushed");
            headers.push(Header { name, value });
        }
    }

    #[inline]
    fn record<'a>(&'a self, entry: &Entry<T>, headers: &'a [Header<'a>]) -> NewRecord<'a> {
        let (key_bytes, value_bytes) = (bytes_of(entry.key), bytes_of(entry.value));
        let (key, value) = self.bytes[entry.start..entry.start + key_bytes + value_bytes].split_at(key_bytes);
        NewRecord {
            timestamp: entry.timestamp,
            key: (entry.key != NULL).then_some(key),
            value: (entry.value != NULL).then_some(value),
            headers,
        }
    }
}

impl<T: Copy> Default for RecordArena<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the length of `part`, or [`NULL`].
#[inline]
fn length(part: Option<&[u8]>) -> u32 {
    let Some(part) = part else { return NULL };
    assert!(part.len() < NULL as usize, "a part of a record has 4 GiB or more");
    part.len() as u32
}

/// Returns the number of bytes that a part with this length takes.
#[inline]
fn bytes_of(length: u32) -> usize {
    if length == NULL { 0 } else { length as usize }
}

/// Takes a name or a value of a header, with its length, from the front of `rest`.
#[inline]
fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>().expect("each part of a header has its length before it");
    let length = u32::from_le_bytes(*length);
    let (part, after) = after.split_at(bytes_of(length));
    *rest = after;
    (length != NULL).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    static HEADERS: [Header<'static>; 3] =
        [Header::new("why", b"because"), Header { name: "null", value: None }, Header::new("empty", b"")];

    /// An owned copy of a record, with its destination.
    #[derive(Debug, PartialEq)]
    struct Copied {
        to: u8,
        timestamp: Timestamp,
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        headers: Vec<(String, Option<Vec<u8>>)>,
    }

    impl Copied {
        fn of(to: u8, record: &NewRecord<'_>) -> Self {
            let headers = record.headers.iter();
            Self {
                to,
                timestamp: record.timestamp,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: headers.map(|header| (header.name.to_owned(), header.value.map(<[u8]>::to_vec))).collect(),
            }
        }
    }

    fn record<'a>(key: Option<&'a str>, value: Option<&'a str>, headers: &'a [Header<'a>]) -> NewRecord<'a> {
        let (key, value) = (key.map(str::as_bytes), value.map(str::as_bytes));
        NewRecord { timestamp: Timestamp::from_millis(7), key, value, headers }
    }

    /// Returns records with destinations, in which each part is missing, empty and not empty.
    fn sent() -> [(u8, NewRecord<'static>); 6] {
        [
            (1, record(Some("k"), Some("v"), &[])),
            (2, record(None, Some(""), &HEADERS)),
            (3, record(Some(""), None, &HEADERS)),
            (4, record(Some("key"), Some("value"), &HEADERS[..1])),
            (5, NewRecord { timestamp: Timestamp::from_millis(-1), ..record(None, None, &[]) }),
            (6, record(Some("key"), None, &HEADERS[..1])),
        ]
    }

    fn filled() -> RecordArena<u8> {
        let mut arena = RecordArena::new();
        for (to, record) in sent() {
            arena.push(to, &record);
        }
        arena
    }

    fn copied() -> Vec<Copied> {
        sent().iter().map(|(to, record)| Copied::of(*to, record)).collect()
    }

    fn drained(arena: &mut RecordArena<u8>) -> Vec<Copied> {
        let mut seen = Vec::new();
        let all = arena.drain(|to, record| {
            seen.push(Copied::of(to, record));
            Ok::<(), ()>(())
        });
        assert!(all.is_ok() && arena.is_empty() && arena.size() == 0);
        seen
    }

    #[test]
    fn records_are_lent_and_drained_as_they_were_pushed() {
        let mut arena = filled();
        for (index, expected) in copied().iter().enumerate().rev() {
            assert_eq!(arena.lend(index, Copied::of), *expected);
        }
        assert_eq!(drained(&mut arena), copied());
    }

    #[test]
    fn appended_records_follow_in_order() {
        let (mut first, mut second) = (filled(), filled());
        let size = first.size() + second.size();
        first.append(&mut second);
        assert!(second.is_empty() && second.size() == 0);
        assert_eq!((first.len(), first.size()), (12, size));
        second.push(7, &record(None, Some("later"), &HEADERS));
        first.append(&mut second);
        let later = Copied::of(7, &record(None, Some("later"), &HEADERS));
        assert_eq!(drained(&mut first), copied().into_iter().chain(copied()).chain([later]).collect::<Vec<_>>());
    }

    #[test]
    fn equal_headers_that_follow_each_other_are_kept_once() {
        let mut arena = RecordArena::<u8>::new();
        arena.push(1, &record(None, None, &HEADERS));
        arena.push(2, &record(None, None, &[]));
        let before = arena.size();
        arena.push(3, &record(Some("k"), None, &HEADERS));
        assert_eq!(arena.size() - before, 1 + size_of::<Entry<u8>>());
    }

    #[test]
    fn headers_that_differ_a_little_stay_different() {
        let all = [
            vec![Header { name: "a", value: None }],
            vec![Header::new("a", b"")],
            vec![Header::new("", b"a")],
            vec![Header::new("", b"a"), Header::new("", b"a")],
            vec![Header::new("", b"a")],
        ];
        let mut arena = RecordArena::new();
        for headers in &all {
            arena.push(1, &record(None, None, headers));
        }
        let expected: Vec<_> = all.iter().map(|headers| Copied::of(1, &record(None, None, headers))).collect();
        assert_eq!(drained(&mut arena), expected);
    }

    #[test]
    fn reading_begins_at_an_index_and_ends_with_an_error() {
        let arena = filled();
        let mut seen = Vec::new();
        let read = arena.try_for_each_from(1, |to, record| {
            seen.push(Copied::of(to, record));
            if to == 3 { Err("enough") } else { Ok(()) }
        });
        assert_eq!(read, Err("enough"));
        assert_eq!(seen, copied()[1..3]);
        assert_eq!(arena.try_for_each_from(9, |_, _| Err("there is no such record")), Ok(()));
    }

    #[test]
    fn a_drain_that_fails_leaves_nothing() {
        let mut arena = filled();
        assert_eq!(arena.drain(|_, _| Err("refused")), Err("refused"));
        assert!(arena.is_empty());
        for (to, record) in sent() {
            arena.push(to, &record);
        }
        assert_eq!(drained(&mut arena), copied());
    }

    #[test]
    fn clearing_keeps_the_memory() {
        let mut arena = filled();
        let memory =
            |arena: &RecordArena<u8>| [arena.bytes.capacity(), arena.entries.capacity(), arena.header_sets.capacity()];
        let before = memory(&arena);
        arena.clear();
        assert!(arena.is_empty() && arena.size() == 0);
        assert_eq!(memory(&arena), before);
    }
}
