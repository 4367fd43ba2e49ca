use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::{PositionSlot, Store, TableIndex};

/// The event in hand on whose behalf something is done to a slice.
///
/// A shard that takes its events one at a time uses `Hand(0)` alone; one that has up to *n* in hand numbers them from
/// zero. A hand ends with [`apply`](crate::SliceState::apply) or [`discard`](crate::SliceState::discard), and its number
/// may then be used for the next event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Hand(pub u32);

/// Refuses a key whose home is elsewhere. Asked only when a row enters the cache.
pub type Guard<K> = Box<dyn Fn(&K) -> Result<(), Box<dyn Error + Send + Sync>>>;

/// How many events a slice serves at a time, and so what it must remember of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SliceIsolation {
    /// One event at a time: nothing can change under it, and reads are not tracked.
    Serial,
    /// Several events in hand: what each reads is tracked, so that [`is_current`](crate::SliceState::is_current) can say
    /// whether another has changed it meanwhile.
    Optimistic,
}

/// What a [`Slice`](crate::Slice) is made of.
#[derive(Clone)]
pub struct SliceConfig {
    /// The committed store below it.
    pub store: Arc<dyn Store>,
    /// The table in that store.
    pub table: TableIndex,
    /// The slice's position in that store.
    pub slot: PositionSlot,
    /// How many rows the cache holds. Rows that are not committed yet stay, also beyond this bound.
    pub cache_rows: usize,
    /// How many events at a time.
    pub isolation: SliceIsolation,
}

impl SliceConfig {
    /// How many rows a cache holds if nothing else is said.
    pub const DEFAULT_CACHE_ROWS: usize = 100_000;
}

impl fmt::Debug for SliceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SliceConfig")
            .field("table", &self.table)
            .field("slot", &self.slot)
            .field("cache_rows", &self.cache_rows)
            .field("isolation", &self.isolation)
            .finish_non_exhaustive()
    }
}
