use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::Partition;
use marlowe_state::StoreError;

use super::undecodable::UndecodableRow;

/// A read that cannot be answered now.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The slice's owner could not be asked: it is moving or being restored, or its owner is not reached.
    #[error("table `{table}`, partition {partition}: no worker had it open within {waited:?} ({reason}); try again")]
    Unavailable {
        /// The table.
        table: Arc<str>,
        /// The partition.
        partition: Partition,
        /// How long was waited.
        waited: Duration,
        /// What is known of where it is.
        reason: String,
    },
    /// The slice's owner, in another process, refuses to answer.
    #[error("table `{table}`, partition {partition}: worker `{worker}`, which has it, does not answer: {reason}")]
    Refused {
        /// The table.
        table: Arc<str>,
        /// The partition.
        partition: Partition,
        /// Who refuses.
        worker: Arc<str>,
        /// Why, and what to do.
        reason: String,
    },
    /// The table has rows of its own in each partition, so that a key alone names none.
    #[error(
        "table `{table}` has rows of its own in each partition, so a key alone names none of them: read them all with \
         `iter`, `range` or `page`"
    )]
    PartitionLocal {
        /// The table.
        table: Arc<str>,
    },
    /// The slice did not get to the position in time.
    #[error("table `{table}`, partition {partition}: its state did not reach {sent} within {waited:?}; try again")]
    Behind {
        /// The table.
        table: Arc<str>,
        /// The partition.
        partition: Partition,
        /// What was waited for.
        sent: String,
        /// How long was waited.
        waited: Duration,
    },
    /// The store refused.
    #[error("table `{table}`: {source}")]
    Store {
        /// The table.
        table: Arc<str>,
        /// What it said.
        source: Arc<StoreError>,
    },
    /// The row does not decode.
    #[error(transparent)]
    Undecodable(#[from] UndecodableRow),
}
