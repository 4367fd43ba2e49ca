use std::sync::Arc;

use crate::{BrokerError, Offset, Timestamp};

/// A header of a record: a name, and bytes or none. A name may occur more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The header's name.
    pub name: &'a str,
    /// The header's value; `None` (Kafka's null) is not the same as an empty one.
    pub value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// A header with a value.
    pub const fn new(name: &'a str, value: &'a [u8]) -> Self {
        Self { name, value: Some(value) }
    }
}

/// A record as a reader lends it: bytes in the batch's memory, nothing copied.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// Its offset.
    pub offset: Offset,
    /// When it happened, as its producer said.
    pub timestamp: Timestamp,
    /// Its key; `None` when it has none.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone: in a compacted topic, "this key is gone".
    pub value: Option<&'a [u8]>,
}

/// A record to produce, borrowed: the producer copies what it keeps.
#[derive(Clone, Copy)]
pub struct NewRecord<'a> {
    /// When it happened.
    pub timestamp: Timestamp,
    /// Its key, if any.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a [Header<'a>],
}

impl NewRecord<'_> {
    /// How large it is, as brokers count it: its bytes, and what frames them.
    pub fn size(&self) -> usize {
        let value = |header: &Header<'_>| header.value.map_or(0, <[u8]>::len);
        let headers: usize = self.headers.iter().map(|header| header.name.len() + value(header) + 2 * 5).sum();
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len) + headers
    }
}

/// The largest record that a broker's producers take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLimit {
    /// How large it may be.
    pub bytes: usize,
    /// What is to be raised for larger ones.
    pub setting: &'static str,
}

impl RecordLimit {
    /// That a record for `topic` is not too large.
    ///
    /// # Errors
    /// [`BrokerError::MessageTooLarge`].
    #[inline]
    pub fn check(&self, topic: &Arc<str>, record: &NewRecord<'_>) -> Result<(), BrokerError> {
        let size = record.size();
        if size <= self.bytes {
            return Ok(());
        }
        Err(BrokerError::MessageTooLarge { topic: topic.clone(), size, limit: self.bytes, setting: self.setting })
    }
}
