//! The producer without transactions.

use std::sync::Arc;

use marlowe_broker::{BoxFuture, BrokerError, Destination, NewRecord, Producer, RecordLimit, TopicPartition, Written};

use crate::background::in_background;
use crate::cluster::Cluster;
use crate::destinations::Destinations;
use crate::native::{Code, Configuration};
use crate::outgoing::Outgoing;
use crate::waiting::Waiting;
use crate::writer::{STEP, Wanted, Writer, undelivered};

/// An idempotent producer without transactions.
///
/// Records are kept until they are flushed. Sending a record costs only a copy. A thread hands the
/// records to librdkafka, and waits for the brokers.
pub(crate) struct KafkaProducer {
    cluster: Arc<Cluster>,
    destinations: Destinations,
    limit: RecordLimit,
    configuration: Configuration,
    /// The state that a flushing thread works with. `None` while the thread has it.
    work: Option<Work>,
}

struct Work {
    /// `None` after a flush that made it unusable. The next flush opens another one.
    writer: Option<Writer>,
    outgoing: Outgoing,
}

impl KafkaProducer {
    pub(crate) fn open(cluster: &Arc<Cluster>) -> Result<Self, BrokerError> {
        let configuration = Writer::configuration(cluster);
        let writer = Writer::open(&configuration)?;
        Ok(Self {
            cluster: cluster.clone(),
            destinations: Destinations::default(),
            limit: Writer::record_limit(cluster),
            configuration,
            work: Some(Work { writer: Some(writer), outgoing: Outgoing::default() }),
        })
    }
}

impl Work {
    fn flush(
        &mut self,
        cluster: &Cluster,
        configuration: &Configuration,
        destinations: &[TopicPartition],
        wanted: &Wanted,
    ) -> Result<Written, BrokerError> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => Writer::open(configuration)?,
        };
        let produced = writer.produce(&self.outgoing, 0, destinations, wanted);
        self.outgoing.clear();
        if let Err((failure, tag)) = produced {
            return Err(undelivered(cluster, failure.code, &destinations[tag]));
        }
        // Each record is delivered or given up within `message.timeout.ms`.
        let mut waiting = Waiting::for_brokers("a producer".into(), "writing");
        while let Err(failure) = writer.client.flush(STEP) {
            waiting.tell(&failure.reason);
            if failure.code != Code::TIMED_OUT || !wanted.is_wanted() {
                return Err(cluster.attempt("writing").failed(&failure));
            }
        }
        let written = writer.written().map_err(|(code, tag)| undelivered(cluster, code, &destinations[tag]));
        if writer.client.fatal().is_none() {
            self.writer = Some(writer);
        }
        written
    }
}

impl Producer for KafkaProducer {
    fn destination(&mut self, partition: &TopicPartition) -> Result<Destination, BrokerError> {
        self.destinations.of(&self.cluster, partition)
    }

    fn send(&mut self, to: Destination, record: NewRecord<'_>) -> Result<(), BrokerError> {
        self.limit.check(&self.destinations.partition(to.0 as usize).topic, &record)?;
        let work = self.work.as_mut().ok_or_else(given_up)?;
        work.outgoing.push(to, &record);
        Ok(())
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<Written, BrokerError>> {
        Box::pin(async move {
            let mut work = self.work.take().ok_or_else(given_up)?;
            if work.outgoing.is_empty() {
                self.work = Some(work);
                return Ok(Written::default());
            }
            let (cluster, configuration) = (self.cluster.clone(), self.configuration.clone());
            let destinations = self.destinations.all().to_vec();
            let (wants, wanted) = Wanted::new();
            let (work, written) = in_background("flush", move || {
                let written = work.flush(&cluster, &configuration, &destinations, &wanted);
                (work, written)
            })
            .await?;
            drop(wants);
            self.work = Some(work);
            written
        })
    }
}

/// Returns the error for a call of a producer whose last flush or commit was not waited for. The
/// thread kept the producer's state.
pub(crate) fn given_up() -> BrokerError {
    BrokerError::InvalidState(
        "the last flush or commit of this producer was dropped before it completed: open another producer".into(),
    )
}
