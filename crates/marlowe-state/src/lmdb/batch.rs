//! Putting a batch of rows into a table.

use heed::{RoTxn, RwTxn};
use marlowe_lmdb::SealedTable;

use super::key::{from_stored, to_stored};
use crate::Rows;

/// Returns an upper bound of the new pages that the batch takes, in round numbers.
pub(super) fn pages(table: &SealedTable, txn: &RoTxn<'_>, rows: &Rows) -> heed::Result<u64> {
    let stat = table.stat(txn)?;
    // LMDB copies each page that the batch touches: at most all pages of the table, and at most one
    // path from the root per row.
    let existing = (stat.branch_pages + stat.leaf_pages + stat.overflow_pages) as u64;
    let touched = match rows.len() as u64 {
        // Clearing and rewriting a table frees all its pages, and the list of free pages grows.
        0 => existing / 64,
        rows => existing.min(rows * (u64::from(stat.depth) + 2)).max(existing / 64),
    };
    // A page is at least half full after a split. A long value has pages of its own and wastes less
    // than one of them. Long keys fill the pages above the leaves too.
    let node = 28;
    let keys: usize = rows.iter().map(|(key, _)| key.len()).sum();
    let new = (3 * (rows.bytes() as u64 + node * rows.len() as u64) + 4 * keys as u64) / u64::from(stat.page_size);
    // The 64 are for the store's own table, the list of free pages, and the roots.
    Ok(touched + new + 64)
}

/// Puts sorted `rows` into the table. Of rows with the same key, only the last is put. `bytes` is
/// the size of the table's keys and values before. Returns their size afterwards.
pub(super) fn put(table: &SealedTable, txn: &mut RwTxn<'_>, rows: &Rows, bytes: u64) -> heed::Result<u64> {
    let count = table.len(txn)?;
    let last = table.last(txn)?.map(|(key, _)| from_stored(key).to_vec());
    let beyond = |key: &[u8]| last.as_deref().is_none_or(|last| key > last);
    // If the table is at most twice as large as the batch, it is cheaper to write all its rows
    // again, page after page, than to change it in place.
    if count > 0
        && 2 * rows.len() as u64 >= count
        && 2 * rows.bytes() as u64 >= bytes
        && rows.get(0).is_some_and(|(first, _)| !beyond(first))
    {
        let mut all = Rows::new();
        for row in table.iter(txn)? {
            let (key, value) = row?;
            all.push(from_stored(key), Some(value));
        }
        rows.iter().for_each(|(key, value)| all.push(key, value));
        all.sort();
        table.clear(txn)?;
        return put_each(table, txn, &all, 0, |_| true);
    }
    put_each(table, txn, rows, bytes, beyond)
}

fn put_each(
    table: &SealedTable,
    txn: &mut RwTxn<'_>,
    rows: &Rows,
    mut bytes: u64,
    is_beyond: impl Fn(&[u8]) -> bool,
) -> heed::Result<u64> {
    let mut room = Vec::new();
    let mut beyond = false;
    let mut rows = rows.iter().peekable();
    while let Some((key, value)) = rows.next() {
        if rows.peek().is_some_and(|(next, _)| *next == key) {
            continue;
        }
        // The rows are sorted. Once one is beyond the table's last row, all others are.
        beyond = beyond || is_beyond(key);
        let stored = to_stored(key, &mut room);
        match value {
            Some(value) if beyond => {
                table.append(txn, stored, value)?;
                bytes += (key.len() + value.len()) as u64;
            }
            Some(value) => match table.replace(txn, stored, value)? {
                None => bytes += (key.len() + value.len()) as u64,
                Some(old) => bytes = bytes - old as u64 + value.len() as u64,
            },
            None if beyond => {}
            None => {
                if let Some(old) = table.take(txn, stored)? {
                    bytes -= (key.len() + old) as u64;
                }
            }
        }
    }
    Ok(bytes)
}
