//! Questions about one partition of a table, and their answers.

use std::time::Duration;

use marlowe_state::{KeyRange, Rows, SlicePosition};

/// A question about one partition of a table. Keys are in ordered form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Asks for the row of a key.
    Row(Vec<u8>),
    /// Asks for the first rows of a range, from one snapshot: at most `limit` rows with at most
    /// `bytes` bytes. If the first row alone has more bytes, only that row is returned.
    Rows { range: KeyRange, limit: usize, bytes: usize },
    /// Asks for the number of rows.
    Count,
    /// Asks for the position only.
    Position,
}

/// An answer, and the state that it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) found: Found,
    pub(crate) as_of: AsOf,
}

/// The state that an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AsOf {
    /// The position of the snapshot.
    pub(crate) position: SlicePosition,
    /// The time by which the answer may be stale, if a standby gave it.
    pub(crate) stale: Option<Duration>,
}

/// The content of an answer to a [`Question`].
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Row(Option<Vec<u8>>),
    /// Rows of a range. If `more` is set, the range may hold further rows: ask again from after the
    /// last key.
    Rows {
        rows: Rows,
        more: bool,
    },
    Count(u64),
    Position,
}

impl Found {
    /// Returns `true` if the content is of the kind that `question` asks for.
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

/// The position that a slice must have reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// A changelog position from an earlier answer.
    pub(crate) changelog: Option<u64>,
    /// The offset of a change in the table's inbox. The state must include this change.
    pub(crate) inbox: Option<u64>,
}

impl Wanted {
    pub(crate) fn is_reached(&self, position: SlicePosition) -> bool {
        self.changelog.is_none_or(|wanted| position.changelog.get() >= wanted)
            && self.inbox.is_none_or(|wanted| position.inbox.get() > wanted)
    }
}
