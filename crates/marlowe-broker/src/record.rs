//! Records as they are read and as they are produced, with their headers and their size limit.

use std::sync::Arc;

use crate::{BrokerError, Offset, Timestamp};

/// A header of a record: a name, and a value of bytes or null. A name may occur more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The header's name.
    pub name: &'a str,
    /// The header's value. `None` is Kafka's null, which differs from an empty value.
    pub value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// Creates a header with a value.
    pub const fn new(name: &'a str, value: &'a [u8]) -> Self {
        Self { name, value: Some(value) }
    }
}

/// A record that a reader returned. It borrows its bytes from the batch; nothing is copied.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// The record's offset.
    pub offset: Offset,
    /// The time at which it happened, as its producer set it.
    pub timestamp: Timestamp,
    /// The key, or `None` if the record has no key.
    pub key: Option<&'a [u8]>,
    /// The value. `None` is a tombstone: in a compacted topic it says that the key is gone.
    pub value: Option<&'a [u8]>,
}

/// A record to produce. It borrows its bytes; the producer copies what it keeps.
#[derive(Clone, Copy)]
pub struct NewRecord<'a> {
    /// The time at which it happened.
    pub timestamp: Timestamp,
    /// The key, or `None` for a record without a key.
    pub key: Option<&'a [u8]>,
    /// The value. `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers, in order.
    pub headers: &'a [Header<'a>],
}

impl NewRecord<'_> {
    /// Returns the size that counts against the broker's limit, in bytes: the key, the value and
    /// the headers, with 10 bytes for each header's lengths.
    pub fn size(&self) -> usize {
        let value = |header: &Header<'_>| header.value.map_or(0, <[u8]>::len);
        let headers: usize = self.headers.iter().map(|header| header.name.len() + value(header) + 2 * 5).sum();
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len) + headers
    }
}

/// The limit on the size of a record that a broker's producers accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLimit {
    /// The largest size, in bytes.
    pub bytes: usize,
    /// The setting to raise for larger records.
    pub setting: &'static str,
}

impl RecordLimit {
    /// Checks that a record for `topic` is not too large.
    ///
    /// # Errors
    /// [`BrokerError::MessageTooLarge`] when the record's [`size`](NewRecord::size) is over the
    /// limit.
    #[inline]
    pub fn check(&self, topic: &Arc<str>, record: &NewRecord<'_>) -> Result<(), BrokerError> {
        let size = record.size();
        if size <= self.bytes {
            return Ok(());
        }
        Err(BrokerError::MessageTooLarge { topic: topic.clone(), size, limit: self.bytes, setting: self.setting })
    }
}
