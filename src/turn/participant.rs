//! [`Participant`]: the part of a table or an outgoing inbox in events and commits.

use std::sync::Arc;

use marlowe_state::{CacheStats, TxnSlot};

use super::flush::Flush;
use crate::HandlerError;

/// State that a handler changes: a table's slice, or the changes that it sends to other owners. It
/// takes part in the transaction of each event, and in the commit of the lane.
pub(crate) trait Participant {
    /// Announces that the next event has this key, so its row may be asked for soon.
    fn expect(&self, _key: &[u8]) {}

    /// Returns true if the rows that the event of `txn` used have not changed since.
    fn is_current(&self, txn: TxnSlot) -> bool;

    /// Encodes what the event has changed, as a commit will. Called if the shard checks its events:
    /// see [`Caution`](super::caution::Caution).
    ///
    /// # Errors
    /// If it cannot be written. The error names the table or topic, the key and the reason.
    fn check(&self, _hand: TxnSlot) -> Result<(), HandlerError> {
        Ok(())
    }

    /// Applies the changes of the event, because it succeeded.
    fn apply(&self, txn: TxnSlot);

    /// Drops the changes of the event, because it failed.
    fn discard(&self, txn: TxnSlot);

    /// Returns the approximate number of bytes that wait for a commit.
    fn uncommitted_bytes(&self) -> usize;

    /// Adds the changes that wait to a commit.
    fn flush(&self, into: &mut Flush<'_>) -> Result<(), HandlerError>;

    /// Returns the table's name and the state of its cache, for the metrics. `None` if this is no
    /// table.
    fn cache(&self) -> Option<(&Arc<str>, CacheStats)> {
        None
    }

    /// Notes that the commit with the last flush has succeeded and that the store has its rows.
    fn flushed(&self);
}
