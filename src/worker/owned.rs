//! A shard that a worker owns, and its life there.
//!
//! # The states of a shard
//!
//! ```text
//!                assigned
//!                   |
//!                   v
//!    +--------> restoring --plan--> opening --> open
//!    |                                            |
//!    +--- a commit failed, its work is dropped ---+
//!                                                 |
//!                                                 +-- revoked --> closing --> acknowledged
//!                                                 |
//!                                                 +-- lost -----> dropped
//! ```
//!
//! A shard may be revoked or lost in any state. While it is being restored, its restore is only
//! cancelled. Each restore has a number of its own, the *opening*, and each result from a restore
//! or a lane names it. So a result that belongs to an earlier opening is recognized and ignored.

use std::sync::Arc;

use marlowe_state::Store;

use crate::restore::Cancellation;
use crate::turn::Caution;

/// A shard that this worker owns.
pub(crate) struct Owned {
    pub(super) lane: usize,
    /// The number of its restore (see above).
    pub(super) opening: u64,
    /// The group's generation at which the shard was assigned.
    pub(super) generation: u64,
    pub(super) life: ShardLife,
}

/// The state of a shard that this worker owns. When the shard leaves, a standby goes on with its
/// store. When its work was dropped, the shard itself does.
pub(super) enum ShardLife {
    /// It is being restored. It must work with this caution after that.
    Restoring { cancellation: Cancellation, caution: Caution },
    /// Its lane opens it.
    Opening { store: Arc<dyn Store> },
    /// Its lane processes it.
    Open { store: Arc<dyn Store> },
}

impl ShardLife {
    /// Returns the shard's store, if it is restored.
    pub(super) fn store(&self) -> Option<&Arc<dyn Store>> {
        match self {
            Self::Restoring { .. } => None,
            Self::Opening { store } | Self::Open { store } => Some(store),
        }
    }
}
