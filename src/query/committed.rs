use std::sync::Arc;

use marlowe_state::{PositionSlot, SlicePosition, Store, StoreError, TableIndex};
use tokio::time::{Instant, timeout_at};

use crate::peer::{Answer, AsOf, Found, Question, Wanted};
use crate::watch;

/// One partition of a table's committed rows, open in this process: its owner's slice, or a part of a global table's copy.
#[derive(Clone)]
pub(crate) struct CommittedSlice {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) table: TableIndex,
    pub(crate) slot: PositionSlot,
    /// Marked when it moves on; it ends when the slice is closed.
    pub(crate) moved: watch::Receiver<()>,
}

/// How waiting for a slice to come so far ended.
pub(crate) enum Reached {
    Yes,
    /// It was not so far by the deadline.
    Behind(SlicePosition),
    /// It was closed meanwhile.
    Closed,
}

impl CommittedSlice {
    pub(crate) fn position(&self) -> SlicePosition {
        self.store.position(self.slot)
    }

    /// What was asked, from one snapshot, and how far that is.
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
                // Looked up before: the count may be of a later state than said, not of an earlier one.
                let position = self.position();
                (Found::Count(self.store.count(self.table)?), position)
            }
            Question::Position => (Found::Position, self.position()),
        };
        Ok(Answer { found, as_of: AsOf { position, stale: None } })
    }

    /// Waits until it is as far as wanted.
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
