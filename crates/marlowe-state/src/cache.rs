//! The cache of a slice: rows in memory, found by key, and which of them make room for others.

use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::{Index, IndexMut};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::prefetch::prefetch;

/// The place of a row in the cache. A row keeps its slot as long as it is pinned or not clean.
pub(crate) type Slot = u32;

/// The rows of a slice that are in memory. Each is in the state that finished events left, whether
/// or not that state is in the store yet.
///
/// Rows are in a slab and are found through a hash table of slots. So an event's overlay can name a
/// row by its slot, and never hashes a key twice. The CLOCK algorithm decides which clean rows make
/// room for others: a pointer goes around the slab and evicts rows that were not used since it last
/// passed.
pub(crate) struct Cache<K, V> {
    index: HashTable<Place>,
    rows: Vec<CachedRow<K, V>>,
    vacant: Vec<Slot>,
    hasher: RandomState,
    bound: usize,
    /// The index in `rows` of the row that the clock's pointer is at.
    clock: usize,
}

/// A row in the cache. A row that is known to be absent is cached too, with no value.
///
/// The alignment puts a small row into a single line of the processor's cache. So a lookup goes to
/// memory for it only once.
#[repr(align(64))]
pub(crate) struct CachedRow<K, V> {
    /// `None` if the slot is vacant.
    pub(crate) key: Option<K>,
    pub(crate) value: Option<V>,
    /// The number of finished changes of the row.
    pub(crate) version: u32,
    /// The number of overlays that name the row.
    pub(crate) pins: u16,
    pub(crate) flags: Flags,
}

/// An entry of the index: where a row is. It has the hash of the row's key too. So neither a failed
/// comparison nor the growth of the index needs to read the row.
struct Place {
    hash: u32,
    slot: Slot,
}

/// Returns the hash by which the index sorts. The index needs good high bits too.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The facts known of a cached row, one bit each.
#[derive(Clone, Copy, Default)]
pub(crate) struct Flags(u8);

impl Flags {
    /// The row changed since it was last flushed.
    pub(crate) const DIRTY: u8 = 1;
    /// The row was flushed, and the flush is not committed yet.
    pub(crate) const IN_FLIGHT: u8 = 2;
    /// The store has a row of that key.
    pub(crate) const STORED: u8 = 4;
    /// The flush in flight has a row of that key, so the store will have it.
    pub(crate) const WILL_BE_STORED: u8 = 8;
    /// The row was used since the clock's pointer last passed.
    pub(crate) const USED: u8 = 16;
    /// The store has a row of that key whose value does not decode. The cached value is `None`
    /// then.
    pub(crate) const UNREADABLE: u8 = 32;

    pub(crate) fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    pub(crate) fn set(&mut self, bit: u8) {
        self.0 |= bit;
    }

    pub(crate) fn unset(&mut self, bit: u8) {
        self.0 &= !bit;
    }

    pub(crate) fn put(&mut self, bit: u8, on: bool) {
        self.0 = if on { self.0 | bit } else { self.0 & !bit };
    }
}

/// The row that the store has at a key.
pub(crate) enum Stored<V> {
    Absent,
    Present(V),
    /// A row whose value does not decode.
    Unreadable,
}

impl<K, V> CachedRow<K, V> {
    /// Returns whether finished events have left a row here, readable or not.
    #[inline]
    pub(crate) fn is_present(&self) -> bool {
        self.value.is_some() || self.flags.has(Flags::UNREADABLE)
    }

    fn may_go(&self) -> bool {
        self.key.is_some() && self.pins == 0 && !self.flags.has(Flags::DIRTY | Flags::IN_FLIGHT)
    }
}

/// The most steps that the clock's pointer takes to make room for one row. If nearly all rows are
/// dirty, it would otherwise go around in vain each time. It is better to keep a few more rows
/// until the next commit.
const STEPS_PER_ROW: usize = 32;

