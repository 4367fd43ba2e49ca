//! Sources: tasks on the leader that feed a topic, and remember how far they got.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use marlowe_broker::{
    BrokerError, CommittedOffset, MetadataSource, NewRecord, Offset, Partition, SharedBroker, Timestamp,
    TopicPartition, TransactionalProducer,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::source_log::SourceLog;
use super::worker_timer::{AnyWorkerTimer, Outcome, WorkerTimerContext};
use crate::HandlerError;
use crate::backoff::Backoff;
use crate::codec::TopicKey;
use crate::outbound::SendError;
use crate::panics::panic_text;
use crate::scope::{Uses, WorkerWith};
use crate::topic::{ProducerRecord, Topic, TopicClient};
use crate::topology::{Place, TimerKind, TimerNode, source_topic};

/// The interval between two commits of a source.
const COMMIT_EVERY: Duration = Duration::from_millis(100);

/// The most bytes that a source sends between two commits.
const COMMIT_BYTES: usize = 1 << 20;

/// A task on the leader that feeds a topic and remembers how far it got. Each record is sent once,
/// also across crashes.
pub(crate) struct Source<K: 'static, V: 'static, F> {
    pub(crate) name: Arc<str>,
    pub(crate) topic: Topic<K, V>,
    pub(crate) handler: F,
}

/// A writer that feeds a topic from outside, and resumes where it left off. Made by
/// [`App::source`](crate::App::source).
///
/// The records and the position that belongs to them are committed together, every 100 ms and at
/// the end of the source.
///
/// ```
/// use marlowe::broker::Timestamp;
///
/// # let mut app = marlowe::App::new("poems");
/// let lines = app.topic::<(), String>("lines");
/// app.source("poem", lines).run(async |lines| {
///     let poem = ["Was this the face", "that launched a thousand ships"];
///     for (number, line) in (1..).zip(poem).skip(lines.position() as usize) {
///         lines.send(&(), &line.to_owned(), Timestamp::from_millis(0), number).await?;
///     }
///     Ok(())
/// });
/// ```
pub struct SourceWriter<K, V> {
    state: Rc<Mutex<SourceState>>,
    client: TopicClient<K, V>,
    start: u64,
}

struct SourceState {
    producer: Box<dyn TransactionalProducer>,
    broker_position: TopicPartition,
    log: SourceLog,
    group: Arc<dyn MetadataSource>,
    position: u64,
    /// True if the committed position is noted as the source's end, and nothing was sent since.
    finished: bool,
    begun: SourceTransaction,
    /// True if another worker has taken over as leader. Nothing that was not committed will be.
    fenced: bool,
}

/// The source's transaction, if one is open.
enum SourceTransaction {
    No,
    Yes { since: Instant, bytes: usize },
}

/// The error of a source that could not send or commit a record.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The record does not encode.
    #[error("{0}")]
    Send(#[from] SendError),
    /// The broker refused. [`BrokerError::Fenced`] means that another worker leads now, and goes on
    /// from the last commit.
    #[error("source `{name}`: {source}")]
    Broker {
        /// The name of the source.
        name: String,
        /// The broker's reason.
        source: BrokerError,
    },
}

impl<K: TopicKey, V: 'static> SourceWriter<K, V> {
    /// Returns the position that was committed last, or 0. The source goes on there. The program
    /// decides what the position counts.
    pub fn position(&self) -> u64 {
        self.start
    }

    /// Sends a record with the timestamp `timestamp`. Once it is committed, the source's position
    /// is `then`.
    ///
    /// # Errors
    /// If the record does not encode, or the broker refuses it. After an error, return it from the
    /// handler.
    pub async fn send(&self, key: &K, value: &V, timestamp: Timestamp, then: u64) -> Result<(), SourceError> {
        self.send_record(ProducerRecord::new(key, value).timestamp(timestamp), then).await
    }

    /// Sends a record with its own headers or partition, or without a value. Once it is committed,
    /// the source's position is `then`. A record without a timestamp gets the current time.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_record(&self, record: ProducerRecord<'_, K, V>, then: u64) -> Result<(), SourceError> {
        let record = self.client.encode(&record)?;
        let mut state = self.state.lock().await;
        state.send(record, then).map_err(|error| state.failed(error))?;
        state.commit_if_due().await
    }

    /// Commits at once what was sent.
    ///
    /// # Errors
    /// If the broker refuses.
    pub async fn commit(&self) -> Result<(), SourceError> {
        self.state.lock().await.commit().await
    }
}

