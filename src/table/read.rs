//! Answers of views, and the positions of the state that they come from.

use std::time::Duration;

use marlowe_broker::{Offset, Partition};
use marlowe_state::SlicePosition;

use crate::outbound::Sent;

/// A row that was read, and the state that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<V> {
    /// The row, if there is one.
    pub value: Option<V>,
    /// The partition that was read.
    pub partition: Partition,
    /// The position of the partition's committed state at the read. Later reads of one partition
    /// have the same or a later position, unless a standby answers them.
    pub position: Position,
    /// The longest time by which the answer may be stale, if a
    /// [standby](crate::table::TableView::stale_within) gave it; `None` if the owner gave it.
    pub stale: Option<Duration>,
}

/// The position of a slice's committed state: the next offsets of its changelog and of its inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Position {
    /// The state includes all changelog records below this offset.
    pub changelog: u64,
    /// The state includes all changes in the table's inbox below this offset.
    pub inbox: u64,
}

impl From<SlicePosition> for Position {
    fn from(position: SlicePosition) -> Self {
        Self { changelog: position.changelog.get(), inbox: position.inbox.get() }
    }
}

impl Position {
    /// Returns `true` if the state includes the change `sent`.
    pub fn includes(&self, sent: &Sent) -> bool {
        Offset::new(self.inbox) > sent.offset
    }
}
