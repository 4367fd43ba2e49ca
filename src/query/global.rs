//! A worker's copy of a global table, as its readers have it.

use std::sync::Arc;

use marlowe_state::{Store, TableIndex};

use crate::watch;

/// A worker's own copy of a whole global table: committed rows, a produce and a fetch behind their owners.
#[derive(Clone)]
pub(crate) struct GlobalStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) partitions: u32,
    /// Marked whenever the copy moved on.
    pub(crate) moved: watch::Receiver<()>,
}

impl GlobalStore {
    pub(crate) const TABLE: TableIndex = TableIndex(0);
}