impl SourceState {
    fn send(&mut self, record: crate::outbound::Outgoing, then: u64) -> Result<(), BrokerError> {
        if let SourceTransaction::No = self.begun {
            self.producer.begin()?;
            self.begun = SourceTransaction::Yes { since: Instant::now(), bytes: 0 };
        }
        let to = TopicPartition { topic: record.topic.clone(), partition: record.partition };
        let destination = self.producer.destination(&to)?;
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let headers = record.headers();
        self.producer.send(destination, NewRecord { timestamp: record.timestamp, key, value, headers: &headers })?;
        if let SourceTransaction::Yes { bytes, .. } = &mut self.begun {
            *bytes += key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        }
        self.position = then;
        self.finished = false;
        Ok(())
    }

    async fn commit_if_due(&mut self) -> Result<(), SourceError> {
        match self.begun {
            SourceTransaction::Yes { since, bytes } if bytes >= COMMIT_BYTES || since.elapsed() >= COMMIT_EVERY => {
                self.commit().await
            }
            _ => Ok(()),
        }
    }

    async fn commit(&mut self) -> Result<(), SourceError> {
        match self.begun {
            SourceTransaction::No => Ok(()),
            SourceTransaction::Yes { .. } => self.commit_with(String::new()).await,
        }
    }

    /// Commits the rest, with the note that the source is at its end. Any process that reads the
    /// position sees the note.
    async fn finish(&mut self) -> Result<(), SourceError> {
        if self.finished {
            return Ok(());
        }
        if let SourceTransaction::No = self.begun {
            self.producer.begin().map_err(|error| self.failed(error))?;
        }
        self.commit_with(FINISHED.to_owned()).await?;
        self.finished = true;
        Ok(())
    }

    async fn commit_with(&mut self, metadata: String) -> Result<(), SourceError> {
        self.begun = SourceTransaction::No;
        let position = CommittedOffset { offset: Offset::new(self.position), metadata };
        let offsets = [(self.broker_position.clone(), position)];
        let logged = self.log.write(&mut *self.producer, self.position);
        let committed = match logged.and_then(|()| self.producer.send_offsets(&offsets, &self.group.current())) {
            Ok(()) => self.producer.commit().await.map(|_| ()),
            Err(error) => Err(error),
        };
        committed.map_err(|error| self.failed(error))
    }

    fn failed(&mut self, source: BrokerError) -> SourceError {
        self.fenced |= matches!(source, BrokerError::Fenced { .. });
        SourceError::Broker { name: self.broker_position.topic.to_string(), source }
    }
}

/// The note beside the position of a source that has reached its end.
const FINISHED: &str = "finished";

/// Returns true if a source's position says that the source has reached its end.
pub(crate) fn is_finished(committed: &CommittedOffset) -> bool {
    committed.metadata == FINISHED
}

