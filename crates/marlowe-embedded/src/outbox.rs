//! The records that a producer has accepted and not yet handed to the broker.

use std::collections::HashMap;
use std::sync::Arc;

use marlowe_broker::{BrokerError, Cleanup, Destination, NewRecord, RecordLimit, TopicPartition};

use crate::handle::Handle;
use crate::partition::Partition;
use crate::request::Append;
use crate::staging::Staging;

/// The records that a producer has accepted and not yet handed to the broker, by destination.
pub(crate) struct Outbox {
    handle: Arc<Handle>,
    names: HashMap<TopicPartition, Destination>,
    lines: Vec<OutboxLine>,
    limit: RecordLimit,
    bytes: usize,
}

struct OutboxLine {
    partition: Arc<Partition>,
    compacted: bool,
    staging: Staging,
}

impl Outbox {
    pub(crate) fn new(handle: Arc<Handle>) -> Self {
        let limit = handle.ledger.config.record_limit();
        Self { handle, names: HashMap::new(), lines: Vec::new(), limit, bytes: 0 }
    }

    pub(crate) fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    pub(crate) fn destination(&mut self, place: &TopicPartition) -> Result<Destination, BrokerError> {
        let known = self.names.get(place).copied();
        if let Some(known) = known
            && !self.lines[known.0 as usize].partition.is_deleted()
        {
            return Ok(known);
        }
        let partition = self.handle.ledger.catalog.partition(place)?;
        let compacted = !matches!(partition.cleanup, Cleanup::Delete { .. });
        let line = OutboxLine { partition, compacted, staging: Staging::new(self.handle.ledger.storage.batch_bytes()) };
        let destination = known.unwrap_or(Destination(self.lines.len() as u32));
        match self.lines.get_mut(destination.0 as usize) {
            // The topic was deleted and created again.
            Some(former) => *former = line,
            None => self.lines.push(line),
        }
        self.names.insert(place.clone(), destination);
        Ok(destination)
    }

    /// Stages a copy of `record`.
    #[inline]
    pub(crate) fn push(&mut self, to: Destination, record: &NewRecord<'_>) -> Result<(), BrokerError> {
        let Some(line) = self.lines.get_mut(to.0 as usize) else { return Err(unknown(to)) };
        let size = record.size();
        if size > self.limit.bytes || (line.compacted && record.key.is_none()) {
            return Err(line.refuse(record, self.limit));
        }
        line.staging.push(record, size);
        self.bytes += size;
        Ok(())
    }

    /// Returns the bytes of the staged records.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes all staged records, as one append for each destination that has some.
    pub(crate) fn take(&mut self) -> (Vec<Destination>, Vec<Append>) {
        self.bytes = 0;
        let filled = self.lines.iter_mut().enumerate().filter(|(_, line)| !line.staging.is_empty());
        filled
            .map(|(number, line)| {
                let append = Append { partition: line.partition.clone(), batches: line.staging.take() };
                (Destination(number as u32), append)
            })
            .unzip()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes = 0;
        self.lines.iter_mut().for_each(|line| line.staging.clear());
    }
}

impl OutboxLine {
    #[cold]
    fn refuse(&self, record: &NewRecord<'_>, limit: RecordLimit) -> BrokerError {
        let topic = &self.partition.place.topic;
        let keyless = || BrokerError::RecordRefused {
            topic: topic.clone(),
            reason: "the topic is compacted, and the record has no key: send a key".to_owned(),
        };
        limit.check(topic, record).err().unwrap_or_else(keyless)
    }
}

#[cold]
fn unknown(to: Destination) -> BrokerError {
    BrokerError::InvalidState(format!("this producer has not opened destination {}: ask `destination` for it", to.0))
}
