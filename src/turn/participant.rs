use std::sync::Arc;

use marlowe_state::{CacheStats, Hand};

use super::flush::Flush;
use crate::HandlerError;

/// Something a handler changes: a table's slice, or the changes it sends to other owners. It takes part in each event's
/// transaction, and in the lane's commit.
pub(crate) trait Participant {
    /// An event with this key is next: rows of that key may be asked for.
    fn expect(&self, _key: &[u8]) {}

    /// Whether what `hand` read is still so.
    fn is_current(&self, hand: Hand) -> bool;

    /// Encodes what the event has changed, as a commit will, if the shard works with a [`Caution`](super::caution::Caution).
    ///
    /// # Errors
    /// When it cannot be written: the table or topic, the key, and why.
    fn check(&self, _hand: Hand) -> Result<(), HandlerError> {
        Ok(())
    }

    /// The event succeeded.
    fn apply(&self, hand: Hand);

    /// The event failed: nothing of it is left.
    fn discard(&self, hand: Hand);

    /// About how many bytes wait for a commit.
    fn uncommitted_bytes(&self) -> usize;

    /// Puts what waits into a commit.
    fn flush(&self, into: &mut Flush<'_>) -> Result<(), HandlerError>;

    /// The cache of a table, for the metrics.
    fn cache(&self) -> Option<(&Arc<str>, CacheStats)> {
        None
    }

    /// The commit that holds the last flush is done, and the store has it.
    fn flushed(&self);
}
