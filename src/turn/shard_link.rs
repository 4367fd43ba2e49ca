use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::task::Waker;

use marlowe_broker::Offset;
use marlowe_state::Hand;

use super::Turn;
use super::caution::{Caution, Condemned, Doer, Fault, InCommit};
use super::lane_signals::LaneSignals;
use super::outbox::Outbox;
use super::participant::Participant;
use crate::HandlerError;
use crate::error::EventFailure;
use crate::panics::panic_text;

/// What a shard's agents and timers share with the shard and its lane.
pub(crate) struct ShardLink {
    pub(crate) turn: Rc<Turn>,
    /// What finished events sent, for the next commit.
    pub(crate) outbox: RefCell<Outbox>,
    /// Events finished since the last commit.
    pub(crate) finished: Cell<u64>,
    /// Whose they were: of timers always, of agents where the caution has a quota.
    workers: RefCell<Vec<Doer>>,
    /// What of the shard is in the commit that is under way.
    in_commit: RefCell<InCommit>,
    caution: RefCell<Caution>,
    /// Whether the caution says anything of single events.
    is_cautious: Cell<bool>,
    /// Whether the agent or timer that is condemned knows.
    has_told: Cell<bool>,
    /// How many events a commit holds at most.
    quota: Cell<Option<u32>>,
    /// Set when the shard is to close: no new events are begun.
    pub(crate) closing: Cell<bool>,
    failure: RefCell<Option<EventFailure>>,
    /// The shard's task panicked: what its events did may be applied in part.
    torn: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    lane: Rc<LaneSignals>,
    /// How many bytes the lane knows to wait for a commit.
    told: Cell<usize>,
}

impl ShardLink {
    pub(crate) fn new(turn: Rc<Turn>, lane: Rc<LaneSignals>, caution: Caution) -> Self {
        Self {
            turn,
            outbox: RefCell::default(),
            finished: Cell::new(0),
            workers: RefCell::default(),
            in_commit: RefCell::new(InCommit { units: 0, workers: Vec::new() }),
            is_cautious: Cell::new(caution.checks.is_some() || caution.condemned.is_some()),
            has_told: Cell::new(false),
            quota: Cell::new(caution.quota),
            caution: RefCell::new(caution),
            closing: Cell::new(false),
            failure: RefCell::default(),
            torn: Cell::new(false),
            waker: RefCell::default(),
            lane,
            told: Cell::new(0),
        }
    }

    /// The event of `hand` succeeded: all it did applies. It is work of `who`.
    #[inline]
    pub(crate) fn apply(&self, hand: Hand, who: Doer, participants: &[Rc<dyn Participant>]) {
        for participant in participants {
            participant.apply(hand);
        }
        self.turn.apply(hand, &self.outbox);
        self.finished.set(self.finished.get() + 1);
        if self.quota.get().is_some() {
            self.note_work(who);
        }
    }

    /// What was applied last was a batch of so many events.
    pub(crate) fn count_batch(&self, events: usize) {
        self.finished.set(self.finished.get() + events.saturating_sub(1) as u64);
    }

    /// Notes that work of `who` goes into the next commit.
    #[cold]
    pub(crate) fn note_work(&self, who: Doer) {
        let mut workers = self.workers.borrow_mut();
        if !workers.contains(&who) {
            workers.push(who);
        }
    }

    /// Whether single events are checked, or one of them is to fail.
    #[inline]
    pub(crate) fn is_cautious(&self) -> bool {
        self.is_cautious.get()
    }

    /// Encodes what an event has changed, where events are checked.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn check(&self, hand: Hand, participants: &[Rc<dyn Participant>]) -> Result<(), HandlerError> {
        if !self.is_cautious() || self.caution.borrow().checks.is_none() {
            return Ok(());
        }
        // Encoding is the user's code, too.
        let check = || participants.iter().try_for_each(|participant| participant.check(hand));
        let checked = std::panic::catch_unwind(AssertUnwindSafe(check));
        let checked = checked.unwrap_or_else(|panic| Err(panic_text(&*panic).into()));
        if checked.is_err() {
            self.caution.borrow_mut().check_on();
        }
        checked
    }

    /// Why the next work of `who` is to fail, if it is. It is told once.
    #[inline]
    pub(crate) fn condemned(&self, who: Doer) -> Option<Condemned> {
        if self.is_cautious() { self.take_condemned(who) } else { None }
    }

    #[cold]
    fn take_condemned(&self, who: Doer) -> Option<Condemned> {
        let caution = self.caution.borrow();
        let condemned = caution.condemned.as_ref().filter(|condemned| condemned.who == who)?;
        if self.has_told.replace(true) {
            return None;
        }
        // The caution keeps it until a commit went through.
        self.is_cautious.set(caution.checks.is_some());
        Some(condemned.clone())
    }

    /// How many events a commit holds at most, if that is bounded.
    pub(crate) fn quota(&self) -> Option<u32> {
        self.quota.get()
    }

    /// How many more events may finish before the next commit begins; `None`: as many as like.
    pub(crate) fn quota_left(&self) -> Option<u32> {
        let finished = u32::try_from(self.finished.get()).unwrap_or(u32::MAX);
        self.quota.get().map(|quota| quota.saturating_sub(finished))
    }

    /// Whether the shard commits apart from the others of its lane.
    pub(crate) fn commits_alone(&self) -> bool {
        self.quota.get().is_some()
    }

    /// What is finished goes into a commit.
    pub(crate) fn begin_commit(&self) {
        let units = self.finished.replace(0);
        *self.in_commit.borrow_mut() = InCommit { units, workers: self.workers.take() };
        if self.commits_alone() {
            self.wake();
        }
    }

    /// Notes that the commit went through; `places` are those of the agents in it.
    pub(crate) fn committed(&self, places: &[Offset]) {
        let mut in_commit = self.in_commit.borrow_mut();
        (in_commit.units, in_commit.workers) = (0, Vec::new());
        let mut caution = self.caution.borrow_mut();
        if !caution.is_none() {
            if self.has_told.get() {
                caution.condemned = None;
            }
            caution.committed(places);
            self.is_cautious.set(caution.checks.is_some() || caution.condemned.is_some());
            if self.quota.replace(caution.quota) != caution.quota {
                // It may have waited for more.
                self.wake();
            }
        }
    }

    /// How the shard is to work when it is opened again after a commit that failed; `until` is how far the agents are.
    pub(crate) fn caution_after(&self, fault: &Fault, until: Vec<Offset>) -> Caution {
        let InCommit { units, mut workers } = self.in_commit.replace(InCommit { units: 0, workers: Vec::new() });
        // Timers that ran since are dropped, too. Agents handle their events again by themselves.
        let since = self.workers.take();
        let is_single = units == 1 && workers.len() == 1;
        if !is_single {
            workers.extend(since.into_iter().filter(|who| who.0 >= until.len()));
        }
        self.caution.borrow().after(fault, InCommit { units, workers }, until)
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

    /// The shard's task panicked: nothing of it is committed any more.
    pub(crate) fn tear(&self) {
        self.torn.set(true);
        self.lane.fail();
    }

    pub(crate) fn is_torn(&self) -> bool {
        self.torn.get()
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
