//! The scan of a slice, which merges committed and uncommitted rows.

use std::iter::Peekable;
use std::ops::Bound;
use std::rc::Rc;
use std::vec::IntoIter;

use crate::local_rows::LocalRow;
use crate::source::Source;
use crate::{KeyRange, Rows, SliceError};

/// The rows of a range of a slice, in key order. See [`Slice::scan`](crate::Slice::scan).
///
/// The scan owns what it needs, and borrows nothing from the slice. For a row that does not decode
/// it returns an error ([`SliceError::Undecodable`]) in the row's place, and goes on after it. Any
/// other error ends the scan.
pub struct SliceScan<K, V> {
    source: Rc<Source<K, V>>,
    /// The part of the range that is left to read from the store.
    range: KeyRange,
    page: Rows,
    /// The index of the next row of the page.
    next: usize,
    more: bool,
    local: Peekable<IntoIter<LocalRow<K, V>>>,
}

/// The number of rows that are read from the store at a time.
const PAGE: usize = 256;

impl<K: 'static, V: 'static> SliceScan<K, V> {
    pub(crate) fn new(source: Rc<Source<K, V>>, range: KeyRange, local: Vec<LocalRow<K, V>>) -> Self {
        Self { source, range, page: Rows::new(), next: 0, more: true, local: local.into_iter().peekable() }
    }

    fn read_page(&mut self) -> Result<(), SliceError> {
        if let Some((last, _)) = self.page.len().checked_sub(1).and_then(|last| self.page.get(last)) {
            self.range.start = Bound::Excluded(last.to_vec());
        }
        let Source { store, table, slot, .. } = &*self.source;
        let scan = store.scan(*table, &self.range, PAGE, *slot).map_err(|error| self.source.store_error(error))?;
        (self.page, self.more, self.next) = (scan.rows, scan.more, 0);
        Ok(())
    }

    fn step(&mut self) -> Result<Option<(K, V)>, SliceError> {
        loop {
            if self.next == self.page.len() && self.more {
                self.read_page()?;
                continue;
            }
            let stored = self.page.get(self.next);
            match (stored, self.local.peek()) {
                (None, None) => return Ok(None),
                (Some((key, _)), Some((local, _))) if key == &**local => self.next += 1,
                (Some((key, value)), local) if local.is_none_or(|(local, _)| key < &**local) => {
                    let format = &self.source.format;
                    self.next += 1;
                    let row = format
                        .decode_key(key)
                        .and_then(|key| Ok((key, format.decode_value(value.unwrap_or_default())?)))
                        .map_err(|error| self.source.undecodable(key, error))?;
                    return Ok(Some(row));
                }
                _ => {
                    if let Some((_, Some(row))) = self.local.next() {
                        return Ok(Some(row));
                    }
                }
            }
        }
    }
}

impl<K: 'static, V: 'static> Iterator for SliceScan<K, V> {
    type Item = Result<(K, V), SliceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.step();
        if row.as_ref().is_err_and(|error| !matches!(error, SliceError::Undecodable { .. })) {
            (self.page, self.next, self.more, self.local) = (Rows::new(), 0, false, Vec::new().into_iter().peekable());
        }
        row.transpose()
    }
}
