//! The error of reads through views and copies.

use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::Partition;
use marlowe_state::StoreError;

use super::rows::UndecodableRow;

/// The error of a read that cannot be answered.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// No worker had the slice open in time. The slice is moving or being restored, or its owner
    /// cannot be reached.
    #[error("table `{table}`, partition {partition}: no worker had it open within {waited:?} ({reason}); try again")]
    Unavailable {
        /// The table.
        table: Arc<str>,
        /// The partition.
        partition: Partition,
        /// The time that the read waited.
        waited: Duration,
        /// The reason, as far as this process knows it.
        reason: String,
    },
    /// The slice's owner, in another process, refuses to answer.
    #[error("table `{table}`, partition {partition}: worker `{worker}`, which has it, does not answer: {reason}")]
    Refused {
        /// The table.
        table: Arc<str>,
        /// The partition.
        partition: Partition,
        /// The owner.
        worker: Arc<str>,
        /// The reason, and what to do.
        reason: String,
    },
    /// Each partition of the table has its own rows, so a key alone names no row.
    #[error(
        "table `{table}` is partition-local, so a key alone does not identify a row: read rows with `iter`, `range` \
         or `page`"
    )]
    PartitionLocal {
        /// The table.
        table: Arc<str>,
    },
    /// The slice's state did not reach the position in time.
    #[error("table `{table}`, partition {partition}: its state did not reach {sent} within {waited:?}; try again")]
    Behind {
        /// The table.
        table: Arc<str>,
        /// The partition.
        partition: Partition,
        /// The change that the read waited for.
        sent: String,
        /// The time that the read waited.
        waited: Duration,
    },
    /// The store of this process cannot be read.
    #[error("table `{table}`: {source}")]
    Store {
        /// The table.
        table: Arc<str>,
        /// The store's error.
        source: Arc<StoreError>,
    },
    /// The row does not decode.
    #[error(transparent)]
    Undecodable(#[from] UndecodableRow),
}
