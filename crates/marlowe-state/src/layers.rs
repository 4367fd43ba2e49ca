use std::hash::Hash;

use crate::cache::{Cache, CachedRow, Flags, Slot};
use crate::overlay::{Change, Overlay, OverlayRow};
use crate::unflushed::Unflushed;
use crate::{Hand, SliceIsolation};

/// What a slice keeps over its store: an overlay per event in hand, over the cache of finished rows.
pub(crate) struct Layers<K, V> {
    pub(crate) cache: Cache<K, V>,
    overlays: Vec<Overlay<V>>,
    pub(crate) dirty: Unflushed,
    pub(crate) in_flight: Unflushed,
    isolation: SliceIsolation,
    /// Counts the events that changed something.
    version: u64,
    /// How many rows the store had when the first row was asked for. Nothing can have been changed before that.
    pub(crate) first_count: Option<u64>,
    /// By how much finished events have made the slice longer since.
    growth: i64,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

/// A row as an event sees it.
pub(crate) enum Seen<'a, V> {
    Absent,
    Present(&'a V),
    /// There is a row, and its value does not decode.
    Unreadable,
}

impl<V> Seen<'_, V> {
    pub(crate) fn is_present(&self) -> bool {
        !matches!(self, Self::Absent)
    }
}

impl<K, V> CachedRow<K, V> {
    #[inline]
    fn seen(&self) -> Seen<'_, V> {
        match &self.value {
            Some(value) => Seen::Present(value),
            None if self.flags.has(Flags::UNREADABLE) => Seen::Unreadable,
            None => Seen::Absent,
        }
    }
}

impl<K: Hash + Eq, V: Clone> Layers<K, V> {
    pub(crate) fn new(cache_rows: usize, isolation: SliceIsolation) -> Self {
        Self {
            cache: Cache::new(cache_rows),
            overlays: Vec::new(),
            dirty: Unflushed::default(),
            in_flight: Unflushed::default(),
            isolation,
            version: 0,
            first_count: None,
            growth: 0,
            hits: 0,
            misses: 0,
        }
    }

    #[inline]
    fn overlay(&mut self, hand: Hand) -> &mut Overlay<V> {
        let hand = hand.0 as usize;
        if hand >= self.overlays.len() {
            self.overlays.resize_with(hand + 1, Overlay::new);
        }
        &mut self.overlays[hand]
    }

