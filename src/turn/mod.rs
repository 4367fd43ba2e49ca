//! Turns and transactions: the code between a lane and its agents. It says which agent or timer of
//! a shard may work, on behalf of which event its handler reads, writes and sends, and what of that
//! goes into the next commit.
//!
//! # Words
//!
//! - A *strand* is a set of agents and timers of a shard that share tables, and so take turns.
//!   Strands of one shard share no tables. The nearest word in Kafka Streams is a sub-topology.
//! - The *turn* is the right to work on a strand's tables. At most one agent or timer of the strand
//!   has it. An agent that handles events concurrently needs it only to apply them. Kafka Streams
//!   has no word for it, because there a task processes one record at a time.
//! - A *transaction slot* is the number of an event that is being handled. Tables, inboxes
//!   and topics keep what a handler does under the slot of its event, apart from everything else.
//!   The current event of Faust (`current_event()`) is the nearest word. A slot serves the next
//!   event after its event was applied or discarded.
//! - A *participant* is a slice of a table, or the changes for other owners, as it takes part in
//!   events and commits.
//!
//! # The order of things
//!
//! ```text
//!  lane: fetched batches ──► RecordQueue (one per agent and partition)
//!                                 │
//!  shard::StrandTask grants the turn (Strand) to an agent or timer
//!                                 │
//!                 Turn::begin(txn)
//!                                 │  handler: reads and writes the slot's overlay (Participant),
//!                                 │           sends into the slot's outbox (Turn::send)
//!                  ┌──────────────┴──────────────┐
//!           ShardLink::apply              ShardLink::discard
//!    overlays go into the caches,         overlay and outbox
//!    the outbox into the shard's          are dropped
//!                  │
//!  lane's commit: Participant::flush, Outbox::drain ──► Flush ──► producer
//!                  │
//!           ShardLink::committed
//! ```
//!
//! `apply` has no `.await`, so an event is applied as a whole or not at all. Nothing in hand is
//! part of a commit, because a commit takes from the caches and the shard's outbox only.
//!
//! If a commit fails because of an event, the shard is opened again with a [`Caution`], which finds
//! that event. `caution.rs` describes the protocol.
//!
//! # Where to start reading
//!
//! Read `strand.rs`, then [`Turn`] below, then `shard_link.rs`. `record_queue.rs` and `outbox.rs`
//! stand alone.

mod caution;
mod counters;
mod flush;
mod front;
mod lane_signals;
mod outbox;
mod participant;
mod record_queue;
mod shard_link;
mod strand;

pub(crate) use caution::{Caution, Condemned, Doer, Fault, Told};
pub(crate) use counters::{Counters, count};
pub(crate) use flush::{Destinations, Flush, OutTopics, Outlet};
pub(crate) use front::{EventInHand, Front};
pub(crate) use lane_signals::LaneSignals;
pub(crate) use outbox::{OutTopic, Outbox};
pub(crate) use participant::Participant;
pub(crate) use record_queue::{Cursor, RecordQueue};
pub(crate) use shard_link::ShardLink;
pub(crate) use strand::{Holder, Runnable, Strand, TurnShown};

use std::cell::{Cell, RefCell};

use marlowe_broker::{NewRecord, Partition, Timestamp};
use marlowe_state::TxnSlot;

use crate::HandlerError;

/// The state of the events that a shard has in hand: what each has sent so far, and whether it must
/// fail. The event's [`Strand`] says which agent or timer handles it, and when.
pub(crate) struct Turn {
    partition: Partition,
    /// The slot of the event whose handler is being polled. A table that is used while this is
    /// `None` is used outside its handler.
    current: Cell<Option<TxnSlot>>,
    slots: RefCell<Vec<SlotState>>,
    /// True if some event has sent something or failed. Most events do neither, and then nothing
    /// needs to be looked up.
    marked: Cell<bool>,
    free: RefCell<Vec<TxnSlot>>,
    round_robin: Cell<u32>,
}

#[derive(Default)]
struct SlotState {
    timestamp: Timestamp,
    failure: Option<HandlerError>,
    /// The records for the commit's transaction.
    outbox: Outbox,
    /// The records that leave as soon as the event has finished.
    leaving: Outbox,
}

/// Where the records go that an event has sent, once it has finished.
#[derive(Clone, Copy)]
pub(crate) struct Outboxes<'a> {
    /// Those for the commit's transaction.
    pub(crate) committed: &'a RefCell<Outbox>,
    /// Those that leave at once.
    pub(crate) leaving: &'a RefCell<Outbox>,
}

impl SlotState {
    /// Returns true if the event has sent something or failed.
    fn is_marked(&self) -> bool {
        self.failure.is_some() || !self.outbox.is_empty() || !self.leaving.is_empty()
    }
}

