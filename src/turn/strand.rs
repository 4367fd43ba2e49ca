//! Strands: sets of agents and timers that share tables and take turns, and the holder of a
//! strand's turn.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use marlowe_broker::Timestamp;
use marlowe_state::TxnSlot;

/// A set of agents and timers of a shard that share tables, directly or through others of the set.
/// They take turns, so each event reads and writes as if it ran alone. An event of another strand
/// can see nothing of this one's, so strands do not wait for each other. (The name is from
/// boost::asio, where the handlers of a strand run one at a time.)
///
/// Timers, and agents that handle one event at a time, hold the turn from the beginning of an event
/// to its end. An agent that handles events concurrently takes the turn only to apply them.
#[doc(alias = "sub-topology")]
pub(crate) struct Strand {
    /// The slot of the events that are handled one at a time.
    pub(crate) txn: TxnSlot,
    holder: Cell<Option<Holder>>,
    /// The number of turns that were granted.
    turns: Cell<u64>,
    shown: Arc<TurnShown>,
}

/// The holder of the turn, as threads other than the lane's see it.
#[derive(Default)]
pub(crate) struct TurnShown(AtomicU64);

/// The number of bits for the holder in [`TurnShown`]. The other bits count the turns.
const WHO_BITS: u32 = 16;

/// An agent or timer of a strand, by its number among the strand's agents or timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Runnable {
    Agent(usize),
    Timer(usize),
}

impl Runnable {
    /// Returns a number that is not 0, from which [`of_code`](Self::of_code) makes it again.
    fn code(self) -> u64 {
        match self {
            Self::Agent(number) => 2 * number as u64 + 2,
            Self::Timer(number) => 2 * number as u64 + 3,
        }
    }

    fn of_code(code: u64) -> Option<Self> {
        let number = (code.checked_sub(2)? / 2) as usize;
        Some(if code.is_multiple_of(2) { Self::Agent(number) } else { Self::Timer(number) })
    }
}

/// The agent or timer that holds the turn, and the limits of its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) who: Runnable,
    /// The number of events that it may handle before it gives the turn back.
    pub(crate) events: u32,
    /// The latest timestamp of an event in this turn. A later event must wait, because another
    /// agent's event is then older.
    pub(crate) until: Timestamp,
}

impl Strand {
    /// Returns a strand whose turn is free. No other strand may use `txn`.
    pub(crate) fn new(txn: TxnSlot) -> Self {
        Self { txn, holder: Cell::new(None), turns: Cell::new(0), shown: Arc::default() }
    }

    pub(crate) fn holder(&self) -> Option<Holder> {
        self.holder.get()
    }

    pub(crate) fn grant(&self, holder: Holder) {
        debug_assert!(self.holder.get().is_none(), "one at a time");
        self.holder.set(Some(holder));
        let turn = self.turns.get() + 1;
        self.turns.set(turn);
        self.shown.0.store((turn << WHO_BITS) | holder.who.code(), Ordering::Relaxed);
    }

    pub(crate) fn release(&self) {
        self.holder.set(None);
        self.shown.0.store(0, Ordering::Relaxed);
    }

    /// Returns the holder of the turn for other threads.
    pub(crate) fn shown(&self) -> &Arc<TurnShown> {
        &self.shown
    }
}

impl TurnShown {
    /// Returns the number of the turn, and its holder.
    pub(crate) fn holder(&self) -> Option<(u64, Runnable)> {
        let shown = self.0.load(Ordering::Relaxed);
        Runnable::of_code(shown & ((1 << WHO_BITS) - 1)).map(|who| (shown >> WHO_BITS, who))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_threads_see_who_has_the_turn() {
        let strand = Strand::new(TxnSlot::SERIAL);
        assert_eq!(strand.shown().holder(), None);
        let runnables = [Runnable::Agent(0), Runnable::Timer(0), Runnable::Agent(1), Runnable::Timer(30_000)];
        for (turn, who) in (1..).zip(runnables) {
            strand.grant(Holder { who, events: 1, until: Timestamp::default() });
            assert_eq!(strand.shown().holder(), Some((turn, who)));
            strand.release();
            assert_eq!(strand.shown().holder(), None);
        }
    }
}
