//! A shard that is being opened, and the participants that are opened in it once.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use marlowe_broker::Partition;
use marlowe_state::{SliceIsolation, Store, TableIndex};

use super::worker::WorkerScope;
use crate::turn::{OutTopic, OutTopics, Participant, Turn};

/// A shard that is being opened. The handles of its agents and timers are opened from it.
pub(crate) struct ShardScope {
    pub(crate) turn: Rc<Turn>,
    /// The number of partitions of the shard's co-partition group.
    pub(crate) partitions: u32,
    pub(crate) store: Arc<dyn Store>,
    /// The tables of the store, in the store's order.
    pub(crate) tables: Vec<Arc<str>>,
    pub(crate) isolation: SliceIsolation,
    pub(crate) out_topics: Rc<RefCell<OutTopics>>,
    pub(crate) worker: Arc<WorkerScope>,
    opened: RefCell<OpenedOnce>,
    /// Everything that takes part in the shard's commits.
    participants: RefCell<Vec<Rc<dyn Participant>>>,
    /// The participants that the agent or timer being opened uses.
    used: RefCell<Vec<Rc<dyn Participant>>>,
}

type OpenedOnce = HashMap<(Opened, Arc<str>), Rc<dyn Any>>;

/// The kinds of participants that a shard opens once and shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Opened {
    Slice,
    Inbox,
}

impl ShardScope {
    #[allow(clippy::too_many_arguments)] // one caller, which names each part
    pub(crate) fn new(
        partition: Partition,
        partitions: u32,
        store: Arc<dyn Store>,
        tables: Vec<Arc<str>>,
        isolation: SliceIsolation,
        out_topics: Rc<RefCell<OutTopics>>,
        worker: Arc<WorkerScope>,
    ) -> Self {
        Self {
            turn: Rc::new(Turn::new(partition)),
            partitions,
            store,
            tables,
            isolation,
            out_topics,
            worker,
            opened: RefCell::default(),
            participants: RefCell::default(),
            used: RefCell::default(),
        }
    }

    pub(crate) fn partition(&self) -> Partition {
        self.turn.partition()
    }

    /// Returns the store's index of `table`.
    ///
    /// # Panics
    /// If the shard does not have the table. This cannot happen, because the topology puts every
    /// table that an agent uses into the agent's group.
    pub(crate) fn table_index(&self, table: &str) -> TableIndex {
        match self.tables.iter().position(|name| &**name == table) {
            Some(index) => TableIndex(index as u16),
            None => unreachable!("table `{table}` is in the group of every agent that uses it"),
        }
    }

    pub(crate) fn out_topic(&self, topic: &Arc<str>) -> OutTopic {
        self.out_topics.borrow_mut().open(topic, self.worker.topology.is_transactional(topic))
    }

    /// Opens a participant on its first use in the shard and returns the same one later. Records
    /// that the agent or timer being opened uses it.
    pub(crate) fn open_once<P: Participant + 'static>(
        &self,
        kind: Opened,
        name: &Arc<str>,
        open: impl FnOnce() -> P,
    ) -> Rc<P> {
        let known = self.opened.borrow().get(&(kind, name.clone())).cloned();
        let participant = match known.map(|any| any.downcast::<P>()) {
            Some(Ok(participant)) => participant,
            Some(Err(_)) => unreachable!("`{name}` was declared once, with one type"),
            None => {
                let participant = Rc::new(open());
                self.opened.borrow_mut().insert((kind, name.clone()), participant.clone());
                self.participants.borrow_mut().push(participant.clone());
                participant
            }
        };
        let mut used = self.used.borrow_mut();
        let same = |other: &Rc<dyn Participant>| std::ptr::addr_eq(Rc::as_ptr(other), Rc::as_ptr(&participant));
        if !used.iter().any(same) {
            used.push(participant.clone());
        }
        participant
    }

    /// Returns the participants that were used since the last call: those of one agent or timer.
    pub(crate) fn take_used(&self) -> Vec<Rc<dyn Participant>> {
        self.used.take()
    }

    pub(crate) fn participants(&self) -> Vec<Rc<dyn Participant>> {
        self.participants.borrow().clone()
    }
}