impl<K, V, F> AnyWorkerTimer for Source<K, V, F>
where
    K: TopicKey,
    V: 'static,
    F: AsyncFn(SourceWriter<K, V>) -> Result<(), HandlerError> + Send + Sync + 'static,
{
    fn node(&self) -> TimerNode {
        let mut uses = Uses::default();
        WorkerWith::declare(&self.topic, &mut uses);
        TimerNode { name: self.name.clone(), kind: TimerKind::Source, place: Place::Leader, edges: uses.edges() }
    }

    fn position(&self, app: &str) -> Option<TopicPartition> {
        Some(TopicPartition::new(source_topic(app, &self.name), Partition::new(0)))
    }

    fn run(&'static self, mut context: WorkerTimerContext) -> LocalBoxFuture<'static, Outcome> {
        Box::pin(async move {
            let mut backoff = Backoff::every(COMMIT_EVERY);
            loop {
                context.leads().await;
                match self.feed(&context).await {
                    Ok(Fed::Done) => return Outcome::Done,
                    // Another worker leads now, or this one leads again. Either goes on from the
                    // last commit.
                    Ok(Fed::Fenced) => backoff.wait().await,
                    Err(reason) => return Outcome::Failed { name: self.name.clone(), reason },
                }
            }
        })
    }
}

enum Fed {
    Done,
    Fenced,
}

impl<K, V, F> Source<K, V, F>
where
    K: TopicKey,
    V: 'static,
    F: AsyncFn(SourceWriter<K, V>) -> Result<(), HandlerError> + Send + Sync + 'static,
{
    async fn feed(&'static self, context: &WorkerTimerContext) -> Result<Fed, String> {
        let scope = &context.scope;
        let broker: &SharedBroker = &context.broker;
        let Some(position) = self.position(&scope.app) else { return Ok(Fed::Done) };
        // All leaders use one name: the producer of a new leader fences the old leader's before the
        // new one reads the old one's position.
        let opened = broker.transactional_producer(&position.topic).await;
        let mut producer = opened.map_err(|error| error.to_string())?;
        let committed =
            broker.committed(&scope.app, std::slice::from_ref(&position)).await.map_err(|error| error.to_string())?;
        let committed = committed.into_iter().next().flatten();
        // The log has everything by now that was committed with the position.
        let log = SourceLog::open(&**broker, &mut *producer, &position).await.map_err(|error| error.to_string())?;
        let noted = committed.as_ref().map_or(0, |committed| committed.offset.get());
        let start = log.position.map_or(noted, |kept| kept.max(noted));
        if start > noted {
            tracing::warn!(
                "source `{}`: the group's position is {noted}, but everything up to {start} was already sent: \
                 continuing from there. (Kafka's coordinator may return old positions after its brokers were killed.) \
                 To send it again on purpose, stop the program and run `reset --all-topics`",
                self.name
            );
        }
        let state = Rc::new(Mutex::new(SourceState {
            producer,
            broker_position: position,
            log,
            group: context.metadata.clone(),
            position: start,
            finished: start == noted && committed.as_ref().is_some_and(is_finished),
            begun: SourceTransaction::No,
            fenced: false,
        }));
        let writer = SourceWriter { state: state.clone(), client: self.topic.open_on_worker(scope), start };
        let ended = {
            let mut handler = std::pin::pin!(AssertUnwindSafe((self.handler)(writer)).catch_unwind());
            let mut leader = context.leader.clone();
            loop {
                tokio::select! {
                    biased;
                    ended = &mut handler => break ended,
                    // Records that were sent before a long wait are committed meanwhile.
                    () = tokio::time::sleep(COMMIT_EVERY) => {
                        if let Ok(mut state) = state.try_lock()
                            && state.commit_if_due().await.is_err()
                            && state.fenced
                        {
                            return Ok(Fed::Fenced);
                        }
                    }
                    _ = leader.wait_for(|leads| !leads) => return Ok(Fed::Fenced),
                }
            }
        };
        let mut state = state.lock().await;
        let reason = match ended {
            Ok(Ok(())) => match state.finish().await {
                Ok(()) => return Ok(Fed::Done),
                Err(error) => error.to_string(),
            },
            Ok(Err(error)) => {
                // The records that it sent before it failed are valid.
                let _ = state.commit().await;
                error.to_string()
            }
            Err(panic) => panic_text(&*panic),
        };
        if state.fenced { Ok(Fed::Fenced) } else { Err(reason) }
    }
}
