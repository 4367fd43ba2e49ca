//! [`ShardLink`]: the state that a shard's agents and timers share with the shard and its lane.

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::task::Waker;

use marlowe_broker::Offset;
use marlowe_state::TxnSlot;

use super::caution::{Caution, Condemned, Doer, Fault, InCommit};
use super::lane_signals::LaneSignals;
use super::outbox::Outbox;
use super::participant::Participant;
use super::{Outboxes, Turn};
use crate::HandlerError;
use crate::error::EventFailure;
use crate::panics::panic_text;

/// The state that a shard's agents and timers share with the shard and its lane.
pub(crate) struct ShardLink {
    pub(crate) turn: Rc<Turn>,
    /// The records that finished events have sent, for the transaction of the next commit.
    pub(crate) outbox: RefCell<Outbox>,
    /// The number of events that finished since the last commit.
    pub(crate) finished: Cell<u64>,
    /// The agents and timers of these events. Timers are always listed, agents only if the caution
    /// has a quota.
    workers: RefCell<Vec<Doer>>,
    /// The shard's part in the commit that is in flight.
    in_commit: RefCell<InCommit>,
    caution: RefCell<Caution>,
    /// True if the caution says something about single events: they are checked, or one of them
    /// must fail.
    is_cautious: Cell<bool>,
    /// True if the condemned agent or timer has been told.
    has_told: Cell<bool>,
    /// The most events in one commit, if that is bounded.
    quota: Cell<Option<u32>>,
    /// True when the shard must close. No new events are begun then.
    pub(crate) closing: Cell<bool>,
    failure: RefCell<Option<EventFailure>>,
    /// True if the shard's task panicked. Its last event may be applied in part.
    torn: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    lane: Rc<LaneSignals>,
    /// The number of bytes waiting for a commit that the lane was told last.
    told: Cell<usize>,
    /// True if the shard goes on as soon as the lane lets it.
    is_busy: Cell<bool>,
    /// True if work may have finished that no commit has.
    has_news: Cell<bool>,
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
            is_busy: Cell::new(false),
            has_news: Cell::new(false),
        }
    }

    /// Applies everything that the event of `txn` did, because it succeeded. It is work of `who`.
    #[inline]
    pub(crate) fn apply(&self, txn: TxnSlot, who: Doer, participants: &[Rc<dyn Participant>]) {
        for participant in participants {
            participant.apply(txn);
        }
        // A shard that commits alone has to find the event whose record is refused. So its records
        // go with its commits.
        let leaving = if self.commits_alone() { &self.outbox } else { &self.lane.leaving };
        self.turn.apply(txn, Outboxes { committed: &self.outbox, leaving });
        self.finished.set(self.finished.get() + 1);
        if self.quota.get().is_some() {
            self.note_work(who);
        }
    }

    /// Counts the last applied event as a batch of `events` events.
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

    /// Returns true if events are checked, or one of them must fail.
    #[inline]
    pub(crate) fn is_cautious(&self) -> bool {
        self.is_cautious.get()
    }

    /// Encodes what an event has changed, if events are checked.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn check(&self, txn: TxnSlot, participants: &[Rc<dyn Participant>]) -> Result<(), HandlerError> {
        if !self.is_cautious() || self.caution.borrow().checks.is_none() {
            return Ok(());
        }
        // Encoding is user code, which may panic.
        let check = || participants.iter().try_for_each(|participant| participant.check(txn));
        let checked = std::panic::catch_unwind(AssertUnwindSafe(check));
        let checked = checked.unwrap_or_else(|panic| Err(panic_text(&*panic).into()));
        if checked.is_err() {
            self.caution.borrow_mut().check_on();
        }
        checked
    }

    /// Returns the reason why the next work of `who` must fail, if it must. The reason is returned
    /// once.
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
        // The caution keeps the condemned work until a commit succeeds.
        self.is_cautious.set(caution.checks.is_some());
        Some(condemned.clone())
    }

    /// Returns the most events in one commit, if that is bounded.
    pub(crate) fn quota(&self) -> Option<u32> {
        self.quota.get()
    }

    /// Returns how many more events may finish before the next commit begins, or `None` if that is
    /// not bounded.
    pub(crate) fn quota_left(&self) -> Option<u32> {
        let finished = u32::try_from(self.finished.get()).unwrap_or(u32::MAX);
        self.quota.get().map(|quota| quota.saturating_sub(finished))
    }

    /// Returns true if the shard commits apart from the others of its lane.
    pub(crate) fn commits_alone(&self) -> bool {
        self.quota.get().is_some()
    }

    /// Moves the finished work into a commit.
    pub(crate) fn begin_commit(&self) {
        let units = self.finished.replace(0);
        *self.in_commit.borrow_mut() = InCommit { units, workers: self.workers.take() };
        if self.commits_alone() {
            self.wake();
        }
    }

    /// Notes that the commit succeeded. `places` has the positions of the agents in it.
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
                // The shard may have waited for a larger quota.
                self.wake();
            }
        }
    }

    /// Notes that an event at fault may be one that finished since the last commit began.
    pub(crate) fn suspect_finished(&self) {
        if !self.commits_alone() {
            self.in_commit.borrow_mut().units += self.finished.take();
        }
    }

    /// Returns the caution with which the shard must be opened after a failed commit. `until` has
    /// the positions that its agents have reached.
    pub(crate) fn caution_after(&self, fault: &Fault, until: Vec<Offset>) -> Caution {
        let InCommit { units, mut workers } = self.in_commit.replace(InCommit { units: 0, workers: Vec::new() });
        // Runs of timers since that commit are dropped as well. Agents need no note, because they
        // handle their events again anyway.
        let since = self.workers.take();
        let is_single = units == 1 && workers.len() == 1;
        if !is_single {
            workers.extend(since.into_iter().filter(|who| who.0 >= until.len()));
        }
        self.caution.borrow().after(fault, InCommit { units, workers }, until)
    }

    /// Drops everything that the event of `txn` did, because it failed.
    pub(crate) fn discard(&self, txn: TxnSlot, participants: &[Rc<dyn Participant>]) {
        for participant in participants {
            participant.discard(txn);
        }
        self.turn.discard(txn);
    }

    /// Stops the worker because of `failure`. The first failure is kept.
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

    /// Notes that the shard's task panicked. Nothing more of the shard is committed.
    pub(crate) fn tear(&self) {
        self.torn.set(true);
        self.lane.fail();
    }

    pub(crate) fn is_torn(&self) -> bool {
        self.torn.get()
    }

    /// Tells the lane that work has finished, and wakes it. Queues may be short enough to read on.
    pub(crate) fn tell_finished(&self) {
        self.has_news.set(true);
        self.lane.finish();
    }

    /// Returns true if work may have finished since [`take_news`](Self::take_news).
    pub(crate) fn has_news(&self) -> bool {
        self.has_news.get()
    }

    /// Notes that a commit takes all finished work.
    pub(crate) fn take_news(&self) {
        self.has_news.set(false);
    }

    /// Tells the lane the approximate number of the shard's bytes that wait for a commit.
    pub(crate) fn tell_uncommitted(&self, bytes: usize) {
        self.lane.change_uncommitted(self.told.replace(bytes), bytes);
    }

    /// Tells the lane whether the shard goes on as soon as the lane lets it.
    pub(crate) fn tell_busy(&self, is_busy: bool) {
        if self.is_busy.replace(is_busy) != is_busy {
            self.lane.change_busy(is_busy);
        }
    }

    pub(crate) fn set_waker(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    /// Wakes the shard. Records have come, or a commit has ended.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            self.tell_busy(true);
            waker.wake_by_ref();
        }
    }
}
