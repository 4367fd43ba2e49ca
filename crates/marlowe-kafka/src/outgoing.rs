//! The memory of a producer for the records that it has sent.

use std::ops::Range;

use marlowe_broker::{Destination, Header, NewRecord, Timestamp};

/// Records that were sent and are not safe yet, in the order in which they came. They are kept
/// until they are safe, because a transaction that fails may have to be made again.
#[derive(Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    records: Vec<Record>,
    headers: Vec<KeptHeader>,
}

struct Record {
    to: u32,
    timestamp: Timestamp,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Range<usize>,
}

/// The ranges of a header's name and value in the bytes.
type KeptHeader = (Range<usize>, Option<Range<usize>>);

impl Outgoing {
    pub(crate) fn push(&mut self, to: Destination, record: &NewRecord<'_>) {
        let headers = self.keep_headers(record.headers);
        let record = Record {
            to: to.0,
            timestamp: record.timestamp,
            key: record.key.map(|key| self.keep(key)),
            value: record.value.map(|value| self.keep(value)),
            headers,
        };
        self.records.push(record);
    }

    /// Keeps the headers of a record, and returns their range. All records of a table in a commit
    /// have the same headers, which are kept once.
    fn keep_headers(&mut self, headers: &[Header<'_>]) -> Range<usize> {
        if let Some(last) = self.records.last() {
            let known = &self.headers[last.headers.clone()];
            let bytes = |range: &Range<usize>| &self.bytes[range.clone()];
            let is_same = |(header, (name, value)): (&Header<'_>, &KeptHeader)| {
                header.name.as_bytes() == bytes(name) && header.value == value.as_ref().map(bytes)
            };
            if known.len() == headers.len() && headers.iter().zip(known).all(is_same) {
                return last.headers.clone();
            }
        }
        let first = self.headers.len();
        for header in headers {
            let pair = (self.keep(header.name.as_bytes()), header.value.map(|value| self.keep(value)));
            self.headers.push(pair);
        }
        first..self.headers.len()
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.headers.clear();
    }

    /// Lends the record at `index` to `to`, with its destination.
    pub(crate) fn lend<T>(&self, index: usize, to: impl FnOnce(usize, &NewRecord<'_>) -> T) -> T {
        let Record { to: destination, timestamp, key, value, headers } = &self.records[index];
        let bytes = |range: &Range<usize>| &self.bytes[range.clone()];
        let headers: Vec<Header<'_>> = self.headers[headers.clone()]
            .iter()
            .map(|(name, value)| Header {
                name: std::str::from_utf8(bytes(name)).expect("it was text when it was sent"),
                value: value.as_ref().map(bytes),
            })
            .collect();
        let record = NewRecord {
            timestamp: *timestamp,
            key: key.as_ref().map(bytes),
            value: value.as_ref().map(bytes),
            headers: &headers,
        };
        to(*destination as usize, &record)
    }
}
