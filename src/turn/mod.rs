//! The event in hand: on whose behalf a handler's reads, writes and sends are done.

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
pub(crate) use strand::{Holder, Strand, TurnShown};

use std::cell::{Cell, RefCell};

use marlowe_broker::{NewRecord, Partition, Timestamp};
use marlowe_state::Hand;

use crate::HandlerError;

/// The events that a shard has in hand: of each, what it sent, and whether it is to fail. Who handles one, and when, says its
/// [`Strand`].
pub(crate) struct Turn {
    partition: Partition,
    /// Whose code is being polled right now. A table used while this is `None` is used outside its handler.
    current: Cell<Option<Hand>>,
    hands: RefCell<Vec<HandState>>,
    /// Whether some hand has sent something or failed: most events do neither, and need not look.
    marked: Cell<bool>,
    free: RefCell<Vec<Hand>>,
    round_robin: Cell<u32>,
}

#[derive(Default)]
struct HandState {
    timestamp: Timestamp,
    failure: Option<HandlerError>,
    outbox: Outbox,
}

impl Turn {
    pub(crate) fn new(partition: Partition) -> Self {
        Self {
            partition,
            current: Cell::new(None),
            hands: RefCell::default(),
            marked: Cell::new(false),
            free: RefCell::new(Vec::new()),
            round_robin: Cell::new(partition.get()),
        }
    }

    /// The partition all this happens in.
    pub(crate) fn partition(&self) -> Partition {
        self.partition
    }

    /// A hand for a strand, or for an event that is handled beside others.
    pub(crate) fn take_hand(&self) -> Hand {
        self.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut hands = self.hands.borrow_mut();
            hands.push(HandState::default());
            Hand(hands.len() as u32 - 1)
        })
    }

    pub(crate) fn return_hand(&self, hand: Hand) {
        self.free.borrow_mut().push(hand);
    }

    /// Runs `poll` as the code of `hand`'s handler.
    pub(crate) fn within<R>(&self, hand: Hand, poll: impl FnOnce() -> R) -> R {
        let before = self.current.replace(Some(hand));
        let result = poll();
        self.current.set(before);
        result
    }

    /// Begins an event. Whatever the hand did before was applied or discarded.
    #[inline]
    pub(crate) fn begin(&self, hand: Hand, timestamp: Timestamp) {
        self.hands.borrow_mut()[hand.0 as usize].timestamp = timestamp;
    }

    /// The hand whose handler is running; `what` is being used by it.
    ///
    /// # Panics
    /// When none is: the handle has left its handler.
    #[inline]
    pub(crate) fn hand(&self, what: impl FnOnce() -> String) -> Hand {
        match self.current.get() {
            Some(hand) => hand,
            None => used_outside(&what()),
        }
    }

    /// The timestamp of the event in hand, which what it sends inherits.
    pub(crate) fn timestamp(&self, hand: Hand) -> Timestamp {
        self.hands.borrow()[hand.0 as usize].timestamp
    }

    /// Makes the event in hand fail when its handler returns, whatever it returns. The first reason stays.
    pub(crate) fn fail(&self, hand: Hand, error: HandlerError) {
        self.hands.borrow_mut()[hand.0 as usize].failure.get_or_insert(error);
        self.marked.set(true);
    }

    /// Whether some hand has sent something or failed.
    #[inline]
    pub(crate) fn is_marked(&self) -> bool {
        self.marked.get()
    }

    #[inline]
    pub(crate) fn take_failure(&self, hand: Hand) -> Option<HandlerError> {
        if !self.marked.get() {
            return None;
        }
        self.hands.borrow_mut()[hand.0 as usize].failure.take()
    }

    /// Sends a record when the event in hand succeeds.
    pub(crate) fn send(&self, hand: Hand, topic: OutTopic, partition: Partition, record: NewRecord<'_>) {
        self.hands.borrow_mut()[hand.0 as usize].outbox.push(topic, partition, record);
        self.marked.set(true);
    }

    /// The next partition for a record without a key.
    pub(crate) fn next_partition(&self, partitions: u32) -> Partition {
        let next = self.round_robin.get().wrapping_add(1);
        self.round_robin.set(next);
        Partition::new(next % partitions)
    }

    /// The event succeeded: what it sent goes behind `to`.
    #[inline]
    pub(crate) fn apply(&self, hand: Hand, to: &RefCell<Outbox>) {
        if self.marked.get() {
            to.borrow_mut().append(&mut self.hands.borrow_mut()[hand.0 as usize].outbox);
            self.look_again();
        }
    }

    /// The event failed: what it sent is dropped, and so is why it failed.
    pub(crate) fn discard(&self, hand: Hand) {
        if self.marked.get() {
            let state = &mut self.hands.borrow_mut()[hand.0 as usize];
            state.outbox.clear();
            state.failure = None;
        }
        self.look_again();
    }

    fn look_again(&self) {
        let marked = self.hands.borrow().iter().any(|hand| hand.failure.is_some() || !hand.outbox.is_empty());
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
