//! The broker as a simulated process reaches it: over the simulated network.

use std::sync::Arc;

use marlowe_broker::{
    BoxFuture, Broker, BrokerError, CommittedOffset, Fetched, GroupConfig, GroupEvent, GroupMetadata, Isolation,
    Membership, Producer, Reader, SharedBroker, TopicPartition, TransactionalProducer, Written, pass_on,
};

use super::network::Process;

/// The broker as one process reaches it, over the network.
pub(crate) struct Link {
    broker: SharedBroker,
    process: Arc<Process>,
}

impl Link {
    pub(crate) fn new(broker: SharedBroker, process: Arc<Process>) -> Self {
        Self { broker, process }
    }

    fn ask<'a, T: Send + 'a>(&'a self, ask: BoxFuture<'a, T>) -> BoxFuture<'a, T> {
        Box::pin(self.process.network.to_broker(ask))
    }
}

impl Broker for Link {
    pass_on!(to broker: location, record_limit);
    pass_on!(to broker through ask: create_topic, delete_topic, topic, topics, topic_ids, offsets, delete_records);
    pass_on!(to broker through ask: delete_group, declare_reads);

    fn committed<'a>(
        &'a self,
        group: &'a str,
        partitions: &'a [TopicPartition],
    ) -> BoxFuture<'a, Result<Vec<Option<CommittedOffset>>, BrokerError>> {
        let asked = async move {
            let committed = self.broker.committed(group, partitions).await?;
            Ok(self.process.network.handed_out(partitions, committed))
        };
        self.ask(Box::pin(asked))
    }

    fn commit_offsets<'a>(
        &'a self,
        group: &'a str,
        member: Option<&'a GroupMetadata>,
        offsets: &'a [(TopicPartition, CommittedOffset)],
    ) -> BoxFuture<'a, Result<(), BrokerError>> {
        let asked = async move { self.broker.commit_offsets(group, member, offsets).await };
        Box::pin(self.process.network.write_to_broker(self.process.name(), "committing positions", asked))
    }

    fn reader(&self, isolation: Isolation) -> Result<Box<dyn Reader>, BrokerError> {
        let reader = self.broker.reader(isolation)?;
        Ok(Box::new(LinkedReader { reader, process: self.process.clone() }))
    }

    fn producer(&self) -> Result<Box<dyn Producer>, BrokerError> {
        let producer = self.broker.producer()?;
        Ok(Box::new(LinkedProducer { producer, process: self.process.clone() }))
    }

    fn transactional_producer<'a>(
        &'a self,
        transactional_id: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn TransactionalProducer>, BrokerError>> {
        Box::pin(async move {
            let producer = self.ask(self.broker.transactional_producer(transactional_id)).await?;
            let linked = LinkedProducer { producer, process: self.process.clone() };
            Ok(Box::new(linked) as Box<dyn TransactionalProducer>)
        })
    }

    fn join(&self, config: GroupConfig) -> BoxFuture<'_, Result<Box<dyn Membership>, BrokerError>> {
        Box::pin(async move {
            let membership = self.ask(self.broker.join(config)).await?;
            let linked = LinkedMembership { membership, process: self.process.clone() };
            Ok(Box::new(linked) as Box<dyn Membership>)
        })
    }
}

struct LinkedReader {
    reader: Box<dyn Reader>,
    process: Arc<Process>,
}

impl Reader for LinkedReader {
    pass_on!(to reader: assign, unassign, pause, resume);

    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<Fetched>, BrokerError>> {
        Box::pin(async {
            // The wait is before the fetch, because a poll that is dropped must lose no records.
            self.process.network.to_reach_broker().await;
            self.reader.poll().await
        })
    }
}

struct LinkedProducer<P: ?Sized> {
    process: Arc<Process>,
    producer: Box<P>,
}

impl<P: Producer + ?Sized> Producer for LinkedProducer<P> {
    pass_on!(to producer: destination, send);

    fn flush(&mut self) -> BoxFuture<'_, Result<Written, BrokerError>> {
        let Self { process, producer } = self;
        Box::pin(process.network.write_to_broker(process.name(), "writing", async { producer.flush().await }))
    }
}

impl<P: TransactionalProducer + ?Sized> TransactionalProducer for LinkedProducer<P> {
    pass_on!(to producer: begin, send_offsets);

    fn commit(&mut self) -> BoxFuture<'_, Result<Written, BrokerError>> {
        let Self { process, producer } = self;
        Box::pin(process.network.write_to_broker(process.name(), "committing", async { producer.commit().await }))
    }

    fn abort(&mut self) -> BoxFuture<'_, Result<(), BrokerError>> {
        let Self { process, producer } = self;
        Box::pin(process.network.to_broker(async { producer.abort().await }))
    }
}

struct LinkedMembership {
    membership: Box<dyn Membership>,
    process: Arc<Process>,
}

impl Membership for LinkedMembership {
    pass_on!(to membership: metadata);

    fn next(&mut self) -> BoxFuture<'_, Result<GroupEvent, BrokerError>> {
        Box::pin(async {
            let event = self.membership.next().await?;
            self.process.network.trace.note(self.process.name(), format_args!("the group: {}", said(&event)));
            Ok(event)
        })
    }

    fn acknowledge(&mut self, partitions: &[TopicPartition]) -> BoxFuture<'_, Result<(), BrokerError>> {
        let acknowledged = self.membership.acknowledge(partitions);
        Box::pin(async {
            let answer = acknowledged.await;
            self.process.network.way().await;
            answer
        })
    }

    fn leave(self: Box<Self>) -> BoxFuture<'static, Result<(), BrokerError>> {
        Box::pin(async move {
            self.process.network.trace.note(self.process.name(), "leaves the group");
            self.membership.leave().await
        })
    }
}

fn said(event: &GroupEvent) -> String {
    let (what, places) = match event {
        GroupEvent::Assigned(places) => ("assigned", places),
        GroupEvent::Revoked(places) => ("revoked", places),
        GroupEvent::Lost(places) => ("lost", places),
    };
    let places: Vec<String> = places.iter().map(TopicPartition::to_string).collect();
    format!("{what} {}", places.join(" "))
}
