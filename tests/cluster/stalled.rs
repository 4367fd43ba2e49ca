//! A process that stood still past its session, and does not know yet that others have what it had.

use std::sync::Arc;

use marlowe::{Broker, BrokerError, Offset, Partition};
use marlowe_broker::{
    BoxFuture, CommittedOffset, GroupConfig, GroupEvent, GroupMetadata, Isolation, Membership, MetadataSource,
    OffsetSpec, Producer, Reader, TopicConfig, TopicDescription, TopicPartition, TransactionalProducer,
};
use tokio::sync::watch;

use crate::program::{owners, program, settle};
use crate::scene::{Cluster, TestResult, client, eventually, start, stop, within};

/// A broker whose members say and hear nothing while they are stalled.
struct Stalled {
    inner: Arc<dyn Broker>,
    stalled: watch::Sender<bool>,
}

struct StalledMembership {
    inner: Box<dyn Membership>,
    stalled: watch::Receiver<bool>,
}

impl Membership for StalledMembership {
    fn next(&mut self) -> BoxFuture<'_, Result<GroupEvent, BrokerError>> {
        Box::pin(async move {
            loop {
                let _ = self.stalled.wait_for(|stalled| !stalled).await;
                tokio::select! {
                    event = self.inner.next() => return event,
                    _ = self.stalled.wait_for(|stalled| *stalled) => {}
                }
            }
        })
    }

    fn acknowledge(&mut self, partitions: &[TopicPartition]) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.inner.acknowledge(partitions)
    }

    fn metadata(&self) -> Arc<dyn MetadataSource> {
        self.inner.metadata()
    }

    fn leave(self: Box<Self>) -> BoxFuture<'static, Result<(), BrokerError>> {
        self.inner.leave()
    }
}

impl Broker for Stalled {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn create_topic(&self, config: TopicConfig) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.inner.create_topic(config)
    }

    fn delete_topic<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.inner.delete_topic(topic)
    }

    fn topic<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Option<TopicDescription>, BrokerError>> {
        self.inner.topic(topic)
    }

    fn topics(&self) -> BoxFuture<'_, Result<Vec<TopicDescription>, BrokerError>> {
        self.inner.topics()
    }

    fn offsets<'a>(
        &'a self,
        topic: &'a str,
        partitions: &'a [Partition],
        spec: OffsetSpec,
    ) -> BoxFuture<'a, Result<Vec<Offset>, BrokerError>> {
        self.inner.offsets(topic, partitions, spec)
    }

    fn committed<'a>(
        &'a self,
        group: &'a str,
        partitions: &'a [TopicPartition],
    ) -> BoxFuture<'a, Result<Vec<Option<CommittedOffset>>, BrokerError>> {
        self.inner.committed(group, partitions)
    }

    fn commit_offsets<'a>(
        &'a self,
        group: &'a str,
        member: Option<&'a GroupMetadata>,
        offsets: &'a [(TopicPartition, CommittedOffset)],
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.inner.commit_offsets(group, member, offsets)
    }

    fn delete_group<'a>(&'a self, group: &'a str) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.inner.delete_group(group)
    }

    fn reader(&self, isolation: Isolation) -> Result<Box<dyn Reader>, BrokerError> {
        self.inner.reader(isolation)
    }

    fn producer(&self) -> Result<Box<dyn Producer>, BrokerError> {
        self.inner.producer()
    }

    fn transactional_producer<'a>(
        &'a self,
        transactional_id: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn TransactionalProducer>, BrokerError>> {
        self.inner.transactional_producer(transactional_id)
    }

    fn join(&self, config: GroupConfig) -> BoxFuture<'_, Result<Box<dyn Membership>, BrokerError>> {
        Box::pin(async move {
            let inner = self.inner.join(config).await?;
            let membership: Box<dyn Membership> =
                Box::new(StalledMembership { inner, stalled: self.stalled.subscribe() });
            Ok(membership)
        })
    }
}

#[tokio::test]
async fn a_process_taken_for_dead_reads_what_others_have_from_them_and_not_what_it_had() -> TestResult {
    let cluster = Cluster::new();
    let stalled = Arc::new(Stalled { inner: cluster.broker.clone(), stalled: watch::Sender::new(false) });
    let late = start(program("stalled").app, cluster.config().broker(stalled.clone())).await?;
    let second = start(program("stalled").app, cluster.config()).await?;
    let processes = [late, second];
    settle(&processes).await;
    let [late, second] = processes;
    let program = program("stalled");
    let (inbox, view) = (second.open(program.squares.inbox()), late.open(program.squares.view()));
    for number in 0..40u64 {
        let sent = inbox.send(number, 1).await?;
        within(view.wait_for(&sent)).await?;
        assert_eq!(view.get(number).await?, Some(1));
    }
    stalled.stalled.send_replace(true);
    let own = format!("http://{}", second.web_addresses()[0]);
    for running in [&second, &late] {
        let client = client(running);
        eventually("the second has all, and both know it", async || owners(&client).into_iter().eq([own.clone()]))
            .await;
    }
    assert_eq!(client(&late).get("/readyz").json()["shards"], 9, "it believes that it has them still");
    for number in 0..40u64 {
        let sent = inbox.send(number, 2).await?;
        within(view.wait_for(&sent)).await?;
        assert_eq!(view.get(number).await?, Some(2), "{number}");
    }
    stalled.stalled.send_replace(false);
    for number in 0..40u64 {
        assert_eq!(within(view.get(number)).await?, Some(2));
    }
    stop(late).await?;
    stop(second).await?;
    Ok(())
}
