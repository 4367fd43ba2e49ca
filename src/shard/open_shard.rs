//! An open shard, as its lane holds it: agents, tables, timers and the control of its task.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use marlowe_broker::{Offset, Timestamp};
use marlowe_state::{PositionSlot, SlicePosition, Store, TableIndex};
use tokio::sync::oneshot;

use super::committed_places::CommittedPlaces;
use super::id::ShardId;
use super::in_hand::ShardInHand;
use crate::agent::OpenAgent;
use crate::query::Owner;
use crate::turn::{OutTopic, Participant, RecordQueue, ShardLink};
use crate::watch;

/// The age at which an idle shard renews its store's time by committing its positions again. The
/// age is the time since the store was known to be current. [`AGED_AT_CLOSE`] is the limit for a
/// shard that is being closed.
const AGED: Duration = Duration::from_secs(60 * 60);
const AGED_AT_CLOSE: Duration = Duration::from_secs(60);

/// An open shard, as its lane holds it.
pub(crate) struct Shard {
    pub(crate) id: ShardId,
    pub(crate) link: Rc<ShardLink>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) participants: Vec<Rc<dyn Participant>>,
    pub(crate) agents: Vec<Rc<OpenAgent>>,
    pub(crate) tables: Vec<ShardTable>,
    pub(crate) timers: Vec<Rc<TimerCounters>>,
    pub(crate) owner: Owner,
    pub(crate) control: Rc<ShardControl>,
    /// The events that it has in hand, for threads other than the lane's.
    pub(crate) in_hand: ShardInHand,
    /// Notified at each commit, for callers that wait for a position.
    pub(crate) committed: watch::Sender<()>,
    /// The time as of which the store is known to be current, by the clock.
    pub(crate) as_of: Cell<Timestamp>,
    /// The places of its agents in the last commit.
    pub(crate) committed_places: RefCell<CommittedPlaces>,
    /// The log of places.
    pub(crate) places_log: OutTopic,
}

/// A table of a shard, as the lane sees it.
pub(crate) struct ShardTable {
    pub(crate) name: Arc<str>,
    pub(crate) index: TableIndex,
    pub(crate) slot: PositionSlot,
    pub(crate) changelog: OutTopic,
    /// The input of the agent of its inbox. That agent's position is part of the table's position.
    pub(crate) inbox: Option<Rc<RecordQueue>>,
}

impl ShardTable {
    /// Returns the position that the table will have when the finished work is committed. The
    /// changelog's end is missing from it, because only the broker knows that.
    pub(crate) fn position(&self, store: &dyn Store) -> SlicePosition {
        let inbox = self.inbox.as_ref().map_or(Offset::ZERO, |input| input.position());
        SlicePosition { inbox, ..store.position(self.slot) }
    }
}

/// Counts of a partition timer's work, without locks.
pub(crate) struct TimerCounters {
    pub(crate) name: Arc<str>,
    pub(crate) runs: Cell<u64>,
    pub(crate) failures: Cell<u64>,
}

/// The commands of a lane to its shard's task.
#[derive(Default)]
pub(crate) struct ShardControl {
    /// True while too much waits for a commit. No new event is begun until the commit is done.
    pub(crate) paused: Cell<bool>,
    /// Callers to be answered when every timer has fired once more.
    pub(crate) fire: RefCell<Vec<oneshot::Sender<()>>>,
}

impl Shard {
    /// Returns the position of each agent, in the order of their numbers.
    pub(crate) fn places(&self) -> impl ExactSizeIterator<Item = Offset> {
        self.agents.iter().map(|agent| agent.input.position())
    }

    /// Returns true if an agent has moved since its place was committed last.
    pub(crate) fn has_moved(&self) -> bool {
        self.committed_places.borrow().have_moved(&self.agents)
    }

    /// Returns true if the store was last known to be current long ago. The limit is shorter for a
    /// shard that is being closed.
    pub(crate) fn has_aged(&self, now: Timestamp) -> bool {
        let limit = if self.link.closing.get() { AGED_AT_CLOSE } else { AGED };
        !self.tables.is_empty() && now.since(self.as_of.get()) >= limit
    }

    /// Returns the approximate number of bytes that wait for a commit.
    pub(crate) fn uncommitted_bytes(&self) -> usize {
        uncommitted_bytes(&self.participants, &self.link)
    }
}

pub(super) fn uncommitted_bytes(participants: &[Rc<dyn Participant>], link: &ShardLink) -> usize {
    let tables: usize = participants.iter().map(|participant| participant.uncommitted_bytes()).sum();
    tables + link.outbox.borrow().size()
}
