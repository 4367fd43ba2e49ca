//! The rows of the program's tables: lists of the changes that were made to them.

use std::collections::BTreeMap;

/// The changes of a row, in order: `a` and the id for the first agent, `b` for the second, and so
/// on.
pub(crate) type List = Vec<String>;

/// Rows by their keys.
pub(crate) type Rows = BTreeMap<String, List>;

/// The mark of the partition timer in a row.
pub(crate) const TICK: &str = "t";

/// Returns a row without the marks of the partition timer.
pub(crate) fn without_ticks(list: List) -> List {
    list.into_iter().filter(|entry| entry != TICK).collect()
}

/// Merges a change that was sent to a row into it.
pub(crate) fn append(list: &mut List, more: List) {
    list.extend(more);
}
