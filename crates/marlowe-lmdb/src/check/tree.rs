//! The walk through a tree of pages, which checks the order of keys and the counts.

use std::cmp::Ordering;

use super::node::Value;
use super::page::{Kind, Page};
use super::pages::Pages;
use super::tree_header::TreeHeader;
use crate::damage::{CheckError, Damage};

/// A depth that no tree on a real disk reaches.
const DEEPEST: u16 = 32;

/// A tree of pages that is to be walked.
pub(super) struct Tree<'a> {
    pub(super) pages: &'a mut Pages,
    pub(super) header: &'a TreeHeader,
    pub(super) order: Order,
    /// The name of the tree in messages.
    pub(super) what: &'a str,
}

/// The order of a tree's keys.
#[derive(Clone, Copy)]
pub(super) enum Order {
    Bytes,
    /// Keys are numbers of eight bytes.
    Numbers,
}

/// A row that the walk has reached.
pub(super) struct Row<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    /// The tree that the row has instead of a value.
    pub(super) tree: Option<TreeHeader>,
}

/// The counts and keys of the part of a tree that was walked so far.
#[derive(Default)]
struct Seen {
    branches: u64,
    leaves: u64,
    overflows: u64,
    entries: u64,
    last_key: Option<Vec<u8>>,
    /// The lower bound of the next key.
    least: Option<Vec<u8>>,
}

type Visit<'v> = &'v mut dyn FnMut(Row<'_>) -> Result<(), Damage>;

impl Tree<'_> {
    /// Calls `visit` with each row, in the order of the keys.
    pub(super) fn walk(mut self, visit: Visit<'_>) -> Result<(), CheckError> {
        self.walk_all(visit).map_err(|error| match error {
            CheckError::Damaged(damage) => Damage::new(format!("{damage} ({})", self.what)).into(),
            CheckError::Io(error) => CheckError::Io(error),
        })
    }

    fn walk_all(&mut self, visit: Visit<'_>) -> Result<(), CheckError> {
        let TreeHeader { flags: _, depth, branches, leaves, overflows, entries, root } = *self.header;
        if depth > DEEPEST || root.is_some() != (depth > 0) {
            return Err(Damage::new(format!("it has a tree of depth {depth}")).into());
        }
        let mut seen = Seen::default();
        if let Some(root) = root {
            self.page(root, 1, &mut seen, visit)?;
        }
        let counted = (seen.branches, seen.leaves, seen.overflows, seen.entries);
        if counted == (branches, leaves, overflows, entries) {
            return Ok(());
        }
        Err(Damage::new("its counts of pages and rows do not match its content").into())
    }

    fn page(&mut self, number: u64, depth: u16, seen: &mut Seen, visit: Visit<'_>) -> Result<(), CheckError> {
        let page = self.pages.take(number)?;
        match (page.kind, depth.cmp(&self.header.depth)) {
            (Kind::Branch, Ordering::Less) => {
                seen.branches += 1;
                self.branch(&page, depth, seen, visit)
            }
            (Kind::Leaf, Ordering::Equal) => {
                seen.leaves += 1;
                self.leaf(&page, seen, visit)
            }
            _ => Err(Damage::new(format!("its page {number} is at the wrong depth")).into()),
        }
    }

    fn branch(&mut self, page: &Page, depth: u16, seen: &mut Seen, visit: Visit<'_>) -> Result<(), CheckError> {
        for index in 0..page.len() {
            let node = page.branch(index).ok_or_else(|| out_of_order(page))?;
            // LMDB does not look at the first key of a branch.
            if index > 0 {
                self.check_after(page, seen, node.key)?;
                seen.least = Some(node.key.to_vec());
            }
            self.page(node.child, depth + 1, seen, visit)?;
        }
        Ok(())
    }

    fn leaf(&mut self, page: &Page, seen: &mut Seen, visit: Visit<'_>) -> Result<(), CheckError> {
        for index in 0..page.len() {
            let node = page.leaf(index).ok_or_else(|| out_of_order(page))?;
            self.check_after(page, seen, node.key)?;
            let least = seen.least.take();
            if least.is_some_and(|least| self.order.compare(node.key, &least).is_none_or(Ordering::is_lt)) {
                return Err(out_of_order(page).into());
            }
            match node.value {
                Value::Here(value) => visit(Row { key: node.key, value, tree: None })?,
                Value::Tree(tree) => visit(Row { key: node.key, value: &[], tree: Some(tree) })?,
                Value::Overflow { page, length } => {
                    let (value, pages) = self.pages.take_overflow(page, length)?;
                    seen.overflows += pages;
                    visit(Row { key: node.key, value: &value, tree: None })?;
                }
            }
            seen.entries += 1;
            let last = seen.last_key.get_or_insert_default();
            last.clear();
            last.extend_from_slice(node.key);
        }
        Ok(())
    }

    fn check_after(&self, page: &Page, seen: &Seen, key: &[u8]) -> Result<(), Damage> {
        let is_after = match &seen.last_key {
            None => self.order.compare(key, key).is_some(),
            Some(last) => self.order.compare(key, last).is_some_and(Ordering::is_gt),
        };
        if is_after { Ok(()) } else { Err(out_of_order(page)) }
    }
}

impl Order {
    /// Compares two keys. Returns `None` if one of them cannot be a key of this order.
    fn compare(self, key: &[u8], other: &[u8]) -> Option<Ordering> {
        match self {
            Self::Bytes => Some(key.cmp(other)),
            Self::Numbers => {
                let number = |key: &[u8]| key.try_into().ok().map(u64::from_le_bytes);
                Some(number(key)?.cmp(&number(other)?))
            }
        }
    }
}

fn out_of_order(page: &Page) -> Damage {
    Damage::new(format!("its page {} has keys that are not in order", page.number))
}
