//! A reader of changelogs: it assigns the logs to a broker's reader and moves their records into a
//! restore buffer.

use std::sync::Arc;

use marlowe_broker::{Clock, Reader, Source, TopicPartition};
use marlowe_state::Store;

use super::buffer::{ChangelogRange, RestoreBuffer};
use crate::error::RunError;

/// A reader of changelogs into one store.
pub(crate) struct ChangelogReader {
    pub(crate) tail: RestoreBuffer,
    reader: Box<dyn Reader>,
}

impl ChangelogReader {
    /// Creates a reader that has no logs yet.
    pub(crate) fn new(store: Arc<dyn Store>, reader: Box<dyn Reader>, clock: Arc<dyn Clock>) -> Self {
        Self { tail: RestoreBuffer::new(store, clock), reader }
    }

    /// Adds a log, and returns the source of its records.
    pub(crate) fn add(&mut self, log: ChangelogRange) -> Result<Source, RunError> {
        let partition = TopicPartition { topic: log.table.identity().changelog.clone(), partition: log.partition };
        let failed = RunError::broker(format!("restoring from {partition} at {}", log.from));
        let source = self.reader.assign(&partition, log.from).map_err(failed)?;
        self.tail.add(source, log);
        Ok(source)
    }

    /// Reads the next records into the buffer. Writes the buffer when it is full.
    pub(crate) async fn step(&mut self) -> Result<(), RunError> {
        let fetched = self.reader.poll().await.map_err(RunError::broker("restoring"))?;
        for fetched in fetched {
            self.tail.take(fetched.source, &*fetched.batch);
        }
        if self.tail.is_full() {
            self.tail.write()?;
        }
        Ok(())
    }
}
