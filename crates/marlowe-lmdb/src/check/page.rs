//! A page of a tree, and the header of the pages of a long value.

use super::node::{Branch, Leaf};
use crate::damage::Damage;

pub(crate) const PAGE_HEADER: usize = 16;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;

/// A page of a tree.
pub(super) struct Page {
    pub(super) number: u64,
    pub(super) kind: Kind,
    bytes: Vec<u8>,
    /// The place of each node in `bytes`, in the order of the keys.
    places: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Branch,
    Leaf,
}

impl Page {
    pub(super) fn parse(number: u64, bytes: Vec<u8>) -> Result<Self, Damage> {
        let damaged = || Damage::new(format!("its page {number} is not valid"));
        if number_of(&bytes) != number {
            return Err(damaged());
        }
        let kind = match flags_of(&bytes) {
            BRANCH => Kind::Branch,
            LEAF => Kind::Leaf,
            _ => return Err(damaged()),
        };
        let (lower, upper) = (short(&bytes, 12), short(&bytes, 14));
        if lower <= PAGE_HEADER || !lower.is_multiple_of(2) || lower > upper || upper > bytes.len() {
            return Err(damaged());
        }
        let places: Vec<usize> = (PAGE_HEADER..lower).step_by(2).map(|at| short(&bytes, at)).collect();
        let page = Self { number, kind, bytes, places };
        let mut nodes = Vec::with_capacity(page.places.len());
        for (index, place) in page.places.iter().enumerate() {
            let end = match kind {
                Kind::Branch => page.branch(index).map(|node| node.end),
                Kind::Leaf => page.leaf(index).map(|node| node.end),
            };
            nodes.push((*place, end.ok_or_else(damaged)?.next_multiple_of(2)));
        }
        // Nodes fill the end of the page without gaps. LMDB relies on that when it removes a node,
        // because it moves the others then.
        nodes.sort_unstable();
        let filled = nodes.iter().try_fold(upper, |from, (place, end)| (*place == from).then_some(*end));
        if filled == Some(page.bytes.len()) { Ok(page) } else { Err(damaged()) }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns the node at `index`. The page must be a branch.
    pub(super) fn branch(&self, index: usize) -> Option<Branch<'_>> {
        Branch::parse(&self.bytes, self.places[index])
    }

    /// Returns the node at `index`. The page must be a leaf.
    pub(super) fn leaf(&self, index: usize) -> Option<Leaf<'_>> {
        Leaf::parse(&self.bytes, self.places[index])
    }

    /// Returns the number of pages that a long value of `length` bytes needs.
    pub(super) fn overflow_pages(length: usize, page_size: usize) -> u64 {
        (PAGE_HEADER + length).div_ceil(page_size) as u64
    }

    /// Returns the number of pages that a long value has, as its first page says.
    pub(super) fn parse_overflow(number: u64, bytes: &[u8]) -> Result<u64, Damage> {
        if number_of(bytes) != number || flags_of(bytes) != OVERFLOW {
            return Err(Damage::new(format!("its page {number} should begin a long value, and does not")));
        }
        Ok(u64::from(u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]])))
    }
}

fn number_of(page: &[u8]) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|byte| page[byte]))
}

fn flags_of(page: &[u8]) -> u16 {
    short(page, 10) as u16
}

fn short(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a leaf with a node at each of `places`. A node has a key of four bytes and no value.
    fn leaf(places: &[u16], upper: u16) -> Vec<u8> {
        let mut page = vec![0; 512];
        page[10..12].copy_from_slice(&LEAF.to_le_bytes());
        page[12..14].copy_from_slice(&(PAGE_HEADER as u16 + 2 * places.len() as u16).to_le_bytes());
        page[14..16].copy_from_slice(&upper.to_le_bytes());
        for (index, place) in places.iter().enumerate() {
            page[PAGE_HEADER + 2 * index..][..2].copy_from_slice(&place.to_le_bytes());
            let key_length = usize::from(*place) + 6;
            page[key_length..][..2].copy_from_slice(&4_u16.to_le_bytes());
        }
        page
    }

    #[test]
    fn nodes_lie_beside_each_other() {
        assert!(Page::parse(0, leaf(&[500, 488], 488)).is_ok());
        assert!(Page::parse(0, leaf(&[488, 500], 488)).is_ok());
        // Their lengths add up to the space between `upper` and the end, but they overlap.
        assert!(Page::parse(0, leaf(&[488, 488], 488)).is_err());
        assert!(Page::parse(0, leaf(&[500, 500], 488)).is_err());
        assert!(Page::parse(0, leaf(&[500], 488)).is_err());
    }
}
