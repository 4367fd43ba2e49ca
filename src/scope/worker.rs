use std::collections::BTreeMap;
use std::sync::Arc;

use marlowe_broker::{Clock, Entropy, RecordLimit};

use crate::outbound::{Asker, ClientProducer};
use crate::query::{GlobalStore, Routes};
use crate::topology::Topology;

/// What a worker has that its shards, timers and web handlers use alike.
pub(crate) struct WorkerScope {
    pub(crate) app: Arc<str>,
    /// The worker's name among those of its app.
    pub(crate) worker: Arc<str>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// The ways to every partition of every table.
    pub(crate) routes: Arc<Routes>,
    pub(crate) globals: BTreeMap<Arc<str>, GlobalStore>,
    pub(crate) topology: Arc<Topology>,
    pub(crate) producer: ClientProducer,
    /// Asks agents, if the program has any that answer.
    pub(crate) asker: Option<Asker>,
    /// What is larger fails the event that sends it.
    pub(crate) record_limit: RecordLimit,
}

impl WorkerScope {
    /// How many partitions `topic` has.
    ///
    /// # Panics
    /// When it is not a topic of the program: all are looked up or created before anything is opened.
    pub(crate) fn partitions(&self, topic: &str) -> u32 {
        match self.topology.partitions.get(topic) {
            Some(partitions) => *partitions,
            None => unreachable!("topic `{topic}` is part of the program"),
        }
    }

    /// What asks agents.
    ///
    /// # Panics
    /// When no agent of the program answers.
    pub(crate) fn asker(&self) -> Asker {
        match &self.asker {
            Some(asker) => asker.clone(),
            None => unreachable!("an agent that answers is part of the program"),
        }
    }

    /// This worker's copy of a global table.
    ///
    /// # Panics
    /// When there is none: every worker follows every global table of its program.
    pub(crate) fn global(&self, table: &str) -> GlobalStore {
        match self.globals.get(table) {
            Some(store) => store.clone(),
            None => unreachable!("global table `{table}` is part of the program"),
        }
    }
}
