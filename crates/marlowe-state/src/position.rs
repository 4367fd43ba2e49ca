use marlowe_broker::Offset;

/// How far a slice's state has come: the next offsets that are not in it yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct SlicePosition {
    /// The next changelog offset: everything before it is in the state.
    pub changelog: Offset,
    /// The next offset of the table's inbox: everything before it is in the state.
    pub inbox: Offset,
    /// The epoch of the latest owner whose changelog records are in the state, where they tell it; otherwise 0.
    pub epoch: u64,
}

/// A table of a store: its place in [`StoreLayout::tables`](crate::StoreLayout::tables).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TableIndex(pub u16);

/// One of the positions a store keeps, numbered from zero up to [`StoreLayout::slots`](crate::StoreLayout::slots).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PositionSlot(pub u32);