impl Turn {
    pub(crate) fn new(partition: Partition) -> Self {
        Self {
            partition,
            current: Cell::new(None),
            slots: RefCell::default(),
            marked: Cell::new(false),
            free: RefCell::new(Vec::new()),
            round_robin: Cell::new(partition.get()),
        }
    }

    /// Returns the partition of the shard.
    pub(crate) fn partition(&self) -> Partition {
        self.partition
    }

    /// Takes a free slot, for a strand or for an event that is handled concurrently with others.
    pub(crate) fn take_slot(&self) -> TxnSlot {
        self.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut slots = self.slots.borrow_mut();
            slots.push(SlotState::default());
            TxnSlot(slots.len() as u32 - 1)
        })
    }

    pub(crate) fn return_slot(&self, txn: TxnSlot) {
        self.free.borrow_mut().push(txn);
    }

    /// Runs `poll` as code of the handler of `txn`.
    pub(crate) fn within<R>(&self, txn: TxnSlot, poll: impl FnOnce() -> R) -> R {
        let before = self.current.replace(Some(txn));
        let result = poll();
        self.current.set(before);
        result
    }

    /// Begins an event. The event before it in this slot was applied or discarded.
    #[inline]
    pub(crate) fn begin(&self, txn: TxnSlot, timestamp: Timestamp) {
        self.slots.borrow_mut()[txn.0 as usize].timestamp = timestamp;
    }

    /// Returns the slot of the event whose handler is running. `what` names the handle that is
    /// being used.
    ///
    /// # Panics
    /// If no handler is running, which means that the handle was taken out of its handler.
    #[inline]
    pub(crate) fn txn(&self, what: impl FnOnce() -> String) -> TxnSlot {
        match self.current.get() {
            Some(txn) => txn,
            None => used_outside(&what()),
        }
    }

    /// Returns the timestamp of the event in hand. The records that it sends inherit it.
    pub(crate) fn timestamp(&self, txn: TxnSlot) -> Timestamp {
        self.slots.borrow()[txn.0 as usize].timestamp
    }

    /// Makes the event in hand fail when its handler ends, whatever the handler returns. The first
    /// error is kept.
    pub(crate) fn fail(&self, txn: TxnSlot, error: HandlerError) {
        self.slots.borrow_mut()[txn.0 as usize].failure.get_or_insert(error);
        self.marked.set(true);
    }

    /// Returns true if some event has sent something or failed.
    #[inline]
    pub(crate) fn is_marked(&self) -> bool {
        self.marked.get()
    }

    #[inline]
    pub(crate) fn take_failure(&self, txn: TxnSlot) -> Option<HandlerError> {
        if !self.marked.get() {
            return None;
        }
        self.slots.borrow_mut()[txn.0 as usize].failure.take()
    }

    /// Keeps a record, which is sent when the event in hand succeeds.
    pub(crate) fn send(&self, txn: TxnSlot, topic: OutTopic, partition: Partition, record: NewRecord<'_>) {
        let state = &mut self.slots.borrow_mut()[txn.0 as usize];
        let outbox = if topic.is_transactional { &mut state.outbox } else { &mut state.leaving };
        outbox.push((topic, partition), &record);
        self.marked.set(true);
    }

    /// Returns the next partition for a record without a key.
    pub(crate) fn next_partition(&self, partitions: u32) -> Partition {
        let next = self.round_robin.get().wrapping_add(1);
        self.round_robin.set(next);
        Partition::new(next % partitions)
    }

    /// Appends what the event sent to `to`, because the event succeeded.
    #[inline]
    pub(crate) fn apply(&self, txn: TxnSlot, to: Outboxes<'_>) {
        if self.marked.get() {
            {
                let state = &mut self.slots.borrow_mut()[txn.0 as usize];
                to.committed.borrow_mut().append(&mut state.outbox);
                to.leaving.borrow_mut().append(&mut state.leaving);
            }
            self.look_again();
        }
    }

    /// Drops what the event sent, and the error it failed with.
    pub(crate) fn discard(&self, txn: TxnSlot) {
        if self.marked.get() {
            let state = &mut self.slots.borrow_mut()[txn.0 as usize];
            state.outbox.clear();
            state.leaving.clear();
            state.failure = None;
        }
        self.look_again();
    }

    fn look_again(&self) {
        let marked = self.slots.borrow().iter().any(SlotState::is_marked);
        self.marked.set(marked);
    }
}

#[cold]
fn used_outside(what: &str) -> ! {
    panic!(
        "{what} was used outside the event it was opened for (in a spawned task, or before the stream's first event): use \
         it between receiving an event and returning, or declare `.view()` for reads elsewhere"
    )
}
