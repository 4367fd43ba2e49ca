use std::collections::BTreeMap;

use crate::KeyRange;
use crate::cache::Slot;

/// Rows the store does not have yet as they are in the cache: the dirty ones, or those of the flush in flight.
///
/// They are put in key order only when a scan asks for it, and then only those that came since the last scan.
#[derive(Default)]
pub(crate) struct Unflushed {
    slots: Vec<Slot>,
    ordered: BTreeMap<Box<[u8]>, Slot>,
    /// How many of `slots` are in `ordered`.
    known: usize,
}

impl Unflushed {
    pub(crate) fn push(&mut self, slot: Slot) {
        self.slots.push(slot);
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Takes in all rows of `other`, which is empty afterwards.
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

    /// The rows in `range`. `key_of` tells a row's store key.
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
