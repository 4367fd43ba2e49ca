//! The thread that commits the batches of the bare loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};

use crate::PeerResult;
use crate::arguments::{Arguments, Guarantee};
use crate::batch::Batch;
use crate::client::PATIENCE;

/// A thread that commits batches, one at a time, while the loop continues.
pub(crate) struct Committer {
    busy: Arc<AtomicBool>,
    batches: Option<SyncSender<Batch>>,
    thread: Option<JoinHandle<PeerResult<()>>>,
}

impl Committer {
    /// Opens the committer of thread `number`, which commits for the group of `consumer`.
    pub(crate) fn open(arguments: Arc<Arguments>, number: usize, consumer: Arc<BaseConsumer>) -> PeerResult<Self> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &arguments.brokers)
            .set("enable.idempotence", "true")
            .set("queue.buffering.max.messages", "0")
            .set("queue.buffering.max.kbytes", "1048576")
            .set("linger.ms", "5");
        if arguments.guarantee == Guarantee::ExactlyOnce {
            config.set("transactional.id", format!("{}-{number}", arguments.group));
        }
        // A `ThreadedProducer` does not fit: its thread takes the events that `flush` waits for,
        // and `flush` then waits another 100 ms.
        let producer: BaseProducer<Deliveries> = config.create_with_context(Deliveries)?;
        if arguments.guarantee == Guarantee::ExactlyOnce {
            producer.init_transactions(PATIENCE)?;
        }
        let (batches, taken) = sync_channel(1);
        let busy = Arc::new(AtomicBool::new(false));
        let at_work = busy.clone();
        let thread = std::thread::spawn(move || commit_all(&arguments, &producer, &consumer, &taken, &at_work));
        Ok(Self { busy, batches: Some(batches), thread: Some(thread) })
    }

    /// Returns whether the last batch is not committed yet.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// Queues a batch, which is committed after the last one.
    pub(crate) fn give(&mut self, batch: Batch) -> PeerResult<()> {
        self.busy.store(true, Ordering::Release);
        match self.batches.as_ref().map(|batches| batches.send(batch)) {
            Some(Ok(())) => Ok(()),
            _ => self.failed(),
        }
    }

    /// Waits until all batches are committed.
    pub(crate) fn close(mut self) -> PeerResult<()> {
        self.join()
    }

    fn join(&mut self) -> PeerResult<()> {
        self.batches = None;
        match self.thread.take() {
            Some(thread) => thread.join().map_err(|_| "the committing thread panicked")?,
            None => Ok(()),
        }
    }

    /// Returns the error that ended the thread.
    fn failed(&mut self) -> PeerResult<()> {
        self.join()?;
        Err("the committing thread has ended".into())
    }
}

fn commit_all(
    arguments: &Arguments,
    producer: &BaseProducer<Deliveries>,
    consumer: &BaseConsumer,
    batches: &Receiver<Batch>,
    busy: &AtomicBool,
) -> PeerResult<()> {
    let (topics, output) = (arguments.inputs(), arguments.output());
    for batch in batches {
        let mut positions = TopicPartitionList::new();
        for (topic, partition, next) in &batch.positions {
            positions.add_partition_offset(topics[*topic], *partition, Offset::Offset(*next))?;
        }
        match arguments.guarantee {
            Guarantee::ExactlyOnce => {
                let group = consumer.group_metadata().ok_or("the consumer has no group")?;
                producer.begin_transaction()?;
                send(producer, &output, &batch)?;
                producer.send_offsets_to_transaction(&positions, &group, PATIENCE)?;
                // The commit fails if a record was not delivered.
                producer.commit_transaction(PATIENCE)?;
            }
            Guarantee::AtLeastOnce => {
                send(producer, &output, &batch)?;
                producer.flush(PATIENCE)?;
                consumer.commit(&positions, CommitMode::Sync)?;
            }
        }
        busy.store(false, Ordering::Release);
    }
    Ok(())
}

fn send(producer: &BaseProducer<Deliveries>, topic: &str, batch: &Batch) -> PeerResult<()> {
    for (partition, key, value) in batch.records() {
        let mut record = BaseRecord::to(topic).partition(partition).key(key).payload(value);
        while let Err((error, again)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            producer.poll(Duration::from_millis(1));
            record = again;
        }
    }
    Ok(())
}

/// The delivery callback, which ends the process if a record is not delivered.
struct Deliveries;

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            // With at least once, a later commit would lose this record. The process ends here, so
            // there is no later commit and nothing is lost.
            eprintln!("error: a record was not delivered: {error}");
            std::process::exit(1);
        }
    }
}
