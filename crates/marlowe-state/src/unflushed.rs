//! The changed rows of a slice that its store does not have yet.

use std::collections::BTreeMap;

use crate::KeyRange;
use crate::cache::Slot;

/// A set of rows that differ between the cache and the store: either the dirty rows, or those of
/// the flush in flight.
///
/// They are put in key order only when a scan asks for it, and then only those that came since the
/// last scan.
#[derive(Default)]
pub(crate) struct Unflushed {
    slots: Vec<Slot>,
    ordered: BTreeMap<Box<[u8]>, Slot>,
    /// The number of `slots` that are in `ordered`.
    known: usize,
}

impl Unflushed {
    pub(crate) fn push(&mut self, slot: Slot) {
        self.slots.push(slot);
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Moves all rows of `other` into this set.
    pub(crate) fn take_in(&mut self, other: &mut Self) {
        if self.slots.is_empty() {
            std::mem::swap(self, other);
        } else {
            self.slots.append(&mut other.slots);
            other.clear();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.ordered.clear();
        self.known = 0;
    }

    /// Returns the rows in `range`. `key_of` returns a row's store key.
    pub(crate) fn range(
        &mut self,
        range: &KeyRange,
        mut key_of: impl FnMut(Slot) -> Box<[u8]>,
    ) -> impl Iterator<Item = (&[u8], Slot)> {
        self.ordered.extend(self.slots[self.known..].iter().map(|slot| (key_of(*slot), *slot)));
        self.known = self.slots.len();
        (!range.is_empty())
            .then(|| self.ordered.range::<[u8], _>(range.bounds()))
            .into_iter()
            .flatten()
            .map(|(key, slot)| (&**key, *slot))
    }
}
