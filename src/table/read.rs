use std::time::Duration;

use marlowe_broker::{Offset, Partition};
use marlowe_state::SlicePosition;

use crate::outbound::Sent;

/// An answer and the state it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<V> {
    /// The row, if there is one.
    pub value: Option<V>,
    /// The partition it was read from.
    pub partition: Partition,
    /// How far that partition's committed state was. Of one partition, later reads have the same or a later position, unless
    /// a standby answers them.
    pub position: Position,
    /// How stale it may be at most, when a [standby](crate::TableView::stale_within) answered; `None` when the owner did.
    pub stale: Option<Duration>,
}

/// How far the committed state of a slice is: the next offsets of its changelog and of its inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Position {
    /// All changelog records below this offset are in the state.
    pub changelog: u64,
    /// All changes sent to the table's inbox below this offset are in the state.
    pub inbox: u64,
}

impl From<SlicePosition> for Position {
    fn from(position: SlicePosition) -> Self {
        Self { changelog: position.changelog.get(), inbox: position.inbox.get() }
    }
}

impl Position {
    /// Whether the state holds the change that was sent.
    pub fn includes(&self, sent: &Sent) -> bool {
        Offset::new(self.inbox) > sent.offset
    }
}
