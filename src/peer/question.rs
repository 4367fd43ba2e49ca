use std::time::Duration;

use marlowe_state::{KeyRange, Rows, SlicePosition};

/// What is asked of one partition of a table. Keys are in the store's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// The row of a key.
    Row(Vec<u8>),
    /// The first rows of a range, from one snapshot, and at most so many bytes of them; of one row, where the first has more.
    Rows { range: KeyRange, limit: usize, bytes: usize },
    /// How many rows there are.
    Count,
    /// Nothing but how far it is.
    Position,
}

/// An answer, and the state it is from.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) found: Found,
    pub(crate) as_of: AsOf,
}

/// The state that an answer is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AsOf {
    /// How far the snapshot was.
    pub(crate) position: SlicePosition,
    /// How stale it may be, if it is a standby's.
    pub(crate) stale: Option<Duration>,
}

/// What a [`Question`] is answered with.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Row(Option<Vec<u8>>),
    /// `more` says that the range holds further rows: ask on from after the last key.
    Rows {
        rows: Rows,
        more: bool,
    },
    Count(u64),
    Position,
}

impl Found {
    /// Whether it is of the kind that was asked for.
    pub(crate) fn answers(&self, question: &Question) -> bool {
        matches!(
            (self, question),
            (Found::Row(_), Question::Row(_))
                | (Found::Rows { .. }, Question::Rows { .. })
                | (Found::Count(_), Question::Count)
                | (Found::Position, Question::Position)
        )
    }
}

/// How far a slice is wanted to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// A changelog position, as an earlier answer told it.
    pub(crate) changelog: Option<u64>,
    /// The offset of a change in the table's inbox.
    pub(crate) inbox: Option<u64>,
}

impl Wanted {
    pub(crate) fn is_reached(&self, position: SlicePosition) -> bool {
        self.changelog.is_none_or(|wanted| position.changelog.get() >= wanted)
            && self.inbox.is_none_or(|wanted| position.inbox.get() > wanted)
    }
}
