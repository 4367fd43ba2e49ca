//! The layers of a slice above its store: how an event reads through them, and how its changes are
//! applied or discarded.

use std::hash::Hash;

use crate::cache::{Cache, CachedRow, Flags, Slot};
use crate::overlay::{Change, Overlay, OverlayRow};
use crate::unflushed::Unflushed;
use crate::{SliceIsolation, TxnSlot};

/// The layers of a slice above its store: an overlay per slot, over the cache of finished rows.
pub(crate) struct Layers<K, V> {
    pub(crate) cache: Cache<K, V>,
    overlays: Vec<Overlay<V>>,
    pub(crate) dirty: Unflushed,
    pub(crate) in_flight: Unflushed,
    isolation: SliceIsolation,
    /// The number of finished events that changed something.
    version: u64,
    /// The number of rows in the store when the first row was asked for. Nothing can have changed
    /// before that.
    pub(crate) first_count: Option<u64>,
    /// The number of rows that finished events have added since, less those they removed.
    growth: i64,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

/// A row as an event sees it.
pub(crate) enum Seen<'a, V> {
    Absent,
    Present(&'a V),
    /// A row whose value does not decode.
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
    fn overlay(&mut self, txn: TxnSlot) -> &mut Overlay<V> {
        let txn = txn.0 as usize;
        if txn >= self.overlays.len() {
            self.overlays.resize_with(txn + 1, Overlay::new);
        }
        &mut self.overlays[txn]
    }

    /// Returns the row in `slot` as the event sees it.
    #[inline]
    pub(crate) fn read(&mut self, txn: TxnSlot, slot: Slot) -> Seen<'_, V> {
        match self.isolation {
            // Nothing can change before the event ends, so only the rows that the event itself has
            // written must be looked up.
            SliceIsolation::Serial => {
                self.cache[slot].flags.set(Flags::USED);
                match (self.cache[slot].pins > 0).then(|| self.overlay(txn).find(slot)).flatten() {
                    Some(place) => self.touched(txn, slot, place),
                    None => self.cache[slot].seen(),
                }
            }
            SliceIsolation::Optimistic => {
                let place = self.touch(txn, slot);
                self.touched(txn, slot, place)
            }
        }
    }

    /// Pins the row and notes that the event uses it. Returns the row's place in the overlay.
    #[inline]
    pub(crate) fn touch(&mut self, txn: TxnSlot, slot: Slot) -> usize {
        let row = &mut self.cache[slot];
        row.flags.set(Flags::USED);
        let (version, pinned) = (row.version, row.pins > 0);
        if pinned && let Some(place) = self.overlay(txn).find(slot) {
            return place;
        }
        self.cache[slot].pins += 1;
        self.overlay(txn).touch(slot, version)
    }

    /// Returns a row that the event has touched, as the event sees it. The row is at `place` in the
    /// overlay.
    #[inline]
    pub(crate) fn touched(&self, txn: TxnSlot, slot: Slot, place: usize) -> Seen<'_, V> {
        match &self.overlays[txn.0 as usize].rows()[place].change {
            Change::Read => self.cache[slot].seen(),
            Change::Put(value) => Seen::Present(value),
            Change::Remove => Seen::Absent,
        }
    }

    /// Changes the row in the event's overlay. Returns the value that the event saw there before,
    /// or `None` if there was no row, or a row that does not decode.
    #[inline]
    pub(crate) fn write(&mut self, txn: TxnSlot, slot: Slot, value: Option<V>) -> Option<V> {
        let place = self.touch(txn, slot);
        self.write_at(txn, slot, place, value)
    }

    /// Changes the row as [`write`](Self::write) does, at a `place` that [`touch`](Self::touch)
    /// returned.
    #[inline]
    pub(crate) fn write_at(&mut self, txn: TxnSlot, slot: Slot, place: usize, value: Option<V>) -> Option<V> {
        let overlay = &mut self.overlays[txn.0 as usize];
        let row = overlay.row_mut(place);
        let finished = &self.cache[slot];
        let present = value.is_some();
        let change = match value {
            Some(value) => Change::Put(value),
            // Removing a row that does not exist changes nothing.
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

    /// Returns whether everything that the event has used is still as it was then.
    pub(crate) fn is_current(&self, txn: TxnSlot) -> bool {
        let Some(overlay) = self.overlays.get(txn.0 as usize) else { return true };
        overlay.scanned.is_none_or(|version| version == self.version)
            && overlay.counted.is_none_or(|count| Some(count) == self.finished_len())
            && overlay.rows().iter().all(|row| row.version == self.cache[row.slot].version)
    }

    #[inline]
    pub(crate) fn apply(&mut self, txn: TxnSlot) {
        let Self { cache, overlays, dirty, version, growth, .. } = self;
        let Some(overlay) = overlays.get_mut(txn.0 as usize) else { return };
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

    pub(crate) fn discard(&mut self, txn: TxnSlot) {
        let Some(overlay) = self.overlays.get_mut(txn.0 as usize) else { return };
        for row in overlay.take() {
            self.cache[row.slot].pins -= 1;
        }
    }

    /// Returns the number of rows that finished events have left, or `None` if the store was not
    /// asked for its number of rows yet.
    fn finished_len(&self) -> Option<u64> {
        self.first_count.map(|count| count.saturating_add_signed(self.growth))
    }

    /// Returns the number of rows that the event sees.
    pub(crate) fn len(&mut self, txn: TxnSlot) -> u64 {
        let finished = self.finished_len().unwrap_or_default();
        let tracked = self.isolation == SliceIsolation::Optimistic;
        let overlay = self.overlay(txn);
        if tracked {
            overlay.counted.get_or_insert(finished);
        }
        finished.saturating_add_signed(overlay.growth)
    }

    /// Notes that the event depends on every row.
    pub(crate) fn note_scan(&mut self, txn: TxnSlot) {
        if self.isolation == SliceIsolation::Optimistic {
            let version = self.version;
            self.overlay(txn).scanned.get_or_insert(version);
        }
    }

    /// Returns the rows that the event has changed. Each is a slot and the new value, or `None` if
    /// the row is removed.
    pub(crate) fn changes(&self, txn: TxnSlot) -> impl Iterator<Item = (Slot, Option<&V>)> {
        let rows = self.overlays.get(txn.0 as usize).map_or(&[][..], Overlay::rows);
        rows.iter().filter_map(|row| match &row.change {
            Change::Read => None,
            Change::Put(value) => Some((row.slot, Some(value))),
            Change::Remove => Some((row.slot, None)),
        })
    }
}
