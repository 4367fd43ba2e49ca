//! Committed rows that are open in this process, and the answers to questions about them.

use std::sync::Arc;

use marlowe_state::{PositionSlot, SlicePosition, Store, StoreError, TableIndex};
use tokio::time::{Instant, timeout_at};

use crate::peer::{Answer, AsOf, Found, Question, Wanted};
use crate::watch;

/// One partition of a table's committed rows that is open in this process: its owner's slice, a
/// standby, or a part of a global table's copy.
#[derive(Clone)]
pub(crate) struct CommittedSlice {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) table: TableIndex,
    pub(crate) slot: PositionSlot,
    /// Notified when the position advances. Its sender is dropped when the slice is closed.
    pub(crate) moved: watch::Receiver<()>,
}

/// The result of waiting until a slice reaches a position.
pub(crate) enum Reached {
    Yes,
    /// The slice had not reached the position by the deadline. It was at this one.
    Behind(SlicePosition),
    /// The slice was closed during the wait.
    Closed,
}

impl CommittedSlice {
    pub(crate) fn position(&self) -> SlicePosition {
        self.store.position(self.slot)
    }

    /// Returns the answer to a question from one snapshot, with the snapshot's position.
    pub(crate) fn answer(&self, question: &Question) -> Result<Answer, StoreError> {
        let (found, position) = match question {
            Question::Row(key) => {
                let mut bytes = Vec::new();
                let (found, position) = self.store.get_at(self.table, key, self.slot, &mut bytes)?;
                (Found::Row(found.then_some(bytes)), position)
            }
            Question::Rows { range, limit, bytes } => {
                let scan = self.store.scan_within(self.table, range, *limit, *bytes, self.slot)?;
                (Found::Rows { rows: scan.rows, more: scan.more }, scan.position)
            }
            Question::Count => {
                // Read the position before the count. So the count may be of a later state than the
                // position says, but never of an earlier one.
                let position = self.position();
                (Found::Count(self.store.count(self.table)?), position)
            }
            Question::Position => (Found::Position, self.position()),
        };
        Ok(Answer { found, as_of: AsOf { position, stale: None } })
    }

    /// Waits until the slice is at the position that is wanted, or until the deadline.
    pub(crate) async fn reach(&mut self, wanted: Wanted, deadline: Instant) -> Reached {
        loop {
            self.moved.mark_unchanged();
            let position = self.position();
            if wanted.is_reached(position) {
                return Reached::Yes;
            }
            match timeout_at(deadline, self.moved.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Reached::Closed,
                Err(_) => return Reached::Behind(position),
            }
        }
    }
}
