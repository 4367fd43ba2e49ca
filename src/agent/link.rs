use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

use marlowe_state::Hand;

use super::{EventFailure, LaneNews};
use crate::turn::{Outbox, Participant, Turn};

/// What a shard's agents and timers share with the shard and its lane.
pub(crate) struct ShardLink {
    pub(crate) turn: Rc<Turn>,
    /// What finished events sent, for the next commit.
    pub(crate) outbox: RefCell<Outbox>,
    /// Events finished since the last commit.
    pub(crate) finished: Cell<u64>,
    /// Set when the shard is to close: no new events are begun.
    pub(crate) closing: Cell<bool>,
    failure: RefCell<Option<EventFailure>>,
    waker: RefCell<Option<Waker>>,
    lane: Rc<LaneNews>,
    /// How many bytes the lane knows to wait for a commit.
    told: Cell<usize>,
}

impl ShardLink {
    pub(crate) fn new(turn: Rc<Turn>, lane: Rc<LaneNews>) -> Self {
        Self {
            turn,
            outbox: RefCell::default(),
            finished: Cell::new(0),
            closing: Cell::new(false),
            failure: RefCell::default(),
            waker: RefCell::default(),
            lane,
            told: Cell::new(0),
        }
    }

    /// The event of `hand` succeeded: all it did applies.
    #[inline]
    pub(crate) fn apply(&self, hand: Hand, participants: &[Rc<dyn Participant>]) {
        for participant in participants {
            participant.apply(hand);
        }
        self.turn.apply(hand, &self.outbox);
        self.finished.set(self.finished.get() + 1);
    }

    /// The event of `hand` failed: nothing it did is left.
    pub(crate) fn discard(&self, hand: Hand, participants: &[Rc<dyn Participant>]) {
        for participant in participants {
            participant.discard(hand);
        }
        self.turn.discard(hand);
    }

    /// Stops the worker.
    pub(crate) fn fail(&self, failure: EventFailure) {
        self.failure.borrow_mut().get_or_insert(failure);
        self.lane.fail();
    }

    pub(crate) fn failure(&self) -> Option<EventFailure> {
        self.failure.borrow().clone()
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    /// Lets the lane look again: queues may be short enough to be read on, and much may wait for a commit.
    pub(crate) fn wake_lane(&self) {
        self.lane.wake();
    }

    /// Tells the lane about how many bytes of the shard wait for a commit.
    pub(crate) fn tell_uncommitted(&self, bytes: usize) {
        self.lane.change_uncommitted(self.told.replace(bytes), bytes);
    }

    pub(crate) fn set_waker(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    /// Lets the shard look again: records came, or a commit is done.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}
