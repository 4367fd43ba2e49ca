use crate::{Offset, Timestamp};

/// A header of a record: a name and bytes. A name may occur more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The header's name.
    pub name: &'a str,
    /// The header's value.
    pub value: &'a [u8],
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
