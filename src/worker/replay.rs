use std::sync::Arc;

use marlowe_broker::{Reader, TopicPartition};
use marlowe_state::Store;

use super::RunError;
use super::tail::{LogPlan, Tail};
use crate::program::Guarantee;
use crate::shard::CommittedInputs;

/// Reads changelogs into a store.
pub(crate) struct Replay {
    pub(crate) tail: Tail,
    reader: Box<dyn Reader>,
}

impl Replay {
    /// A replay that passes over the records that run ahead of what is committed, if any may.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        reader: Box<dyn Reader>,
        guarantee: Guarantee,
        committed: Option<CommittedInputs>,
    ) -> Self {
        Self { tail: Tail::new(store, guarantee, committed), reader }
    }

    pub(crate) fn add(&mut self, log: LogPlan) -> Result<(), RunError> {
        let partition = TopicPartition { topic: log.table.identity().changelog.clone(), partition: log.partition };
        let failed = RunError::broker(format!("restoring from {partition} at {}", log.from));
        let source = self.reader.assign(&partition, log.from).map_err(failed)?;
        self.tail.add(source, log);
        Ok(())
    }

    /// Reads what there is next; writes it when enough has come together.
    pub(crate) async fn step(&mut self) -> Result<(), RunError> {
        let fetched = self.reader.poll().await.map_err(RunError::broker("restoring"))?;
        for fetched in fetched {
            self.tail.take(fetched.source, &*fetched.batch)?;
        }
        if self.tail.is_full() {
            self.tail.write()?;
        }
        Ok(())
    }
}
