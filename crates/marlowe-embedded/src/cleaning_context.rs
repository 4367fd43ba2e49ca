//! The parts of the broker that a cleaner works with. The ledger owns them and lends them.

use crate::config::EmbeddedConfig;
use crate::declared::DeclaredReads;
use crate::positions::Positions;
use crate::storage::Storage;

/// The parts of the broker that a [`Cleaner`](crate::cleaner::Cleaner) works with.
pub(crate) struct CleaningContext<'a> {
    pub(crate) config: &'a EmbeddedConfig,
    pub(crate) storage: &'a dyn Storage,
    /// What the groups read: retention waits for some of them.
    pub(crate) declared: &'a DeclaredReads,
    pub(crate) positions: &'a Positions,
}
