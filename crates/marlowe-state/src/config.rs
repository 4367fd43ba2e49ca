//! The settings of a slice, and the slots of the events that use it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::{PositionSlot, Store, TableIndex};

/// The slot of one running event: the transaction in which its changes are kept.
///
/// An event reads and writes slices under its slot. A slice keeps the changes under each slot
/// apart, so no other event sees them. When the event ends, the shard's loop empties the slot:
/// [`apply`](crate::SliceState::apply) makes the changes visible to all events, and
/// [`discard`](crate::SliceState::discard) drops them. Then the next event may use the slot.
///
/// A slot is a number. A shard that runs one event at a time uses [`TxnSlot::SERIAL`] alone. A
/// shard that runs up to *n* events at a time numbers their slots from zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TxnSlot(pub u32);

impl TxnSlot {
    /// The only slot of a shard that runs one event at a time.
    pub const SERIAL: TxnSlot = TxnSlot(0);
}

/// A function that refuses keys whose home is elsewhere. A slice calls it only when a row enters
/// the cache.
pub type Guard<K> = Box<dyn Fn(&K) -> Result<(), Box<dyn Error + Send + Sync>>>;

/// The number of events that a slice serves at a time: one or several. It decides what the slice
/// must remember of each event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SliceIsolation {
    /// One event at a time. No other event can change what it has read, so reads are not tracked.
    Serial,
    /// Several events at a time, each with its own slot. The slice tracks what each event reads. So
    /// [`is_current`](crate::SliceState::is_current) can tell whether another event has changed it
    /// meanwhile.
    Optimistic,
}

/// The settings of a [`Slice`](crate::Slice).
#[derive(Clone)]
pub struct SliceConfig {
    /// The store with the committed rows.
    pub store: Arc<dyn Store>,
    /// The table in that store.
    pub table: TableIndex,
    /// The slot of the slice's position in that store.
    pub slot: PositionSlot,
    /// The most rows that the cache holds. Rows that are not committed yet stay beyond this bound.
    pub cache_rows: usize,
    /// The number of events at a time.
    pub isolation: SliceIsolation,
}

impl SliceConfig {
    /// The default of [`cache_rows`](Self::cache_rows).
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
