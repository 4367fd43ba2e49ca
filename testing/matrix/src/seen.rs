//! The rows that were read during a run.

use std::collections::BTreeMap;

use marlowe::table::Position;

use crate::rows::{List, Rows, without_ticks};

/// The reader: a worker, by its number and the number of its starts, or `None` for a reader
/// outside.
pub(crate) type Who = Option<(usize, u64)>;

/// The rows that were read during a run.
#[derive(Default)]
pub(crate) struct Seen {
    rows: Vec<(String, List)>,
    copies: Vec<(String, List)>,
    latest: BTreeMap<(Who, String), (Position, usize)>,
}

impl Seen {
    /// Notes a row that a view returned. Checks that the reader has not seen a later state of it
    /// before.
    pub(crate) fn row(&mut self, who: Who, key: &str, list: List, position: Position) {
        let list = without_ticks(list);
        let latest = self.latest.entry((who, key.to_owned())).or_insert((position, 0));
        assert!(latest.0 <= position, "{who:?} read `{key}` at {position:?} after {:?}", latest.0);
        assert!(latest.1 <= list.len(), "{who:?} read `{key}` as it was before: {list:?}");
        *latest = (position, list.len());
        self.rows.push((key.to_owned(), list));
    }

    /// Notes a row of a global table's copy.
    pub(crate) fn copy(&mut self, key: &str, list: List) {
        self.copies.push((key.to_owned(), list));
    }

    /// Checks that everything that was seen is committed, with either guarantee. `table` and
    /// `global` are the rows at the end, without the marks of the partition timer.
    pub(crate) fn check(&self, table: &Rows, global: &Rows) {
        for (key, list) in &self.rows {
            let last = table.get(key).map_or(&[][..], Vec::as_slice);
            assert!(last.starts_with(list), "`{key}` was seen as {list:?}, which is no beginning of {last:?}");
        }
        for (key, list) in &self.copies {
            let last = global.get(key).map_or(&[][..], Vec::as_slice);
            assert!(last.starts_with(list), "a copy had `{key}` as {list:?}, which is no beginning of {last:?}");
        }
    }
}
