//! The overlay of one slot: what a running event has read and changed.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::cache::Slot;

/// The rows that the event of one slot has read and changed, over the cache.
///
/// It names rows by their slots in the cache, and pins those slots. It keeps its memory from event
/// to event.
pub(crate) struct Overlay<V> {
    rows: Vec<OverlayRow<V>>,
    /// The place of each slot in `rows`. Kept only while there are more than [`LINEAR`] rows.
    places: HashMap<Slot, u32, RandomState>,
    /// The number of rows that the event has added, less those it removed.
    pub(crate) growth: i64,
    /// The slice's version when the event first scanned it.
    pub(crate) scanned: Option<u64>,
    /// The number of finished rows when the event first asked for it.
    pub(crate) counted: Option<u64>,
}

pub(crate) struct OverlayRow<V> {
    pub(crate) slot: Slot,
    /// The row's version when the event first touched it.
    pub(crate) version: u32,
    pub(crate) change: Change<V>,
}

/// The event's use of a row.
pub(crate) enum Change<V> {
    Read,
    Put(V),
    Remove,
}

/// The most rows that are searched one by one. Up to this number it is quicker than hashing.
const LINEAR: usize = 8;

impl<V> Overlay<V> {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new(), places: HashMap::default(), growth: 0, scanned: None, counted: None }
    }

    pub(crate) fn rows(&self) -> &[OverlayRow<V>] {
        &self.rows
    }

    /// Returns the place of the row in `slot`, if the event has touched the row.
    #[inline]
    pub(crate) fn find(&self, slot: Slot) -> Option<usize> {
        if self.rows.len() <= LINEAR {
            self.rows.iter().position(|row| row.slot == slot)
        } else {
            self.places.get(&slot).map(|place| *place as usize)
        }
    }

    /// Notes that the event touches a row that it has not touched before. Returns the row's place.
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

    /// Takes all rows out. The overlay is then empty, as a new one.
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
    fn rows_are_found_below_and_above_the_linear_bound() {
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