    /// The row in `slot` as the event sees it.
    #[inline]
    pub(crate) fn read(&mut self, hand: Hand, slot: Slot) -> Seen<'_, V> {
        match self.isolation {
            // Nothing can change before the event ends, so that only what it has written itself need be looked up.
            SliceIsolation::Serial => {
                self.cache[slot].flags.set(Flags::USED);
                match (self.cache[slot].pins > 0).then(|| self.overlay(hand).find(slot)).flatten() {
                    Some(place) => self.touched(hand, slot, place),
                    None => self.cache[slot].seen(),
                }
            }
            SliceIsolation::Optimistic => {
                let place = self.touch(hand, slot);
                self.touched(hand, slot, place)
            }
        }
    }

    /// Pins the row and notes that the event uses it. Returns its place in the overlay.
    #[inline]
    pub(crate) fn touch(&mut self, hand: Hand, slot: Slot) -> usize {
        let row = &mut self.cache[slot];
        row.flags.set(Flags::USED);
        let (version, pinned) = (row.version, row.pins > 0);
        if pinned && let Some(place) = self.overlay(hand).find(slot) {
            return place;
        }
        self.cache[slot].pins += 1;
        self.overlay(hand).touch(slot, version)
    }

    /// A row that the event has touched: it is at `place` in the overlay.
    #[inline]
    pub(crate) fn touched(&self, hand: Hand, slot: Slot, place: usize) -> Seen<'_, V> {
        match &self.overlays[hand.0 as usize].rows()[place].change {
            Change::Read => self.cache[slot].seen(),
            Change::Put(value) => Seen::Present(value),
            Change::Remove => Seen::Absent,
        }
    }

    /// Changes the row in the event's overlay, and returns the value that the event saw there before: none also where there
    /// was a row that does not decode.
    #[inline]
    pub(crate) fn write(&mut self, hand: Hand, slot: Slot, value: Option<V>) -> Option<V> {
        let place = self.touch(hand, slot);
        self.write_at(hand, slot, place, value)
    }

    /// As [`write`](Self::write), into a place that [`touch`](Self::touch) returned.
    #[inline]
    pub(crate) fn write_at(&mut self, hand: Hand, slot: Slot, place: usize, value: Option<V>) -> Option<V> {
        let overlay = &mut self.overlays[hand.0 as usize];
        let row = overlay.row_mut(place);
        let finished = &self.cache[slot];
        let present = value.is_some();
        let change = match value {
            Some(value) => Change::Put(value),
            // Removing what is not there changes nothing.
            None if !finished.is_present() => Change::Read,
            None => Change::Remove,
        };
        let (was_present, before) = match std::mem::replace(&mut row.change, change) {
            Change::Read => (finished.is_present(), finished.value.clone()),
            Change::Put(value) => (true, Some(value)),
            Change::Remove => (false, None),
        };
        overlay.growth += i64::from(present) - i64::from(was_present);
        before
    }

    /// Whether what the event has used is still as it was then.
    pub(crate) fn is_current(&self, hand: Hand) -> bool {
        let Some(overlay) = self.overlays.get(hand.0 as usize) else { return true };
        overlay.scanned.is_none_or(|version| version == self.version)
            && overlay.counted.is_none_or(|count| Some(count) == self.finished_len())
            && overlay.rows().iter().all(|row| row.version == self.cache[row.slot].version)
    }

    #[inline]
    pub(crate) fn apply(&mut self, hand: Hand) {
        let Self { cache, overlays, dirty, version, growth, .. } = self;
        let Some(overlay) = overlays.get_mut(hand.0 as usize) else { return };
        let mut changed = false;
        for OverlayRow { slot, change, .. } in overlay.take() {
            let row = &mut cache[slot];
            row.pins -= 1;
            let value = match change {
                Change::Read => continue,
                Change::Put(value) => Some(value),
                Change::Remove => None,
            };
            *growth += i64::from(value.is_some()) - i64::from(row.is_present());
            row.value = value;
            row.flags.unset(Flags::UNREADABLE);
            row.version = row.version.wrapping_add(1);
            if !row.flags.has(Flags::DIRTY) {
                row.flags.set(Flags::DIRTY);
                dirty.push(slot);
            }
            changed = true;
        }
        *version += u64::from(changed);
    }

    pub(crate) fn discard(&mut self, hand: Hand) {
        let Some(overlay) = self.overlays.get_mut(hand.0 as usize) else { return };
        for row in overlay.take() {
            self.cache[row.slot].pins -= 1;
        }
    }

    /// How many rows finished events have left; `None` as long as nobody has asked the store.
    fn finished_len(&self) -> Option<u64> {
        self.first_count.map(|count| count.saturating_add_signed(self.growth))
    }

    /// How many rows the event sees.
    pub(crate) fn len(&mut self, hand: Hand) -> u64 {
        let finished = self.finished_len().unwrap_or_default();
        let tracked = self.isolation == SliceIsolation::Optimistic;
        let overlay = self.overlay(hand);
        if tracked {
            overlay.counted.get_or_insert(finished);
        }
        finished.saturating_add_signed(overlay.growth)
    }

    /// Notes that the event depends on every row.
    pub(crate) fn note_scan(&mut self, hand: Hand) {
        if self.isolation == SliceIsolation::Optimistic {
            let version = self.version;
            self.overlay(hand).scanned.get_or_insert(version);
        }
    }

    /// The rows the event has changed: the slot, and what is there now.
    pub(crate) fn changes(&self, hand: Hand) -> impl Iterator<Item = (Slot, Option<&V>)> {
        let rows = self.overlays.get(hand.0 as usize).map_or(&[][..], Overlay::rows);
        rows.iter().filter_map(|row| match &row.change {
            Change::Read => None,
            Change::Put(value) => Some((row.slot, Some(value))),
            Change::Remove => Some((row.slot, None)),
        })
    }
}
