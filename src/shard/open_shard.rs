//! A shard at work in a lane: its agents, tables and timers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Offset, Timestamp};
use marlowe_state::{PositionSlot, SlicePosition, Store, TableIndex};
use tokio::sync::oneshot;

use super::agent::ShardAgent;
use super::committed_places::CommittedPlaces;
use super::id::ShardId;
use super::in_hand::ShardInHand;
use crate::query::Owner;
use crate::turn::{OutTopic, Participant, RecordQueue, ShardLink};
use crate::watch;

/// How long ago a store of an idle shard was known to be current, at most; and of one that is closed.
const AGED: Duration = Duration::from_secs(60 * 60);
const AGED_AT_CLOSE: Duration = Duration::from_secs(60);

/// What a lane holds of a shard that is at work in it.
pub(crate) struct Shard {
    pub(crate) id: ShardId,
    pub(crate) link: Rc<ShardLink>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) participants: Vec<Rc<dyn Participant>>,
    pub(crate) agents: Vec<ShardAgent>,
    pub(crate) tables: Vec<ShardTable>,
    pub(crate) timers: Vec<Rc<TimerCounters>>,
    pub(crate) owner: Owner,
    pub(crate) control: Rc<Control>,
    /// What it has in hand, for threads other than the lane's.
    pub(crate) in_hand: ShardInHand,
    /// Marked at each commit, for those who wait for a position.
    pub(crate) committed: watch::Sender<()>,
    /// As of when the store is known to be current, by the clock.
    pub(crate) as_of: Cell<Timestamp>,
    /// Where its agents are, as that was committed last.
    pub(crate) committed_places: RefCell<CommittedPlaces>,
    /// The log in which it keeps their places.
    pub(crate) places_log: OutTopic,
}

/// A table as its lane sees it.
pub(crate) struct ShardTable {
    pub(crate) name: Arc<str>,
    pub(crate) index: TableIndex,
    pub(crate) slot: PositionSlot,
    pub(crate) changelog: OutTopic,
    /// The input of its inbox's agent, whose position is part of the table's.
    pub(crate) inbox: Option<Rc<RecordQueue>>,
}

impl ShardTable {
    /// How far the table will be when what is finished now is committed, but for the changelog's end, which the broker tells.
    pub(crate) fn position(&self, store: &dyn Store) -> SlicePosition {
        let inbox = self.inbox.as_ref().map_or(Offset::ZERO, |input| input.position());
        SlicePosition { inbox, ..store.position(self.slot) }
    }
}

/// What a partition timer did, counted without locks.
pub(crate) struct TimerCounters {
    pub(crate) name: Arc<str>,
    pub(crate) runs: Cell<u64>,
    pub(crate) failures: Cell<u64>,
}

/// How a lane tells its shard's task what to do.
#[derive(Default)]
pub(crate) struct Control {
    /// Too much waits for a commit: no new event until it is done.
    pub(crate) paused: Cell<bool>,
    /// Answered once every timer has fired once more.
    pub(crate) fire: RefCell<Vec<oneshot::Sender<()>>>,
}

impl Shard {
    /// How far each agent is, by its number.
    pub(crate) fn places(&self) -> impl ExactSizeIterator<Item = Offset> {
        self.agents.iter().map(|agent| agent.input.position())
    }

    /// Whether an agent is elsewhere than where it was when that was committed last.
    pub(crate) fn has_moved(&self) -> bool {
        self.committed_places.borrow().have_moved(&self.agents)
    }

    /// Whether it is long ago that the store was known to be current, for a shard that is idle or is being closed.
    pub(crate) fn has_aged(&self, now: Timestamp) -> bool {
        let limit = if self.link.closing.get() { AGED_AT_CLOSE } else { AGED };
        !self.tables.is_empty() && now.since(self.as_of.get()) >= limit
    }

    /// About how many bytes wait for a commit.
    pub(crate) fn uncommitted_bytes(&self) -> usize {
        uncommitted_bytes(&self.participants, &self.link)
    }
}

pub(super) fn uncommitted_bytes(participants: &[Rc<dyn Participant>], link: &ShardLink) -> usize {
    let tables: usize = participants.iter().map(|participant| participant.uncommitted_bytes()).sum();
    tables + link.outbox.borrow().size()
}
