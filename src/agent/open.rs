//! An agent that is open in a shard, and its work there.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use crate::turn::{Counters, RecordQueue};

/// An agent that is open in a shard. The shard, its lane and the agent's work share it.
pub(crate) struct OpenAgent {
    pub(crate) name: Arc<str>,
    pub(crate) input: Rc<RecordQueue>,
    pub(crate) counters: Counters,
    /// True while the agent would take the turn if there were an event for it.
    pub(crate) asks: Cell<bool>,
    /// The number of events that it has in hand without holding the turn.
    pub(crate) in_hand: Cell<usize>,
}

impl OpenAgent {
    pub(crate) fn new(name: Arc<str>, input: Rc<RecordQueue>) -> Self {
        Self { name, input, counters: Counters::default(), asks: Cell::new(false), in_hand: Cell::new(0) }
    }
}

/// An open agent with its work, which its strand polls. The work ends only after it has told the
/// shard's link of a failure.
pub(crate) struct RunningAgent {
    pub(crate) agent: Rc<OpenAgent>,
    pub(crate) work: LocalBoxFuture<'static, ()>,
}
