//! The parts of the broker that a cleaner works with. The ledger owns them and lends them.

use crate::config::EmbeddedConfig;
use crate::declared::DeclaredReads;
use crate::positions::Positions;
use crate::storage::Storage;

/// The parts of the broker that a [`Cleaner`](crate::cleaner::Cleaner) works with.
pub(crate) struct CleaningContext<'a> {
    pub(crate) config: &'a EmbeddedConfig,
    pub(crate) storage: &'a dyn Storage,
    /// The topics that groups declared they read: retention waits for some of these groups.
    pub(crate) declared: &'a DeclaredReads,
    pub(crate) positions: &'a Positions,
}
