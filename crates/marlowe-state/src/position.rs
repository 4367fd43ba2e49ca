use marlowe_broker::{Offset, Timestamp};

/// How far a slice's state has come: the next offsets that are not in it yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct SlicePosition {
    /// The next changelog offset: everything before it is in the state.
    pub changelog: Offset,
    /// The next offset of the table's inbox: everything before it is in the state.
    pub inbox: Offset,
    /// By the wall clock: a row whose removal was in the changelog before this moment is not in the state. Zero when nobody
    /// knows.
    pub as_of: Timestamp,
}

/// A table of a store: its place in [`StoreLayout::tables`](crate::StoreLayout::tables).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TableIndex(pub u16);

/// One of the positions a store keeps, numbered from zero up to [`StoreLayout::slots`](crate::StoreLayout::slots).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PositionSlot(pub u32);
