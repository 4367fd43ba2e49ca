//! A worker's copy of a global table, as its readers use it.

use std::sync::Arc;

use marlowe_state::{Store, TableIndex};

use crate::watch;

/// A worker's own copy of a whole global table. Its rows are committed, and lag behind their owners
/// by one produce and one fetch.
#[derive(Clone)]
pub(crate) struct GlobalStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) partitions: u32,
    /// Notified when the copy has advanced.
    pub(crate) moved: watch::Receiver<()>,
}

impl GlobalStore {
    pub(crate) const TABLE: TableIndex = TableIndex(0);
}
