//! Strands: agents and timers that share tables take turns within one.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use marlowe_broker::Timestamp;
use marlowe_state::Hand;

/// Agents and timers of a shard that share tables, also by way of others: they take turns, so that what an event read and
/// wrote is as if it ran alone. Those of different strands share nothing that an event could see of another, and so do not wait for
/// each other. (boost::asio calls a strand what runs one at a time.)
///
/// Agents that handle one event at a time and timers hold the turn from an event's begin to its end; events handled
/// concurrently take it to be applied.
#[doc(alias = "sub-topology")]
pub(crate) struct Strand {
    /// The hand of its events that are handled one at a time.
    pub(crate) hand: Hand,
    holder: Cell<Option<Holder>>,
    /// How many turns were given.
    turns: Cell<u64>,
    shown: Arc<TurnShown>,
}

/// Who has the turn, for threads other than the lane's.
#[derive(Default)]
pub(crate) struct TurnShown(AtomicU64);

/// How many bits the holder's number has in what is shown; the others count the turns.
const WHO_BITS: u32 = 16;

/// Who holds the turn: an agent or timer, by its number in the shard, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) who: usize,
    /// How many events it may handle before it gives the turn back.
    pub(crate) events: u32,
    /// It gives the turn back before an event later than this, for another's is then older.
    pub(crate) until: Timestamp,
}

impl Strand {
    /// One whose turn nobody has. No other uses `hand`.
    pub(crate) fn new(hand: Hand) -> Self {
        Self { hand, holder: Cell::new(None), turns: Cell::new(0), shown: Arc::default() }
    }

    pub(crate) fn holder(&self) -> Option<Holder> {
        self.holder.get()
    }

    pub(crate) fn grant(&self, holder: Holder) {
        debug_assert!(self.holder.get().is_none(), "one at a time");
        self.holder.set(Some(holder));
        let turn = self.turns.get() + 1;
        self.turns.set(turn);
        self.shown.0.store((turn << WHO_BITS) | (holder.who as u64 + 1), Ordering::Relaxed);
    }

    pub(crate) fn release(&self) {
        self.holder.set(None);
        self.shown.0.store(0, Ordering::Relaxed);
    }

    /// Who has the turn, for other threads.
    pub(crate) fn shown(&self) -> &Arc<TurnShown> {
        &self.shown
    }
}

impl TurnShown {
    /// The number of the turn, and who has it.
    pub(crate) fn holder(&self) -> Option<(u64, usize)> {
        let shown = self.0.load(Ordering::Relaxed);
        let who = shown & ((1 << WHO_BITS) - 1);
        (who > 0).then(|| (shown >> WHO_BITS, who as usize - 1))
    }
}
