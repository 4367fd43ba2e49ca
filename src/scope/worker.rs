//! The parts of a worker that its shards, timers and web handlers share.

use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{Clock, Entropy, RecordLimit};

use crate::outbound::{Asker, ClientProducer};
use crate::query::{GlobalStore, Routes};
use crate::topology::Topology;

/// The parts of a worker that its shards, timers and web handlers share.
pub(crate) struct WorkerScope {
    pub(crate) app: Arc<str>,
    /// The worker's name, which is unique in its app.
    pub(crate) worker: Arc<str>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// The routes to every partition of every table.
    pub(crate) routes: Arc<Routes>,
    pub(crate) globals: BTreeMap<Arc<str>, GlobalStore>,
    pub(crate) topology: Arc<Topology>,
    pub(crate) producer: ClientProducer,
    /// Asks agents. `None` if no agent of the program answers.
    pub(crate) asker: Option<Asker>,
    /// The size limit of a record. A larger record makes the event fail that sends it.
    pub(crate) record_limit: RecordLimit,
}

impl WorkerScope {
    /// Returns the number of partitions of `topic`.
    ///
    /// # Panics
    /// If it is not a topic of the program. This cannot happen, because all topics are looked up or
    /// created before anything is opened.
    pub(crate) fn partitions(&self, topic: &str) -> u32 {
        match self.topology.partitions.get(topic) {
            Some(partitions) => *partitions,
            None => unreachable!("topic `{topic}` is part of the program"),
        }
    }

    /// Returns the asker of agents.
    ///
    /// # Panics
    /// If no agent of the program answers.
    pub(crate) fn asker(&self) -> Asker {
        match &self.asker {
            Some(asker) => asker.clone(),
            None => unreachable!("an agent that answers is part of the program"),
        }
    }

    /// Returns this worker's copy of a global table.
    ///
    /// # Panics
    /// If there is no copy. This cannot happen, because every worker follows every global table of
    /// its program.
    pub(crate) fn global(&self, table: &str) -> GlobalStore {
        match self.globals.get(table) {
            Some(store) => store.clone(),
            None => unreachable!("global table `{table}` is part of the program"),
        }
    }
}
