//! A table of LMDB whose values have checksums.

use std::io::{self, Write};
use std::ops::RangeBounds;

use heed::types::Bytes;
use heed::{Database, DatabaseStat, Env, PutFlags, Result, RoTxn, RwTxn, WithoutTls};

use crate::Damage;

/// The length of a value's checksum, in bytes.
pub(crate) const SEAL: usize = 4;

/// A table whose values are stored with a CRC-32C of key and value.
///
/// The checksum is checked when a value is read. A wrong one is a [`heed::Error::Decoding`], and
/// [`Damage::is_in`] returns `true` for it.
#[derive(Clone, Copy)]
pub struct SealedTable(Database<Bytes, Bytes>);

/// A key and its value.
type KeyValue<'txn> = (&'txn [u8], &'txn [u8]);

impl SealedTable {
    /// Opens the table. Creates it if it does not exist.
    pub fn create(env: &Env<WithoutTls>, txn: &mut RwTxn<'_>, name: &str) -> Result<Self> {
        env.create_database(txn, Some(name)).map(Self)
    }

    /// Opens the table, if it exists. The handle stays valid only if the transaction is committed.
    pub fn open(env: &Env<WithoutTls>, txn: &RoTxn<'_, WithoutTls>, name: &str) -> Result<Option<Self>> {
        Ok(env.open_database(txn, Some(name))?.map(Self))
    }

    /// Returns the value at `key`.
    pub fn get<'txn>(&self, txn: &'txn RoTxn<'_>, key: &[u8]) -> Result<Option<&'txn [u8]>> {
        self.0.get(txn, key)?.map(|sealed| unseal(key, sealed)).transpose()
    }

    /// Returns the row with the last key.
    pub fn last<'txn>(&self, txn: &'txn RoTxn<'_>) -> Result<Option<KeyValue<'txn>>> {
        self.0.last(txn)?.map(unseal_row).transpose()
    }

    /// Returns the row at `key`, or else the last row before it.
    pub fn get_lower_than_or_equal_to<'txn>(&self, txn: &'txn RoTxn<'_>, key: &[u8]) -> Result<Option<KeyValue<'txn>>> {
        self.0.get_lower_than_or_equal_to(txn, key)?.map(unseal_row).transpose()
    }

    /// Returns the first row after `key`.
    pub fn get_greater_than<'txn>(&self, txn: &'txn RoTxn<'_>, key: &[u8]) -> Result<Option<KeyValue<'txn>>> {
        self.0.get_greater_than(txn, key)?.map(unseal_row).transpose()
    }

    /// Returns all rows, in the order of their keys.
    pub fn iter<'txn>(&self, txn: &'txn RoTxn<'_>) -> Result<impl Iterator<Item = Result<KeyValue<'txn>>>> {
        Ok(self.0.iter(txn)?.map(|row| row.and_then(unseal_row)))
    }