impl<K: Hash + Eq, V> Cache<K, V> {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            index: HashTable::new(),
            rows: Vec::new(),
            vacant: Vec::new(),
            hasher: RandomState::default(),
            bound: bound.max(1),
            clock: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    #[inline]
    pub(crate) fn find(&self, key: &K) -> Option<Slot> {
        let hash = self.hash(key);
        let same = |place: &Place| place.hash == hash && self[place.slot].key.as_ref() == Some(key);
        self.index.find(spread(hash), same).map(|place| place.slot)
    }

    /// Begins to load the row at a key into the processor's cache, because an event may ask for it
    /// soon. `write` hashes the key, and returns whether it could.
    #[inline]
    pub(crate) fn expect(&self, write: impl FnOnce(&mut <RandomState as BuildHasher>::Hasher) -> bool) {
        let mut hasher = self.hasher.build_hasher();
        if !write(&mut hasher) {
            return;
        }
        let hash = hasher.finish() as u32;
        if let Some(place) = self.index.find(spread(hash), |place| place.hash == hash) {
            prefetch(&self[place.slot]);
        }
    }

    /// Adds a row that is not in the cache yet. Clean rows make room for it.
    pub(crate) fn insert(&mut self, key: K, stored: Stored<V>) -> Slot {
        // Evicts up to two rows for one, so that a cache above its bound comes down to it again.
        if let Some(excess) = (self.index.len() + 1).checked_sub(self.bound).filter(|excess| *excess > 0) {
            self.evict(STEPS_PER_ROW, excess.min(2));
        }
        let hash = self.hash(&key);
        let mut flags = Flags::default();
        let value = match stored {
            Stored::Absent => None,
            Stored::Present(value) => {
                flags.set(Flags::STORED);
                Some(value)
            }
            Stored::Unreadable => {
                flags.set(Flags::STORED | Flags::UNREADABLE);
                None
            }
        };
        let row = CachedRow { key: Some(key), value, version: 0, pins: 0, flags };
        let slot = match self.vacant.pop() {
            Some(slot) => {
                self[slot] = row;
                slot
            }
            None => {
                self.rows.push(row);
                Slot::try_from(self.rows.len() - 1).expect("memory ends before 2^32 cached rows")
            }
        };
        self.index.insert_unique(spread(hash), Place { hash, slot }, |place| spread(place.hash));
        slot
    }

    fn hash(&self, key: &K) -> u32 {
        self.hasher.hash_one(key) as u32
    }

    /// Evicts rows until the cache is within its bound, as far as there are rows that may go.
    pub(crate) fn trim(&mut self) {
        let excess = self.index.len().saturating_sub(self.bound);
        // The first round clears the `USED` flags, and the second evicts rows without it.
        self.evict(2 * self.rows.len(), excess);
    }

    fn evict(&mut self, steps: usize, mut wanted: usize) {
        for _ in 0..steps {
            if wanted == 0 {
                return;
            }
            self.clock = if self.clock + 1 < self.rows.len() { self.clock + 1 } else { 0 };
            let row = &mut self.rows[self.clock];
            if !row.may_go() {
                continue;
            }
            if row.flags.has(Flags::USED) {
                row.flags.unset(Flags::USED);
                continue;
            }
            row.value = None;
            let Some(key) = row.key.take() else { continue };
            let slot = self.clock as Slot;
            if let Ok(place) = self.index.find_entry(spread(self.hash(&key)), |place| place.slot == slot) {
                place.remove();
            }
            self.vacant.push(slot);
            wanted -= 1;
        }
    }
}

impl<K, V> Index<Slot> for Cache<K, V> {
    type Output = CachedRow<K, V>;

    #[inline]
    fn index(&self, slot: Slot) -> &CachedRow<K, V> {
        &self.rows[slot as usize]
    }
}

impl<K, V> IndexMut<Slot> for Cache<K, V> {
    #[inline]
    fn index_mut(&mut self, slot: Slot) -> &mut CachedRow<K, V> {
        &mut self.rows[slot as usize]
    }
}
