//! The program's side of a transactional producer. Its thread's side is in `transaction`.

use std::sync::Arc;

use marlowe_broker::{
    BoxFuture, BrokerError, CommittedOffset, Destination, GroupMetadata, NewRecord, Producer, RecordLimit,
    TopicPartition, TransactionalProducer, Written,
};

use crate::background::in_background;
use crate::cluster::Cluster;
use crate::destinations::Destinations;
use crate::offsets::places_of;
use crate::positions::Positions;
use crate::producer::given_up;
use crate::transaction::Transaction;
use crate::writer::{Wanted, Writer};

/// A transactional producer. Records are kept until the commit, which a thread carries out.
pub(crate) struct KafkaTransactionalProducer {
    cluster: Arc<Cluster>,
    destinations: Destinations,
    limit: RecordLimit,
    state: State,
    /// The state that a thread works with. `None` while the thread has it.
    work: Option<Transaction>,
}

/// The state of the transaction, as the program sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Open,
}

impl KafkaTransactionalProducer {
    pub(crate) async fn open(cluster: &Arc<Cluster>, id: &str) -> Result<Self, BrokerError> {
        let configuration = Transaction::configuration(cluster, id);
        let (opening, id) = (cluster.clone(), id.to_owned());
        let (wants, wanted) = Wanted::new();
        let work = in_background("open", move || Transaction::open(opening, configuration, id, &wanted)).await??;
        drop(wants);
        Ok(Self {
            cluster: cluster.clone(),
            destinations: Destinations::default(),
            limit: Writer::record_limit(cluster),
            state: State::Idle,
            work: Some(work),
        })
    }

    fn expect(&self, state: State, refusal: &str) -> Result<(), BrokerError> {
        if self.state == state { Ok(()) } else { Err(BrokerError::InvalidState(refusal.to_owned())) }
    }

    /// Runs `job` on the transaction in a thread, and waits for it.
    async fn work<T: Send + 'static>(
        &mut self,
        doing: &'static str,
        job: impl FnOnce(&mut Transaction, &[TopicPartition], &Wanted) -> T + Send + 'static,
    ) -> Result<T, BrokerError> {
        let mut work = self.work.take().ok_or_else(given_up)?;
        let destinations = self.destinations.all().to_vec();
        let (wants, wanted) = Wanted::new();
        let (work, done) = in_background(doing, move || {
            let done = job(&mut work, &destinations, &wanted);
            (work, done)
        })
        .await?;
        drop(wants);
        self.work = Some(work);
        Ok(done)
    }
}

const NONE_OPEN: &str = "no transaction is open: begin one";

impl Producer for KafkaTransactionalProducer {
    fn destination(&mut self, partition: &TopicPartition) -> Result<Destination, BrokerError> {
        self.destinations.of(&self.cluster, partition)
    }

    fn send(&mut self, to: Destination, record: NewRecord<'_>) -> Result<(), BrokerError> {
        self.expect(State::Open, NONE_OPEN)?;
        self.limit.check(&self.destinations.partition(to.0 as usize).topic, &record)?;
        self.work.as_mut().ok_or_else(given_up)?.outgoing.push(to, &record);
        Ok(())
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<Written, BrokerError>> {
        Box::pin(async move {
            if self.state == State::Idle {
                return Ok(Written::default());
            }
            self.work("flush", Transaction::flush).await?
        })
    }
}

impl TransactionalProducer for KafkaTransactionalProducer {
    fn begin(&mut self) -> Result<(), BrokerError> {
        self.expect(State::Idle, "a transaction is open already: commit or abort it")?;
        self.work.as_ref().ok_or_else(given_up)?.check()?;
        self.state = State::Open;
        Ok(())
    }

    fn send_offsets(
        &mut self,
        offsets: &[(TopicPartition, CommittedOffset)],
        group: &GroupMetadata,
    ) -> Result<(), BrokerError> {
        self.expect(State::Open, NONE_OPEN)?;
        let work = self.work.as_mut().ok_or_else(given_up)?;
        work.positions = Some(Positions { places: places_of(offsets), of: group.clone() });
        Ok(())
    }

    fn commit(&mut self) -> BoxFuture<'_, Result<Written, BrokerError>> {
        Box::pin(async move {
            self.expect(State::Open, NONE_OPEN)?;
            let committed = self.work("commit", Transaction::commit).await?;
            // After a commit that was refused, the program may abort, as with Kafka's own client.
            // It may also begin another transaction at once.
            self.state = State::Idle;
            committed
        })
    }

    fn abort(&mut self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move {
            self.state = State::Idle;
            self.work("abort", Transaction::abort).await?
        })
    }
}
