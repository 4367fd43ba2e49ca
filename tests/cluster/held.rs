//! A broker that a test can make wait: for events of members, for changelogs, for joins, and for
//! committed positions.

use std::sync::Arc;

use marlowe::broker::{Broker, BrokerError, Offset};
use marlowe_broker::{
    BoxFuture, CommittedOffset, Fetched, GroupConfig, GroupEvent, Isolation, Membership, Reader, Source,
    TopicPartition, pass_on,
};
use tokio::sync::watch;

/// A broker that passes every call on to another one, and can hold up some of them.
pub(crate) struct Held {
    inner: Arc<dyn Broker>,
    /// While true, members get no events, and the embedded broker hears nothing of them.
    pub(crate) members: watch::Sender<bool>,
    /// While true, readers of changelogs get no records.
    pub(crate) changelogs: watch::Sender<bool>,
    /// While true, joins wait.
    pub(crate) joins: watch::Sender<bool>,
    /// While true, requests for the committed offsets of a group wait.
    pub(crate) positions: watch::Sender<bool>,
}

impl Held {
    /// Returns a broker over `inner` that does not hold anything up yet.
    pub(crate) fn over(inner: Arc<dyn Broker>) -> Arc<Self> {
        let [members, changelogs, joins, positions] = std::array::from_fn(|_| watch::Sender::new(false));
        Arc::new(Self { inner, members, changelogs, joins, positions })
    }
}

async fn until_let_go(held: &watch::Sender<bool>) {
    let _ = held.subscribe().wait_for(|held| !held).await;
}

struct HeldReader {
    inner: Box<dyn Reader>,
    held: watch::Receiver<bool>,
    reads_changelogs: bool,
}

impl Reader for HeldReader {
    pass_on!(to inner: unassign, pause, resume);

    fn assign(&mut self, partition: &TopicPartition, offset: Offset) -> Result<Source, BrokerError> {
        self.reads_changelogs |= partition.topic.ends_with("-changelog");
        self.inner.assign(partition, offset)
    }

    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<Fetched>, BrokerError>> {
        Box::pin(async move {
            if self.reads_changelogs {
                let _ = self.held.wait_for(|held| !held).await;
            }
            self.inner.poll().await
        })
    }
}

struct HeldMembership {
    inner: Box<dyn Membership>,
    held: watch::Receiver<bool>,
}

impl Membership for HeldMembership {
    pass_on!(to inner: acknowledge, metadata, leave);

    fn next(&mut self) -> BoxFuture<'_, Result<GroupEvent, BrokerError>> {
        Box::pin(async move {
            loop {
                let _ = self.held.wait_for(|held| !held).await;
                tokio::select! {
                    event = self.inner.next() => return event,
                    _ = self.held.wait_for(|held| *held) => {}
                }
            }
        })
    }
}

impl Broker for Held {
    pass_on!(to inner: location, create_topic, delete_topic, topic, topics, offsets, delete_records, commit_offsets);
    pass_on!(to inner: delete_group, declare_reads, producer, transactional_producer);

    fn committed<'a>(
        &'a self,
        group: &'a str,
        partitions: &'a [TopicPartition],
    ) -> BoxFuture<'a, Result<Vec<Option<CommittedOffset>>, BrokerError>> {
        Box::pin(async move {
            until_let_go(&self.positions).await;
            self.inner.committed(group, partitions).await
        })
    }

    fn reader(&self, isolation: Isolation) -> Result<Box<dyn Reader>, BrokerError> {
        let (inner, held) = (self.inner.reader(isolation)?, self.changelogs.subscribe());
        Ok(Box::new(HeldReader { inner, held, reads_changelogs: false }))
    }

    fn join(&self, config: GroupConfig) -> BoxFuture<'_, Result<Box<dyn Membership>, BrokerError>> {
        Box::pin(async move {
            until_let_go(&self.joins).await;
            let inner = self.inner.join(config).await?;
            let membership: Box<dyn Membership> = Box::new(HeldMembership { inner, held: self.members.subscribe() });
            Ok(membership)
        })
    }
}
