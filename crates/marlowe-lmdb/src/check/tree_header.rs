//! The header of a tree, as the file's header and the nodes of the list of tables contain it.

/// The header of a tree.
#[derive(Clone, Debug)]
pub(crate) struct TreeHeader {
    pub(crate) flags: u16,
    pub(crate) depth: u16,
    pub(crate) branches: u64,
    pub(crate) leaves: u64,
    pub(crate) overflows: u64,
    pub(crate) entries: u64,
    /// The page of the root. `None` if the tree is empty.
    pub(crate) root: Option<u64>,
}

impl TreeHeader {
    pub(crate) const LENGTH: usize = 48;

    pub(crate) fn parse(bytes: &[u8; Self::LENGTH]) -> Self {
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        Self {
            flags: short(4),
            depth: short(6),
            branches: number(8),
            leaves: number(16),
            overflows: number(24),
            entries: number(32),
            root: Some(number(40)).filter(|root| *root != u64::MAX),
        }
    }
}
