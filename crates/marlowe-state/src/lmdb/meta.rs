//! The store's own table. It holds the store's format, owner, layout and positions, and the number
//! of bytes in each table.

use heed::{RoTxn, RwTxn};
use marlowe_broker::{Offset, Timestamp};
use marlowe_lmdb::SealedTable;

use crate::{SlicePosition, StoreLayout};

/// The name of the store's own table. The names of the other tables begin with `t/`.
pub(super) const META: &str = "meta";

/// The name of this format. A store of another format is rebuilt.
const FORMAT: &[u8] = b"marlowe-state 4";

const FORMAT_KEY: &[u8] = b"format";
const LAYOUT_KEY: &[u8] = b"layout";
const OWNER_KEY: &[u8] = b"owner";

/// The store's own table.
#[derive(Clone, Copy)]
pub(super) struct Meta(pub(super) SealedTable);

impl Meta {
    /// Returns the layout, or `None` if the store has another format or the layout does not parse.
    pub(super) fn layout(&self, txn: &RoTxn<'_>) -> heed::Result<Option<StoreLayout>> {
        if self.0.get(txn, FORMAT_KEY)? != Some(FORMAT) {
            return Ok(None);
        }
        Ok(self.0.get(txn, LAYOUT_KEY)?.and_then(decode_layout))
    }

    /// Returns the owner of the store.
    pub(super) fn owner(&self, txn: &RoTxn<'_>) -> heed::Result<Option<String>> {
        Ok(self.0.get(txn, OWNER_KEY)?.map(|owner| String::from_utf8_lossy(owner).into_owned()))
    }

    pub(super) fn put_owner(&self, txn: &mut RwTxn<'_>, owner: &str) -> heed::Result<()> {
        self.0.put(txn, OWNER_KEY, owner.as_bytes())
    }

    pub(super) fn put_layout(&self, txn: &mut RwTxn<'_>, layout: &StoreLayout) -> heed::Result<()> {
        self.0.put(txn, FORMAT_KEY, FORMAT)?;
        self.0.put(txn, LAYOUT_KEY, &encode_layout(layout))
    }

    pub(super) fn position(&self, txn: &RoTxn<'_>, slot: u32) -> heed::Result<SlicePosition> {
        let bytes = self.0.get(txn, &position_key(slot))?;
        Ok(bytes.and_then(decode_position).unwrap_or_default())
    }

    pub(super) fn put_position(&self, txn: &mut RwTxn<'_>, slot: u32, position: SlicePosition) -> heed::Result<()> {
        self.0.put(txn, &position_key(slot), encode_position(position).as_flattened())
    }

    pub(super) fn bytes(&self, txn: &RoTxn<'_>, table: &str) -> heed::Result<u64> {
        let bytes = self.0.get(txn, &bytes_key(table))?;
        Ok(bytes.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes).unwrap_or_default())
    }

    pub(super) fn put_bytes(&self, txn: &mut RwTxn<'_>, table: &str, bytes: u64) -> heed::Result<()> {
        self.0.put(txn, &bytes_key(table), &bytes.to_be_bytes())
    }
}

fn position_key(slot: u32) -> [u8; 5] {
    let [a, b, c, d] = slot.to_be_bytes();
    [b'p', a, b, c, d]
}

fn bytes_key(table: &str) -> Vec<u8> {
    [b"bytes/", table.as_bytes()].concat()
}

pub(crate) fn encode_position(position: SlicePosition) -> [[u8; 8]; 3] {
    let SlicePosition { changelog, inbox, as_of } = position;
    [changelog.get(), inbox.get(), as_of.millis().cast_unsigned()].map(u64::to_be_bytes)
}

pub(crate) fn decode_position(bytes: &[u8]) -> Option<SlicePosition> {
    let (numbers, []) = bytes.as_chunks::<8>() else { return None };
    let [changelog, inbox, as_of] = *<&[[u8; 8]; 3]>::try_from(numbers).ok()?;
    let number = u64::from_be_bytes;
    Some(SlicePosition {
        changelog: Offset::new(number(changelog)),
        inbox: Offset::new(number(inbox)),
        as_of: Timestamp::from_millis(number(as_of).cast_signed()),
    })
}

pub(crate) fn encode_layout(layout: &StoreLayout) -> Vec<u8> {
    let mut bytes = layout.slots.to_be_bytes().to_vec();
    for table in &layout.tables {
        bytes.extend_from_slice(&(table.len() as u32).to_be_bytes());
        bytes.extend_from_slice(table.as_bytes());
    }
    bytes
}

pub(crate) fn decode_layout(bytes: &[u8]) -> Option<StoreLayout> {
    let (slots, mut rest) = bytes.split_first_chunk::<4>()?;
    let mut tables = Vec::new();
    while !rest.is_empty() {
        let (len, more) = rest.split_first_chunk::<4>()?;
        let (name, more) = more.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        tables.push(String::from_utf8(name.to_vec()).ok()?);
        rest = more;
    }
    Some(StoreLayout { tables, slots: u32::from_be_bytes(*slots) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_is_read_as_it_was_written() {
        let layout = StoreLayout { tables: vec!["a".into(), String::new(), "größe".into()], slots: 7 };
        assert_eq!(decode_layout(&encode_layout(&layout)), Some(layout));
        assert_eq!(decode_layout(b"\0\0\0\x01\0\0\0\x09abc"), None);
    }
}
