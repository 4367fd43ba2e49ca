use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::cache::Slot;

/// What the event in one hand has read and changed, over the cache.
///
/// It names rows by their slots in the cache, which are pinned for as long. Its memory is kept from event to event.
pub(crate) struct Overlay<V> {
    rows: Vec<OverlayRow<V>>,
    /// Where each slot is in `rows`, kept only while there are more than [`LINEAR`].
    places: HashMap<Slot, u32, RandomState>,
    /// By how much the event's changes make the slice longer.
    pub(crate) growth: i64,
    /// The slice's version when the event first scanned it.
    pub(crate) scanned: Option<u64>,
    /// How many finished rows there were when the event first asked.
    pub(crate) counted: Option<u64>,
}

pub(crate) struct OverlayRow<V> {
    pub(crate) slot: Slot,
    /// The row's version when the event first touched it.
    pub(crate) version: u32,
    pub(crate) change: Change<V>,
}

/// What the event did with a row.
pub(crate) enum Change<V> {
    Read,
    Put(V),
    Remove,
}

/// Up to how many rows are searched one by one: that is quicker than hashing.
const LINEAR: usize = 8;

impl<V> Overlay<V> {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new(), places: HashMap::default(), growth: 0, scanned: None, counted: None }
    }

    pub(crate) fn rows(&self) -> &[OverlayRow<V>] {
        &self.rows
    }

    /// The place of the row in `slot`, if the event has touched it.
    #[inline]
    pub(crate) fn find(&self, slot: Slot) -> Option<usize> {
        if self.rows.len() <= LINEAR {
            self.rows.iter().position(|row| row.slot == slot)
        } else {
            self.places.get(&slot).map(|place| *place as usize)
        }
    }

    /// Notes that the event touches a row it has not touched before; returns its place.
    #[inline]
    pub(crate) fn touch(&mut self, slot: Slot, version: u32) -> usize {
        let place = self.rows.len();
        self.rows.push(OverlayRow { slot, version, change: Change::Read });
        if place >= LINEAR {
            self.place_from(if place == LINEAR { 0 } else { place });
        }
        place
    }

    #[cold]
    fn place_from(&mut self, first: usize) {
        let rows = self.rows.iter().enumerate().skip(first);
        self.places.extend(rows.map(|(place, row)| (row.slot, place as u32)));
    }

    #[inline]
    pub(crate) fn row_mut(&mut self, place: usize) -> &mut OverlayRow<V> {
        &mut self.rows[place]
    }

    /// Takes all rows out, and is as new.
    #[inline]
    pub(crate) fn take(&mut self) -> impl Iterator<Item = OverlayRow<V>> {
        if self.rows.len() > LINEAR {
            self.places.clear();
        }
        self.growth = 0;
        self.scanned = None;
        self.counted = None;
        self.rows.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_before_and_beyond_the_linear_bound_and_not_after_taking_them() {
        let mut overlay = Overlay::<u64>::new();
        for round in 0..3 {
            for slot in 0..40 {
                assert_eq!(overlay.find(slot * 3), None, "round {round}");
                assert_eq!(overlay.touch(slot * 3, slot), slot as usize);
                for known in 0..=slot {
                    assert_eq!(overlay.find(known * 3), Some(known as usize));
                }
            }
            assert_eq!(overlay.take().count(), 40);
        }
    }
}
