use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use marlowe_broker::Partition;
use marlowe_state::{SliceIsolation, Store, TableIndex};

use super::worker::WorkerScope;
use crate::turn::{OutTopic, OutTopics, Participant, Turn};

/// A shard that is being opened: what its agents' and timers' handles are made from.
pub(crate) struct ShardScope {
    pub(crate) turn: Rc<Turn>,
    /// How many partitions the shard's co-partition group has.
    pub(crate) partitions: u32,
    pub(crate) store: Arc<dyn Store>,
    /// The tables of the store, in its order.
    pub(crate) tables: Vec<Arc<str>>,
    pub(crate) isolation: SliceIsolation,
    pub(crate) out_topics: Rc<RefCell<OutTopics>>,
    pub(crate) worker: Arc<WorkerScope>,
    opened: RefCell<OpenedOnce>,
    /// All that takes part in the shard's commits.
    participants: RefCell<Vec<Rc<dyn Participant>>>,
    /// What the agent or timer that is being opened uses.
    used: RefCell<Vec<Rc<dyn Participant>>>,
}

type OpenedOnce = HashMap<(Opened, Arc<str>), Rc<dyn Any>>;

/// What a shard opens once and shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Opened {
    Slice,
    Inbox,
}

impl ShardScope {
    #[allow(clippy::too_many_arguments)] // the parts of one thing, named at its one place of making
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

    /// The store's index of `table`.
    ///
    /// # Panics
    /// When the shard does not have the table: the topology puts every table an agent uses into the agent's group.
    pub(crate) fn table_index(&self, table: &str) -> TableIndex {
        match self.tables.iter().position(|name| &**name == table) {
            Some(index) => TableIndex(index as u16),
            None => unreachable!("table `{table}` is in the group of every agent that uses it"),
        }
    }

    pub(crate) fn out_topic(&self, topic: &Arc<str>) -> OutTopic {
        self.out_topics.borrow_mut().number(topic)
    }

    /// Opens something once per shard, and notes that what is being opened uses it.
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

    /// What was opened since the last call: what one agent or timer uses.
    pub(crate) fn take_used(&self) -> Vec<Rc<dyn Participant>> {
        self.used.take()
    }

    pub(crate) fn participants(&self) -> Vec<Rc<dyn Participant>> {
        self.participants.borrow().clone()
    }
}
