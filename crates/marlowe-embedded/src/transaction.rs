//! The transactional producer. The producer without transactions is in `producer`.

use std::sync::Arc;

use marlowe_broker::{
    BoxFuture, BrokerError, CommittedOffset, Destination, GroupMetadata, NewRecord, Producer, TopicPartition,
    TransactionalProducer, Written,
};
use tokio::time::Instant;

use crate::epoch::Epoch;
use crate::handle::Handle;
use crate::outbox::Outbox;
use crate::producer::note;
use crate::request::{GroupPositions, Request, Write};

/// A producer that keeps its records and positions until the commit hands them to the broker in one
/// write.
pub(crate) struct Transactional {
    outbox: Outbox,
    epoch: Epoch,
    positions: Vec<GroupPositions>,
    open: bool,
}

impl Transactional {
    pub(crate) fn new(handle: Arc<Handle>, epoch: Epoch) -> Self {
        Self { outbox: Outbox::new(handle), epoch, positions: Vec::new(), open: false }
    }

    fn close(&mut self) {
        self.outbox.clear();
        self.positions.clear();
        self.open = false;
    }
}

#[cold]
fn not_open(what: &str) -> BrokerError {
    BrokerError::InvalidState(format!("there is no transaction to {what}: call `begin` first"))
}

impl Producer for Transactional {
    fn destination(&mut self, partition: &TopicPartition) -> Result<Destination, BrokerError> {
        self.outbox.destination(partition)
    }

    fn send(&mut self, to: Destination, record: NewRecord<'_>) -> Result<(), BrokerError> {
        if !self.open {
            return Err(not_open("send in"));
        }
        self.outbox.push(to, &record)
    }

    /// Returns no offsets, because records get their offsets with the commit. There is nothing to
    /// wait for.
    fn flush(&mut self) -> BoxFuture<'_, Result<Written, BrokerError>> {
        Box::pin(async { self.epoch.check().map(|()| Written::default()) })
    }
}

impl TransactionalProducer for Transactional {
    fn begin(&mut self) -> Result<(), BrokerError> {
        self.epoch.check()?;
        if self.open {
            return Err(BrokerError::InvalidState(
                "a transaction is open already: commit or abort it first".to_owned(),
            ));
        }
        self.open = true;
        Ok(())
    }

    fn send_offsets(
        &mut self,
        offsets: &[(TopicPartition, CommittedOffset)],
        group: &GroupMetadata,
    ) -> Result<(), BrokerError> {
        if !self.open {
            return Err(not_open("add positions to"));
        }
        self.epoch.check()?;
        self.positions.push(GroupPositions {
            group: group.group.clone(),
            member: Some(group.clone()),
            offsets: offsets.to_vec(),
        });
        Ok(())
    }

    /// Commits the transaction, which is over afterwards, whatever the outcome. Dropping the future
    /// does not undo the commit.
    fn commit(&mut self) -> BoxFuture<'_, Result<Written, BrokerError>> {
        Box::pin(async {
            if !self.open {
                return Err(not_open("commit"));
            }
            let (destinations, appends) = self.outbox.take();
            let positions = std::mem::take(&mut self.positions);
            self.close();
            let write = Write { epoch: Some(self.epoch.clone()), appends, positions, now: Instant::now() };
            let answer = self.outbox.handle().submit("a commit", Request::Write(write)).answer().await?;
            let mut written = Written::default();
            note(&mut written, &destinations, answer);
            Ok(written)
        })
    }

    fn abort(&mut self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async {
            self.close();
            Ok(())
        })
    }
}