    /// Returns the rows of a range, in the order of their keys.
    pub fn range<'txn>(
        &self,
        txn: &'txn RoTxn<'_>,
        range: &impl RangeBounds<[u8]>,
    ) -> Result<impl Iterator<Item = Result<KeyValue<'txn>>>> {
        let bounds = (range.start_bound(), range.end_bound());
        Ok(self.0.range(txn, &bounds)?.map(|row| row.and_then(unseal_row)))
    }

    /// Returns the number of rows.
    pub fn len(&self, txn: &RoTxn<'_>) -> Result<u64> {
        self.0.len(txn)
    }

    /// Returns whether the table has no rows.
    pub fn is_empty(&self, txn: &RoTxn<'_>) -> Result<bool> {
        self.0.is_empty(txn)
    }

    /// Returns the table's numbers of pages, and its depth.
    pub fn stat(&self, txn: &RoTxn<'_>) -> Result<DatabaseStat> {
        self.0.stat(txn)
    }

    /// Puts `value` at `key`.
    pub fn put(&self, txn: &mut RwTxn<'_>, key: &[u8], value: &[u8]) -> Result<()> {
        self.put_with(txn, key, value.len(), |to| to.write_all(value))
    }

    /// Puts a value of `size` bytes at `key`, which `write` writes.
    pub fn put_with(
        &self,
        txn: &mut RwTxn<'_>,
        key: &[u8],
        size: usize,
        mut write: impl FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        self.0.put_reserved(txn, key, size + SEAL, |space| write_sealed(key, space, &mut write))
    }

    /// Puts `value` at `key`, which must be after all keys in the table.
    pub fn append(&self, txn: &mut RwTxn<'_>, key: &[u8], value: &[u8]) -> Result<()> {
        let size = value.len() + SEAL;
        let found = self.0.get_or_put_reserved_with_flags(txn, PutFlags::APPEND, key, size, |space| {
            write_sealed(key, space, &mut |to| to.write_all(value))
        });
        found.map(drop)
    }

    /// Puts `value` at `key`. Returns the length of the value that was there before.
    pub fn replace(&self, txn: &mut RwTxn<'_>, key: &[u8], value: &[u8]) -> Result<Option<usize>> {
        let found = self.0.get_or_put_reserved(txn, key, value.len() + SEAL, |space| {
            write_sealed(key, space, &mut |to| to.write_all(value))
        });
        let Some(old) = found?.map(|old| old.len().saturating_sub(SEAL)) else { return Ok(None) };
        self.put(txn, key, value)?;
        Ok(Some(old))
    }

    /// Removes the row at `key`. Returns the length of its value.
    pub fn take(&self, txn: &mut RwTxn<'_>, key: &[u8]) -> Result<Option<usize>> {
        let old = self.0.get(txn, key)?.map(|old| old.len().saturating_sub(SEAL));
        if old.is_some() {
            self.0.delete(txn, key)?;
        }
        Ok(old)
    }

    /// Removes the row at `key`, if there is one.
    pub fn delete(&self, txn: &mut RwTxn<'_>, key: &[u8]) -> Result<()> {
        self.0.delete(txn, key).map(drop)
    }

    /// Removes the rows of a range.
    pub fn delete_range(&self, txn: &mut RwTxn<'_>, range: &impl RangeBounds<[u8]>) -> Result<()> {
        let bounds = (range.start_bound(), range.end_bound());
        self.0.delete_range(txn, &bounds).map(drop)
    }

    /// Removes all rows.
    pub fn clear(&self, txn: &mut RwTxn<'_>) -> Result<()> {
        self.0.clear(txn)
    }
}

/// Writes a value with `write`, and then its checksum.
fn write_sealed(
    key: &[u8],
    to: &mut dyn Write,
    write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut summing = Summing { to, sum: crc32c::crc32c(key) };
    write(&mut summing)?;
    let sum = summing.sum;
    to.write_all(&sum.to_le_bytes())
}

/// A writer that passes bytes on and computes their checksum.
struct Summing<'a> {
    to: &'a mut dyn Write,
    sum: u32,
}

impl Write for Summing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.sum = crc32c::crc32c_append(self.sum, &bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn unseal_row<'txn>((key, sealed): KeyValue<'txn>) -> Result<KeyValue<'txn>> {
    Ok((key, unseal(key, sealed)?))
}

fn unseal<'txn>(key: &[u8], sealed: &'txn [u8]) -> Result<&'txn [u8]> {
    open(key, sealed).ok_or_else(|| heed::Error::Decoding(Box::new(damaged(key))))
}

/// Returns the value in `sealed` if its checksum is right.
pub(crate) fn open<'a>(key: &[u8], sealed: &'a [u8]) -> Option<&'a [u8]> {
    let (value, sum) = sealed.split_last_chunk::<SEAL>()?;
    let right = crc32c::crc32c_append(crc32c::crc32c(key), value);
    (u32::from_le_bytes(*sum) == right).then_some(value)
}

pub(crate) fn damaged(key: &[u8]) -> Damage {
    let key = key.escape_ascii();
    Damage::new(format!("the value at key {key} does not have its checksum, or is of an early version of Marlowe"))
}
