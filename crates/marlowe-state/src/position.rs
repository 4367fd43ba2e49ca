//! Positions of a slice in its logs, and the numbers by which a store names its tables and
//! positions.

use marlowe_broker::{Offset, Timestamp};

/// The position of a slice's state: the next offsets of its changelog and its inbox that are not in
/// the state yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct SlicePosition {
    /// The next offset of the changelog. Everything before it is in the state.
    pub changelog: Offset,
    /// The next offset of the table's inbox. Everything before it is in the state.
    pub inbox: Offset,
    /// A moment by the wall clock. A row whose removal was in the changelog before this moment is
    /// not in the state. Zero if no such moment is known.
    pub as_of: Timestamp,
}

/// The number of a table: its index in [`StoreLayout::tables`](crate::StoreLayout::tables).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TableIndex(pub u16);

/// The number of a position in a store, from zero to one less than
/// [`StoreLayout::slots`](crate::StoreLayout::slots).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PositionSlot(pub u32);
