//! The nodes of a page: keys with a child page in a branch, and keys with a value in a leaf.

use super::tree_header::TreeHeader;

const HEADER: usize = 8;

const BIG: u16 = 0x01;
const TREE: u16 = 0x02;

/// A node of a branch. The keys from `key` on are in the page `child`.
pub(super) struct Branch<'a> {
    pub(super) key: &'a [u8],
    pub(super) child: u64,
    pub(super) end: usize,
}

/// A node of a leaf.
pub(super) struct Leaf<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: Value<'a>,
    pub(super) end: usize,
}

pub(super) enum Value<'a> {
    Here(&'a [u8]),
    /// A long value, which has pages of its own.
    Overflow {
        page: u64,
        length: usize,
    },
    /// A tree, as the list of tables has one per table.
    Tree(TreeHeader),
}

impl<'a> Branch<'a> {
    pub(super) fn parse(page: &'a [u8], place: usize) -> Option<Self> {
        let ([low, high, flags, key], rest) = split(page, place)?;
        let child = u64::from(low) | u64::from(high) << 16 | u64::from(flags) << 32;
        let key = rest.get(..usize::from(key))?;
        Some(Self { key, child, end: place + HEADER + key.len() })
    }
}

impl<'a> Leaf<'a> {
    pub(super) fn parse(page: &'a [u8], place: usize) -> Option<Self> {
        let ([low, high, flags, key], rest) = split(page, place)?;
        let length = usize::from(low) | usize::from(high) << 16;
        let (key, rest) = rest.split_at_checked(usize::from(key))?;
        let (value, size) = match flags {
            0 => (Value::Here(rest.get(..length)?), length),
            BIG => {
                let page = u64::from_le_bytes(*rest.first_chunk()?);
                (Value::Overflow { page, length }, size_of::<u64>())
            }
            TREE if length == TreeHeader::LENGTH => (Value::Tree(TreeHeader::parse(rest.first_chunk()?)), length),
            _ => return None,
        };
        Some(Self { key, value, end: place + HEADER + key.len() + size })
    }
}

/// Returns the four numbers that a node begins with, and the rest of the page.
fn split(page: &[u8], place: usize) -> Option<([u16; 4], &[u8])> {
    let (header, rest) = page.get(place..)?.split_first_chunk::<HEADER>()?;
    Some((std::array::from_fn(|number| u16::from_le_bytes([header[2 * number], header[2 * number + 1]])), rest))
}
