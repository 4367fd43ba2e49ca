use std::sync::Arc;

use marlowe_broker::{Reader, TopicPartition};
use marlowe_state::Store;

use super::RunError;
use super::tail::{LogPlan, Skip, Tail};
use crate::program::Guarantee;

/// Reads changelogs into a store.
pub(crate) struct Replay<'a> {
    pub(crate) tail: Tail<'a>,
    reader: Box<dyn Reader>,
}

impl<'a> Replay<'a> {
    /// A replay that passes over the records that `skip` says, if any may have to be.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        reader: Box<dyn Reader>,
        guarantee: Guarantee,
        skip: Option<Skip<'a>>,
    ) -> Self {
        Self { tail: Tail::new(store, guarantee, skip), reader }
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
